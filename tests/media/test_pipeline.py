"""A voice from the microphone to the speaker, in memory: the whole path on a clock that is called."""

from __future__ import annotations

import pytest

from mobium.media.devices import DeviceEvent, VirtualDevices
from mobium.media.form import FRAME_SECONDS
from mobium.media.levels import level
from mobium.media.pipeline import Incoming, Outgoing
from mobium.media.sources import MemorySink, Tone


def unexpected(event: DeviceEvent) -> None:
    pytest.fail(str(event))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0


def test_a_tone_at_the_microphone_comes_out_of_the_speaker() -> None:
    clock, sink = Clock(), MemorySink()
    devices = VirtualDevices({"tone": Tone()}, {"memory": sink})
    incoming = Incoming()
    numbers = iter(range(1000))
    outgoing = Outgoing(lambda packet: incoming.put("anna", 1, next(numbers), packet, clock.now))
    devices.open_microphone(None, outgoing.feed, unexpected)
    devices.open_speaker("memory", lambda: incoming.pull(clock.now), unexpected)
    for _ in range(50):
        devices.tick()
        clock.now += FRAME_SECONDS
    assert level(sink.pcm[-1920:]) == pytest.approx(outgoing.level, abs=1.0)
    report = incoming.report()["anna"]
    assert report.speaking
    assert outgoing.speaking
    assert report.counts.played >= 47
    assert (report.counts.concealed, report.counts.recovered, report.counts.late) == (0, 0, 0)
