"""Calls in the desktop without a display: every state that the engine tells, and what can be done in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mobium.client import CallChanged, CallMissed, CallScreenChanged, Engine, SoundChanged
from mobium.errors import CallError, CaptureUnavailable, MediaUnavailable
from mobium_client.gui.models import sound
from mobium_client.gui.models.calling import Calling
from mobium_client.gui.models.main import Main
from tests.desktop.profiles import PASSWORD, make
from tests.support.seat import Seat

BERT, CORA = "ab" * 32, "cd" * 32
CALL = "11" * 16


class Told:
    """A seat, and the calls of its engine as it is told of them."""

    def __init__(self, seat: Seat, main: Main) -> None:
        self.seat = seat
        self.main = main
        self.done: list[str] = []

    @property
    def calling(self) -> Calling:
        """The presenter."""
        return self.main.talk.calling

    def state(self, state: Any, code: str = "", reason: str = "", peer: str = BERT, call: str = CALL) -> None:
        """The engine tells of a state."""
        self.seat.events.tell(CallChanged(call, peer, state, code, reason))

    def phase(self) -> str:
        """Where the call is."""
        return self.calling.state.phase

    def looks(self) -> bool:
        """Whether the other side's screen is shown."""
        return self.calling.screen is not None

    def dialogs(self) -> int:
        """How many lie over everything."""
        return len(self.seat.context.overlays.state)

    def until(self, true: Any) -> None:
        """Work until something is so."""
        self.seat.until(true)


@pytest.fixture
def told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    async def fill(engine: Engine) -> None:
        await engine.contacts.add(BERT, "Bert")

    async def ready(self: sound.Sound) -> tuple[None, None, None]:
        return None, None, None

    monkeypatch.setattr(sound.Sound, "ready", ready)
    make(folder, fill=fill)
    with Seat(folder) as seat:
        made = Told(seat, seat.unlock(PASSWORD))
        calls = made.main.opened.engine.calls

        def noting(name: str) -> Any:
            async def note(*_: object, **__: object) -> str:
                made.done.append(name)
                return CALL

            return note

        for name in ("call", "accept", "decline", "hang_up", "share"):
            monkeypatch.setattr(calls, name, noting(name))
        yield made


def test_a_call_comes_and_is_answered_talked_and_hung_up(told: Told) -> None:
    calling = told.calling
    told.state("incoming")
    assert calling.state.name == BERT[:16], "until it is known better"
    assert told.dialogs(), "it rings over everything"
    told.until(lambda: calling.state.name == "Bert")
    assert "not verified" in calling.state.way
    calling.answer()
    calling.answer()
    told.until(lambda: told.done)
    assert told.done == ["accept"]
    told.state("connecting")
    assert calling.state.words
    told.state("active")
    assert calling.state.clock == "00:00"
    told.seat.ahead = timedelta(hours=1)  # the clock of this machine is set
    told.until(lambda: calling.state.clock == "00:01")
    told.seat.ahead = -timedelta(days=1)
    told.until(lambda: calling.state.clock == "00:02")
    told.state("reconnecting")
    assert "connecting again" in calling.state.words
    told.state("active")
    assert calling.state.clock >= "00:02", "it goes on counting"
    calling.hang_up()
    told.until(lambda: told.done[-1] == "hang_up")
    told.state("ended", "hung_up")
    assert (calling.state.phase, calling.state.reason) == ("ended", "")
    assert calling.state.words == "The call is over"
    assert told.dialogs(), "its end is seen"
    told.seat.context.overlays.dismiss()
    assert calling.state.phase == "none"
    told.state("incoming", call="22" * 16)
    assert told.dialogs(), "the next one rings again"


def test_escape_makes_it_a_bar_and_the_call_goes_on(told: Told) -> None:
    told.state("incoming")
    told.seat.context.overlays.dismiss()
    assert told.phase() == "incoming"
    assert not told.main.talk.state.large
    told.main.talk.enlarge()
    told.main.talk.enlarge()
    assert told.dialogs() == 1
    told.calling.decline()
    told.until(lambda: told.done == ["decline"])
    told.state("ended", "declined", "The call was declined.")
    assert not told.dialogs(), "who declines needs not be told"
    assert not told.calling.state.missed


@pytest.mark.parametrize("code", ["missed", "hung_up"])
def test_who_was_not_answered_is_missed(told: Told, code: str) -> None:
    told.state("incoming")
    told.until(lambda: told.calling.state.name == "Bert")
    told.state("ended", code)
    assert told.phase() == "none"
    assert not told.dialogs()
    [missed] = told.calling.state.missed
    assert (missed.peer, missed.name) == (BERT, "Bert")
    told.calling.forget_missed()
    assert not told.calling.state.missed


