"""Settings, notifications, locking by itself and the help, without a display."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mobium import __version__
from mobium.client import FoundDevices, SoundCheck
from mobium.errors import AudioUnavailable, OpusUnavailable
from mobium.media.devices import VirtualDevices
from mobium.media.sources import MemorySink, PcmSource
from mobium_client.gui.models import preferences
from mobium_client.gui.models.about import licences
from mobium_client.gui.models.device_settings import DeviceSettings
from mobium_client.gui.models.idle import Idle
from mobium_client.gui.models.settings_dialog import SettingsDialog
from mobium_client.gui.models.unlock import Unlock
from mobium_client.gui.notifier import SystemNotifier
from mobium_client.gui.settings import Settings, load, save
from tests.desktop.profiles import PASSWORD, make
from tests.support.seat import Seat

OTHER = "another long password"


def _loud() -> bytes:
    """A square wave of 440 Hz, 20 s."""
    return (b"\x00\x40" * 55 + b"\x00\xc0" * 54) * 8_800


def _settings(seat: Seat) -> SettingsDialog:
    main = seat.unlock(PASSWORD)
    main.show_settings()
    dialog = seat.context.overlays.state[-1]
    assert isinstance(dialog, SettingsDialog)
    return dialog


# ---------------------------------------------------------------- profile


def test_the_password_is_changed_by_who_knows_the_present_one(folder: Path) -> None:
    make(folder)
    with Seat(folder) as seat:
        profile = _settings(seat).profile
        profile.change_password("", OTHER, OTHER)
        assert "present password" in profile.state.problem
        profile.change_password("wrong and long enough", OTHER, OTHER)
        seat.until(lambda: not profile.state.busy)
        assert profile.state.problem.startswith("This is not the password of this profile")
        assert profile.state.changes == 0
        profile.change_password(PASSWORD, OTHER, OTHER)
        seat.until(lambda: profile.state.changes == 1)
        assert profile.state.said
        seat.desktop.lock()
        seat.until(lambda: isinstance(seat.screen, Unlock) and not seat.screen.state.locking)
        seat.screen.open(PASSWORD)
        seat.until(lambda: seat.screen.state.problem, "the old one opens nothing")
        seat.screen.open(OTHER)
        seat.enter()


def test_the_name_in_channels_and_the_hidden_address_are_kept(folder: Path) -> None:
    make(folder)
    with Seat(folder) as seat:
        profile = _settings(seat).profile
        seat.until(lambda: profile.state.loaded)
        assert (profile.state.name, profile.state.hide_address) == ("", False)
        profile.rename(" Anna B. ")
        seat.until(lambda: profile.state.name == "Anna B.")
        profile.hide(True)
        seat.until(lambda: profile.state.hide_address)
        engine = seat.main.opened.engine
        assert seat.do(engine.name()) == "Anna B."
        assert seat.do(engine.calls.hide_address())
        profile.rename("x" * 500)
        seat.until(lambda: profile.state.problem)


# ---------------------------------------------------------------- devices


def test_devices_are_looked_for_on_their_own_page_alone(folder: Path) -> None:
    """Looking makes the sound of a call pause."""
    looked: list[str] = []

    class Watched(SoundCheck):
        def find(self) -> FoundDevices:
            looked.append("found")
            return FoundDevices()

    make(folder)
    with Seat(folder) as seat:
        main = seat.unlock(PASSWORD)
        dialog = SettingsDialog(main.opened, main.status, "notifications", Watched())
        seat.context.overlays.open(dialog)
        dialog.show("look")
        dialog.show("profile")
        seat.do(asyncio.sleep(0.1))
        assert looked == []
        dialog.show("devices")
        seat.until(lambda: dialog.devices.state.loaded)
        assert looked == ["found"]


def test_a_microphone_is_seen_to_hear_and_a_speaker_is_heard(folder: Path) -> None:
    heard = MemorySink(10.0)
    virtual = VirtualDevices({"desk mic": PcmSource(_loud())}, {"speaker": heard})
    with virtual.running(), Seat(folder) as seat:
        devices = DeviceSettings(seat.context, SoundCheck(virtual))
        seat.until(lambda: devices.state.loaded)
        assert devices.state.found.microphones == ("desk mic",)
        assert devices.state.found.problems == ()
        devices.choose_microphone("desk mic")
        devices.listen()
        seat.until(lambda: devices.state.level > 40, "the level")
        devices.stop()
        seat.until(lambda: virtual.streams == 0)
        assert devices.state.level == 0
        devices.choose_speaker("speaker")
        devices.play()
        seat.until(lambda: any(heard.pcm), "the tone")
        kept = seat.context.preferences.state
        assert (kept.microphone, kept.speaker) == ("desk mic", "speaker")
        devices.close()
        seat.until(lambda: virtual.streams == 0)


def test_a_microphone_that_is_given_up_before_it_is_open_is_let_go(folder: Path) -> None:
    virtual = VirtualDevices({"desk mic": PcmSource(_loud())}, {"speaker": MemorySink(1.0)})
    with virtual.running(), Seat(folder) as seat:
        devices = DeviceSettings(seat.context, SoundCheck(virtual))
        seat.until(lambda: devices.state.loaded)
        devices.listen()
        devices.stop()
        seat.do(devices._alone(lambda: None))  # what was asked for is done
        assert virtual.streams == 0
        assert not devices.state.listening
        devices.close()


def test_a_speaker_that_fails_leaves_the_microphone_as_it_is_shown(folder: Path) -> None:
    virtual = VirtualDevices({"desk mic": PcmSource(_loud())}, {"speaker": MemorySink(1.0)})
    with virtual.running(), Seat(folder) as seat:
        devices = DeviceSettings(seat.context, SoundCheck(virtual))
        seat.until(lambda: devices.state.loaded)
        devices.listen()
        seat.until(lambda: devices.state.listening)
        devices.choose_speaker("gone")
        devices.play()
        seat.until(lambda: devices.state.problem, "the sentence")
        assert devices.state.listening, "it is still heard, and that is seen"
        devices.stop()
        seat.until(lambda: virtual.streams == 0, "it is let go")
        devices.close()


def test_a_microphone_that_was_asked_for_when_another_failed_is_let_go(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    virtual = VirtualDevices({"desk mic": PcmSource(_loud())}, {"speaker": MemorySink(1.0)})
    check = SoundCheck(virtual)
    listen, asked = check.listen, []

    def listening(name: str | None) -> None:
        asked.append(name)
        if len(asked) == 1:
            raise AudioUnavailable("It is in use.")
        listen(name)

    monkeypatch.setattr(check, "listen", listening)
    with virtual.running(), Seat(folder) as seat:
        devices = DeviceSettings(seat.context, check)
        seat.until(lambda: devices.state.loaded)
        devices.listen()
        devices.stop()
        devices.listen()
        seat.until(lambda: len(asked) == 2 and not devices.state.busy)
        seat.until(lambda: devices.state.listening or virtual.streams == 0, "nobody hears what is not shown")
        devices.close()


def test_the_last_change_is_kept_also_if_the_window_closes_while_one_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = threading.Event()

    def slowly(file: Path, settings: Settings) -> None:
        writing.set()
        time.sleep(0.1)
        save(file, settings)

    monkeypatch.setattr(preferences, "save", slowly)
    with Seat(folder) as seat:
        seat.context.preferences.change(text_scale=125)
        seat.until(writing.is_set, "it is being written")
        seat.context.preferences.change(text_scale=150)
    assert load(folder / "desktop.json").text_scale == 150


def test_a_clock_that_was_set_back_puts_no_lock_off(folder: Path) -> None:
    now, locked, due = [10_000.0], [], []

    def later(seconds: float, work: Callable[[], object]) -> Callable[[], None]:
        due.append(work)
        return lambda: None

    with Seat(folder, Settings(idle_minutes=5)) as seat:
        idle = Idle(later, lambda: now[0], seat.context.preferences, lambda: locked.append(now[0]))
        idle.start()
        now[0] -= 3_600
        began = now[0]
        while not locked and now[0] - began < 600:
            now[0] += 5
            due.pop()()
    assert locked == [began + 305]


def test_what_is_missing_is_said_with_what_installs_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise OpusUnavailable("libopus, which codes voice, was not found.", "sudo apt install libopus0")

    monkeypatch.setattr("mobium.client.sound_check.libopus", missing)
    with VirtualDevices().running(), Seat(folder) as seat:
        devices = DeviceSettings(seat.context, SoundCheck(VirtualDevices()))
        seat.until(lambda: devices.state.loaded)
        said = " ".join(devices.state.found.problems)
        assert "sudo apt install libopus0" in said
        assert "no microphone" in said
        assert "no speaker" in said
        devices.listen()
        seat.until(lambda: devices.state.problem)
        assert not devices.state.listening
        devices.play()
        seat.until(lambda: "speaker" in devices.state.problem)
        devices.close()


def test_a_device_that_is_not_there_any_more_is_said(folder: Path) -> None:
    virtual = VirtualDevices({"other": PcmSource(b"")})
    with virtual.running(), Seat(folder, Settings(microphone="gone")) as seat:
        devices = DeviceSettings(seat.context, SoundCheck(virtual))
        seat.until(lambda: devices.state.loaded)
        devices.listen()
        seat.until(lambda: devices.state.problem)
        assert "gone" in devices.state.problem
        devices.close()


# ---------------------------------------------------------------- about, help, locking by itself


def test_about_names_version_back_end_and_licences(folder: Path) -> None:
    make(folder)
    with Seat(folder) as seat:
        about = _settings(seat).about
        seat.until(lambda: about.state.licences)
        assert about.state.version == __version__
        assert about.state.backend in {"native", "pure"}
        assert not about.state.logged
    found = {name.lower(): licence for name, _, licence in licences()}
    assert found["pillow"] == "MIT-CMU"
    assert {"cryptography", "websockets", "zxcvbn"} <= found.keys()


def test_help_is_laid_over_everything_once(folder: Path) -> None:
    with Seat(folder) as seat:
        seat.desktop.show_help()
        seat.desktop.show_help()
        assert len(seat.context.overlays.state) == 1
        seat.context.overlays.dismiss()


def test_it_locks_after_idle_minutes_but_not_while_somebody_talks(folder: Path) -> None:
    now = [0.0]
    locked: list[float] = []
    talking = [False]
    waiting: list[Any] = []

    def later(seconds: float, work: Any) -> Any:
        waiting[:] = [work]
        return waiting.clear

    def pass_minutes(minutes: float) -> None:
        now[0] += minutes * 60
        waiting.pop()()

    preferences: Any = SimpleNamespace(state=Settings(idle_minutes=5))
    idle = Idle(later, lambda: now[0], preferences, lambda: locked.append(now[0]), lambda: talking[0])
    idle.start()
    pass_minutes(4)
    idle.touch()
    pass_minutes(4)
    assert locked == []
    talking[0] = True
    pass_minutes(60)
    assert locked == []
    talking[0] = False
    pass_minutes(4.9)
    assert locked == []
    pass_minutes(0.2)
    assert len(locked) == 1
    assert waiting == []
    preferences.state = Settings(idle_minutes=0)
    idle.start()
    pass_minutes(1_000)
    assert len(locked) == 1
    idle.stop()
    assert waiting == []


# ---------------------------------------------------------------- notifications


@pytest.mark.parametrize("way", ["no bus", "a bus that is none"])
async def test_without_anybody_who_shows_them_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path, way: str
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    if way != "no bus":
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    notifier = SystemNotifier()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await notifier("Bert", "a secret text")
    said = [one for one in caplog.records if one.name == "mobium_client.gui.notifier"]
    assert len(said) == 1
    assert "secret" not in caplog.text
