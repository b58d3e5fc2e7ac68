"""Calls, voice rooms and screens in the real window, with sound that is heard: on a private display and a
private PulseAudio, and with the command line as the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine, call_sound, call_state
from mobium.media.tones import BUSY, RINGBACK, RINGTONE, Tune
from mobium_client.gui.models.main import Main
from mobium_client.gui.settings import Settings
from tests.desktop.profiles import PASSWORD, make
from tests.support.commands import FAST, Desk
from tests.support.desktop import PATIENCE, Pilot, window
from tests.support.display import Display, display
from tests.support.engines import settle
from tests.support.hands import HANDS, Hands
from tests.support.hearing import tuned
from tests.support.links import ice_on_loopback
from tests.support.server import ServerProcess
from tests.support.sound import SOUND, Pulse, Recording, pulse, speech

pytestmark = [*HANDS, *SOUND]
pytest.importorskip("aiortc")

BRIEFLY = "We were away a year ago."
SAID = "We were away a year ago, and nobody knew where the garden ended."
SILENT = 0.5  # seconds
PURE, IMPURE = 0.9, 0.6  # how much of what is heard belongs to a tune, if it is one, and if it is speech
BLUE, ORANGE = (0x20, 0x50, 0xD0), (0xF0, 0x90, 0x20)


@dataclass
class Table:
    """The window of Anna, and Bert at the command line, who is a verified contact; #garden is theirs."""

    pilot: Pilot
    hands: Hands
    bert: Desk
    sound: Pulse
    heard: Recording
    keys: dict[str, str]
    tmp: Path

    @property
    def main(self) -> Main:
        """The main screen's presenter."""
        found: Main = self.pilot.screen.presenter
        return found

    def speech(self, text: str = SAID) -> str:
        """A file in which somebody speaks."""
        path = self.tmp / "said.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 48_000, 0, "NONE", ""))
            file.writeframes(speech(text))
        return str(path)

    @property
    def dialog(self) -> Any:
        """The view over everything, or None."""
        return self.pilot.app._overlays.view

    def hears(self, tune: Tune | None = None) -> None:
        """Wait until a tune is heard, or else something that is no tune."""
        self.pilot.until(lambda: self._plays(tune), "the tune" if tune else "a voice")

    def falls_silent(self) -> None:
        """Wait until nothing is heard; no tune of these tests has a pause."""
        self.pilot.until(lambda: not any(self.heard.last(SILENT)), "silence")

    def _plays(self, tune: Tune | None) -> bool:
        last = self.heard.last(0.2)
        if tune is not None:
            return tuned(last, tune) > PURE
        return any(last) and all(tuned(last, one) < IMPURE for one in (RINGTONE, RINGBACK))


def without_pauses(tune: Tune, times: int | None) -> Tune:
    """The same sounds, so that whoever listens need not wait for the next one."""
    return Tune(tuple(step for step in tune.steps if step.frequencies), times)