def test_who_calls_meanwhile_is_missed_and_the_call_goes_on(told: Told) -> None:
    told.state("incoming")
    told.state("active")
    for _ in range(30):
        told.seat.events.tell(CallMissed("33" * 16, CORA))
    told.until(lambda: len(told.calling.state.missed) == 20)
    assert told.calling.state.missed[-1].name == CORA[:16]
    assert "another call" in told.calling.state.missed[-1].why
    assert told.phase() == "active"


def test_what_cannot_be_called_or_shown_says_why(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = told.main.opened.engine.calls

    async def no_opus(*_: object) -> str:
        raise MediaUnavailable("libopus was not found.", "sudo apt install libopus0")

    async def no_screen(*_: object) -> str:
        raise CaptureUnavailable("There is no screen to show.")

    monkeypatch.setattr(calls, "call", no_opus)
    told.calling.call(BERT, "Bert")
    assert told.phase() == "preparing"
    told.calling.call(CORA, "Cora")
    assert "already" in told.calling.state.problem
    told.until(lambda: told.phase() == "ended")
    assert "apt install libopus0" in told.calling.state.reason
    monkeypatch.setattr(calls, "accept", no_opus)
    told.state("incoming")
    told.calling.answer()
    told.until(lambda: told.calling.state.problem)
    assert told.phase() == "incoming", "it rings on"
    assert not told.calling.state.busy
    told.state("active")
    monkeypatch.setattr(calls, "share", no_screen)
    told.calling.share("720p")
    told.until(lambda: "no screen" in told.calling.state.problem)
    assert told.calling.state.sharing == ""


def test_who_hangs_up_while_the_devices_are_opened_calls_nobody(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = asyncio.Event()

    async def ready(_: sound.Sound) -> tuple[None, None, None]:
        await opening.wait()
        return None, None, None

    async def none() -> None:
        raise CallError("There is no call.", "no_call")

    async def opened() -> None:
        opening.set()

    monkeypatch.setattr(sound.Sound, "ready", ready)
    monkeypatch.setattr(told.main.opened.engine.calls, "hang_up", none)
    told.calling.call(BERT, "Bert")
    told.calling.hang_up()
    assert told.phase() == "ended"
    told.seat.do(opened())
    told.seat.do(asyncio.sleep(0))
    told.seat.do(asyncio.sleep(0))
    assert told.done == []
    told.calling.call(BERT, "Bert")
    told.until(lambda: told.done == ["call"])


def test_screens_and_devices_are_told(told: Told) -> None:
    told.state("incoming")
    told.state("active")
    told.calling.share("360p")
    told.until(lambda: told.calling.state.sharing == "360p")
    told.seat.events.tell(CallScreenChanged(CALL, "", False, "The display is gone."))
    assert (told.calling.state.sharing, told.calling.state.problem) == ("", "The display is gone.")
    told.seat.events.tell(CallScreenChanged(CALL, BERT, True))
    assert told.looks()
    told.seat.events.tell(CallScreenChanged(CALL, BERT, False))
    assert not told.looks()
    told.seat.events.tell(SoundChanged("speaker", "lost", "USB", None))
    assert "there is no other one" in told.calling.state.said
    told.state("ended", "lost", "The connection was lost.")
    assert told.calling.state.reason == "The connection was lost."


def test_ending_what_is_over_is_no_mistake(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    async def over(*_: object) -> None:
        raise CallError("There is no call.", "no_call")

    told.state("incoming")
    monkeypatch.setattr(told.main.opened.engine.calls, "decline", over)
    told.calling.decline()
    told.seat.do(_nothing())
    assert told.calling.state.problem == ""


def test_locking_ends_what_is_shown_of_a_call(told: Told) -> None:
    told.state("incoming")
    assert told.main.talk.busy
    told.seat.desktop.lock()
    assert not told.dialogs()


async def _nothing() -> None: ...


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("full", ["Bert calls", "Bert called during another call"]),
        ("quiet", ["Somebody calls", "Somebody called during another call"]),
        ("off", []),
    ],
)
def test_a_call_is_told_outside_the_window_as_settings_say(told: Told, how: str, said: list[str]) -> None:
    shown: list[str] = []

    async def notify(_: str, text: str, _clicked: object) -> None:
        shown.append(text)

    notifications = told.seat.desktop._notifications
    assert notifications is not None
    setattr(notifications, "_notify", notify)  # noqa: B010 - a method is not assigned to
    told.seat.context.preferences.change(notifications=how)
    told.state("incoming")
    told.seat.do(_nothing())
    assert shown == [], "whoever looks at the window sees it there"
    told.seat.context.attention.change(there=False)
    told.state("incoming", call="22" * 16)
    told.state("active", call="22" * 16)
    told.seat.do(_nothing())
    told.seat.events.tell(CallMissed("33" * 16, BERT))
    told.seat.until(lambda: len(told.calling.state.missed) == 1 and len(shown) == len(said))
    assert shown == said
    told.until(lambda: told.main.talk.busy)
    assert told.seat.desktop._talking(), "which idling does not end"
