"""What a person is told of the sound of a call or a voice room."""

from __future__ import annotations

import pytest

from mobium.client import SoundChanged
from mobium.errors import StoreError
from mobium_client.cli.sound import Sound

FULL = "The recording could not be written: No space left on device."


def test_a_recording_that_ends_early_is_said_and_fails_in_the_end() -> None:
    sound = Sound()
    sound.check()
    assert sound.told(SoundChanged("speaker", "lost", "recording", None, FULL)) == FULL
    with pytest.raises(StoreError, match="ends early"):
        sound.check()


def test_devices_that_come_and_go_fail_nothing() -> None:
    sound = Sound()
    assert sound.told(SoundChanged("speaker", "lost", "USB", None)) == (
        "the speaker USB is gone; there is no other one"
    )
    assert sound.told(SoundChanged("microphone", "lost", "USB", "inner")) == (
        "the microphone USB is gone; inner is used in its place"
    )
    assert sound.told(SoundChanged("speaker", "found", "USB", "USB")) == "the speaker USB is used again"
    assert sound.told(SoundChanged("microphone", "ended", "input", None)) == ""
    sound.check()