@pytest.fixture
def table(screen: Display, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    ice_on_loopback(monkeypatch)
    monkeypatch.setitem(call_sound._TUNES, "incoming", without_pauses(RINGTONE, None))
    monkeypatch.setitem(call_sound._TUNES, "ringing", without_pauses(RINGBACK, None))
    monkeypatch.setattr(call_sound, "BUSY", without_pauses(BUSY, 1))
    bert = Desk(tmp_path / "bert", PASSWORD, command=FAST, extra={"PULSE_SERVER": "unix:/nowhere"})
    keys: dict[str, str] = {}
    make(bert.data, "bert")
    anna = make(folder)
    with ServerProcess(tmp_path / "server") as server, pulse(tmp_path) as sound:
        for name, value in sound.environment.items():
            if name != "HOME":
                monkeypatch.setenv(name, value)

        async def acquaint() -> None:
            async with (
                Engine.open(anna, PASSWORD) as one,
                Engine.open(bert.profile("bert"), PASSWORD) as other,
            ):
                keys.update(anna=one.me, bert=other.me)
                for engine in (one, other):
                    await engine.connect(server.url)
                await one.contacts.add(other.me, "Bert")
                await other.contacts.add(one.me, "Anna")
                await settle(one, other)
                for engine, to in ((one, other), (other, one)):
                    await engine.wait(await engine.send(to.me, "hello"), "delivered", 20)
                await one.contacts.verify(other.me)
                await other.contacts.verify(one.me)
                await one.create_channel("garden")
                await other.join(await one.invite("#garden"))

        asyncio.run(acquaint())
        with window(folder, Settings(appearance="dark")) as pilot, sound.recording() as heard:
            unlocked(pilot)
            yield Table(pilot, Hands(pilot), bert, sound, heard, keys, tmp_path)


def unlocked(pilot: Pilot) -> None:
    """The profile is open and connected."""
    pilot.unlock(PASSWORD)
    main: Main = pilot.screen.presenter
    pilot.until(lambda: main.status.state.words == "Connected", "the connection")


@contextlib.contextmanager
def running(desk: Desk, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that goes on meanwhile."""
    process = desk.start(*arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said_by(process: subprocess.Popen[bytes], table: Table, code: int = 0) -> list[dict[str, Any]]:
    """What a command has said, as JSON, once it has ended."""
    table.pilot.until(lambda: process.poll() is not None, "the end of the command")
    out, err = process.communicate(timeout=20)
    assert process.returncode == code, err.decode()
    return [json.loads(line) for line in out.splitlines()]


def test_a_call_rings_is_answered_heard_and_hung_up(table: Table) -> None:
    pilot, calling = table.pilot, table.main.talk.calling
    pilot.open("Bert")
    with running(table.bert, "call", "Anna", "--input", table.speech(), "--record",
                 str(table.tmp / "bert.wav"), "--json", "--seconds", "30") as bert:  # fmt: skip
        pilot.until(lambda: calling.state.phase == "incoming" and table.dialog is not None, "it rings")
        assert calling.state.name == "Bert"
        assert "From machine to machine" in calling.state.way
        focus = str(pilot.app.tk.call("focus", "-lastfor", "."))
        assert focus == str(table.dialog), "whoever is typing answers nothing by it"
        table.hears(RINGTONE)
        table.hands.click(table.dialog.answer)
        pilot.until(lambda: calling.state.phase == "active", "the call")
        table.hears()
        pilot.until(lambda: calling.state.clock >= "00:01", "the clock")
        table.hands.click(table.dialog.mute)
        pilot.until(lambda: calling.state.muted)
        table.hands.keys("Escape")
        pilot.until(lambda: table.dialog is None, "the call as a bar")
        assert pilot.screen.call_bar.winfo_ismapped()
        table.hands.click(pilot.screen.call_bar.hang_up)
        pilot.until(lambda: calling.state.phase == "ended")
        told = said_by(bert, table)
    assert [one["code"] for one in told if one["event"] == "call"][-1] == "hung_up"
    table.falls_silent()


def test_a_call_is_made_and_declined_and_another_one_missed(table: Table) -> None:
    pilot, calling = table.pilot, table.main.talk.calling
    view = pilot.open("Bert")
    with running(table.bert, "answer", "--input", table.speech(BRIEFLY), "--record", str(table.tmp / "b.wav"),
                 "--json") as bert:  # fmt: skip
        table.hands.click(view.actions.call)
        pilot.until(lambda: calling.state.phase == "active", "the call")
        table.hears()
        pilot.until(lambda: calling.state.phase == "ended", "Bert has said everything and hung up")
        said_by(bert, table)
    table.hands.click(table.dialog.done)
    pilot.until(lambda: table.dialog is None)
    with running(table.bert, "call", "Anna", "--record", str(table.tmp / "c.wav"), "--json") as bert:
        pilot.until(lambda: calling.state.phase == "incoming" and table.dialog is not None)
        table.hears(RINGTONE)
        table.hands.click(table.dialog.decline)
        pilot.until(lambda: table.dialog is None)
        told = said_by(bert, table, 1)
        assert [one["code"] for one in told if one["event"] == "call"][-1] == "declined"
    table.falls_silent()
    with running(table.bert, "call", "Anna", "--record", str(table.tmp / "d.wav")) as bert:
        pilot.until(lambda: calling.state.phase == "incoming")
        table.hears(RINGTONE)
        bert.send_signal(2)
        pilot.until(lambda: calling.state.missed, "a missed call")
    assert calling.state.missed[0].name == "Bert"
    table.falls_silent()


def test_ringing_ends_by_itself_and_with_the_lock_and_with_the_window(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    pilot = table.pilot
    with running(table.bert, "call", "Anna", "--record", str(table.tmp / "c.wav"), "--json") as bert:
        with monkeypatch.context() as patch:
            patch.setattr(call_state, "RING", 2.5)  # seconds on this side, instead of 30
            calling = table.main.talk.calling
            pilot.until(lambda: calling.state.missed, "a missed call")
        assert table.dialog is None
        table.falls_silent()
        bert.send_signal(2)
        said_by(bert, table, 130)
    with running(table.bert, "call", "Anna", "--record", str(table.tmp / "c.wav"), "--json") as bert:
        pilot.until(lambda: table.main.talk.calling.state.phase == "incoming")
        table.hears(RINGTONE)
        pilot.app.event_generate("<Control-l>")
        pilot.until(lambda: pilot.shows("UnlockView"))
        assert table.dialog is None
        pilot.until(lambda: bert.poll() is not None, "the caller learns it")
    table.falls_silent()
    unlocked(pilot)
    with running(table.bert, "call", "Anna", "--record", str(table.tmp / "d.wav")):
        pilot.until(lambda: table.main.talk.calling.state.phase == "incoming")
        table.hears(RINGTONE)
        pilot.app.close()
        _is_silent(table)


def test_the_ringback_is_heard_until_one_hangs_up_he_declines_nobody_answers_or_it_is_locked(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    pilot = table.pilot

    def call() -> None:
        """Call Bert, where it rings and nobody does anything, until that is heard."""
        table.hands.click(pilot.open("Bert").actions.call)
        pilot.until(lambda: calling.state.phase == "ringing", "the call")
        table.hears(RINGBACK)

    with running(table.bert, "listen", "--json") as bert:
        calling = table.main.talk.calling
        call()
        table.hands.click(table.dialog.hang_up)
        pilot.until(lambda: calling.state.phase == "ended")
        assert calling.state.reason == "You ended the call before it began."
        table.falls_silent()
        table.hands.click(table.dialog.done)
        with monkeypatch.context() as patch:
            patch.setattr(call_state, "RING", 1.5)  # seconds, instead of 30
            table.hands.click(pilot.screen.conversation.actions.call)
            pilot.until(lambda: calling.state.phase == "ended", "the end of waiting")
        assert calling.state.reason == "Nobody answered."
        table.hears(BUSY)
        table.falls_silent()
        table.hands.click(table.dialog.done)
        call()
        bert.send_signal(2)
        pilot.until(lambda: calling.state.phase == "ended", "his word")
        assert "declined" in calling.state.reason
        table.hands.click(table.dialog.done)
        table.falls_silent()
        told = [one for one in said_by(bert, table, 130) if one["event"] == "call"]
        assert [one["code"] for one in told if one["state"] == "ended"] == ["missed", "missed"]
    with running(table.bert, "listen", "--json"):
        call()
        pilot.app.event_generate("<Control-l>")
        pilot.until(lambda: pilot.shows("UnlockView"))
        table.falls_silent()
        unlocked(pilot)
        calling = table.main.talk.calling
        call()
        pilot.app.close()
        _is_silent(table)


def _is_silent(table: Table) -> None:
    """Nobody is there to hear it: the window is closed."""
    end = time.monotonic() + PATIENCE
    while any(table.heard.last(SILENT)):
        assert time.monotonic() < end, "it rings on"
        time.sleep(0.02)


def test_a_room_with_a_bot_that_speaks_and_shows_a_screen(table: Table) -> None:
    pilot, voice = table.pilot, table.main.talk.voice
    view = pilot.open("#garden")
    with display(table.tmp, 640, 360) as shown:
        left, right = bytes((*reversed(BLUE), 0)), bytes((*reversed(ORANGE), 0))
        shown.paint((left * 320 + right * 320) * 360)
        table.bert.extra["DISPLAY"] = shown.name
        with running(table.bert, "voice", "#garden", "--input", table.speech(), "--record",
                     str(table.tmp / "v.wav"), "--screen", "360p", "--json") as bert:  # fmt: skip
            pilot.until(lambda: view.presenter.actions.others == 1, "Bert in the room")
            assert view.actions.voice.cget("text") == "Voice · 1"
            table.hands.click(view.actions.voice)
            pilot.until(lambda: voice.state.phase == "in", "the room")
            pilot.until(lambda: {one.name for one in voice.state.speakers} == {"You", "Bert"}, "both in")
            pilot.until(lambda: any(one.speaking and not one.me for one in voice.state.speakers), "he speaks")
            chip = next(chip for chip in pilot.screen.voice_bar.chips if chip.speaker.name == "Bert")
            assert chip.name.cget("text") == "Bert"
            table.hears()
            pilot.until(lambda: table.main.talk.state.stage is not None, "his screen")
            pane = table.main.talk.state.stage
            assert pane is not None
            pilot.until(lambda: pane.state.count > 0, "a picture")
            pilot.rest(1.0)
            canvas = pilot.screen._shown["stage"][1].canvas
            picture = pilot.shot().convert("RGB")
            middle = canvas.winfo_rooty() + canvas.winfo_height() // 2
            for part, color in ((0.25, BLUE), (0.75, ORANGE)):
                at = (canvas.winfo_rootx() + int(canvas.winfo_width() * part), middle)
                found = picture.getpixel(at)
                assert isinstance(found, tuple)
                assert all(abs(one - other) < 24 for one, other in zip(found, color, strict=True)), found
            table.hands.click(pilot.screen.voice_bar.mute)
            assert voice.state.muted
            table.hands.click(pilot.screen.voice_bar.leave)
            pilot.until(lambda: voice.state.phase == "out")
            assert table.main.talk.state.stage is None
            told = said_by(bert, table)
    people = [one["people"] for one in told if one["event"] == "people"]
    assert [table.keys["anna"]] in people, "the bot has seen the desktop in the room"
