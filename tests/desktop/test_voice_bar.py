"""Voice rooms in the desktop without a display: a real server and engine, with microphones and speakers that
are none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mobium.client import CallChanged, Engine, ScreenChanged, SpeakingChanged, Voice, VoiceChanged, VoiceLeft
from mobium.client.screens import Screens
from mobium.errors import InvalidInput
from mobium.media.devices import VirtualDevices
from mobium.media.sources import MemorySink, PcmSource
from mobium_client.gui.models import sound
from mobium_client.gui.models.main import Main
from mobium_client.gui.models.voice_bar import VoiceBar
from mobium_client.gui.settings import Settings
from tests.desktop.profiles import PASSWORD, make
from tests.support.seat import Seat
from tests.support.server import ServerProcess

pytestmark = pytest.mark.needs("libopus")
BERT = "ab" * 32


class Room:
    """A seat with a channel, and the bar of its voice room."""

    def __init__(self, seat: Seat, main: Main, devices: VirtualDevices) -> None:
        self.seat = seat
        self.main = main
        self.devices = devices
        [self.channel] = [row.key for row in main.list.state.rows if row.kind == "channel"]

    @property
    def bar(self) -> VoiceBar:
        """The presenter."""
        return self.main.talk.voice

    def phase(self) -> str:
        """Whether one is in."""
        return self.bar.state.phase

    def held(self) -> bool:
        """Whether a call keeps it silent."""
        return self.bar.state.held

    def enter(self) -> None:
        """Enter the room."""
        self.bar.enter(self.channel, "#garden")
        self.seat.until(lambda: self.phase() == "in" and self.bar.state.speakers, "the room")

    def voice(self) -> Any:
        """The engine's part."""
        return self.bar._voice

    def call(self, state: Any) -> None:
        """The engine tells of a call."""
        self.seat.events.tell(CallChanged("11" * 16, BERT, state))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> VirtualDevices:
    made = VirtualDevices({"mic": PcmSource(b"")}, {"spk": MemorySink(0.0)})

    @contextmanager
    def these() -> Iterator[VirtualDevices]:
        with made.running():
            yield made

    monkeypatch.setattr(sound, "sound_devices", these)
    return made


@pytest.fixture
def room(folder: Path, server: ServerProcess, devices: VirtualDevices) -> Iterator[Room]:
    async def fill(engine: Engine) -> None:
        await engine.connect(server.url)
        await engine.create_channel("garden")

    make(folder, fill=fill)
    with Seat(folder, Settings(microphone="gone")) as seat:
        main = seat.unlock(PASSWORD)
        seat.until(lambda: main.status.state.words == "Connected")
        yield Room(seat, main, devices)


def test_one_enters_is_muted_deaf_and_leaves(room: Room) -> None:
    bar = room.bar
    room.enter()
    [me] = bar.state.speakers
    assert (me.me, me.name) == (True, "You")
    assert "microphone gone" in room.main.talk.sound.state, "the one of Settings is not there"
    room.seat.until(lambda: bar.state.others_in(room.channel) == 1)
    bar.mute()
    room.seat.until(lambda: room.voice().muted)
    bar.deafen()
    room.seat.until(lambda: room.voice().deafened)
    bar.mute()
    assert (bar.state.muted, bar.state.deafened) == (False, False), "whoever speaks again hears again"
    room.seat.until(lambda: not room.voice().muted and not room.voice().deafened)
    bar.deafen()
    room.seat.until(lambda: room.voice().muted and room.voice().deafened, "who hears nothing says nothing")
    assert room.main.talk.busy
    bar.leave()
    assert room.phase() == "out"
    room.seat.until(lambda: room.devices.streams == 0, "the devices are let go")
    assert not room.main.talk.busy


def test_who_leaves_while_he_enters_is_not_in(room: Room) -> None:
    room.bar.enter(room.channel, "#garden")
    room.bar.leave()
    assert room.phase() == "out"
    room.seat.until(lambda: room.devices.streams == 0 and not room.bar.state.others_in(room.channel))
    assert room.phase() == "out"


@pytest.mark.parametrize("how", ["muted", "deafened", "called"])
def test_what_is_chosen_while_one_enters_is_so_inside(room: Room, how: str) -> None:
    room.bar.enter(room.channel, "#garden")
    if how == "called":
        room.call("calling")
    else:
        (room.bar.mute if how == "muted" else room.bar.deafen)()
    room.seat.until(lambda: room.phase() == "in" and room.voice() is not None)
    assert room.voice().muted, "from the first moment on"
    assert room.voice().deafened is (how != "muted")
    assert room.held() is (how == "called")


def test_who_is_not_let_into_another_room_is_heard_in_none(room: Room) -> None:
    room.enter()
    room.bar.enter("ff" * 32, "#elsewhere")
    room.seat.until(lambda: room.bar.state.problem, "why not")
    assert room.phase() == "out"
    room.seat.until(lambda: room.devices.streams == 0, "no microphone is open")
    room.enter()
    assert not room.bar.state.problem


def test_what_was_tried_before_changes_nothing(room: Room) -> None:
    """Neither a room that was left while it was entered, nor one that refuses once another is chosen."""
    bar = room.bar
    bar.enter(room.channel, "#garden")
    bar.leave()
    bar.enter("ff" * 32, "#elsewhere")
    room.enter()
    room.seat.until(lambda: bar.state.others_in(room.channel) == 1)
    room.seat.do(asyncio.sleep(0.2))
    assert (room.phase(), bar.state.problem) == ("in", "")
    assert room.voice().state == "in"
    assert room.devices.streams == 2


def test_whoever_cannot_come_in_to_the_end_is_not_in(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise InvalidInput("There is no microphone mic.")

    monkeypatch.setattr(Voice, "choose_microphone", gone)
    room.bar.enter(room.channel, "#garden")
    room.seat.until(lambda: room.bar.state.problem == "There is no microphone mic.")
    assert room.phase() == "out"
    room.seat.until(lambda: room.devices.streams == 0, "nothing is heard")
    room.seat.until(lambda: room.main.opened.engine.rooms.present is None, "the room is left")


def test_without_a_microphone_one_listens_and_is_told(room: Room) -> None:
    room.devices.unplug("mic")
    room.enter()
    assert "You only listen" in room.bar.state.said


def test_a_call_holds_the_room_and_a_room_is_not_entered_in_a_call(room: Room) -> None:
    room.enter()
    room.call("incoming")
    assert not room.held(), "it only rings"
    room.call("active")
    assert room.held()
    room.seat.until(lambda: room.voice().muted and room.voice().deafened)
    room.call("ended")
    assert not room.held()
    room.seat.until(lambda: not room.voice().muted and not room.voice().deafened)
    room.bar.leave()
    room.call("active")
    room.bar.enter(room.channel, "#garden")
    assert room.phase() == "out"
    assert "in a call" in room.bar.state.problem
    room.bar.forget()
    assert room.bar.state.problem == ""


def test_who_speaks_how_loud_and_whose_screen(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    bar, tell = room.bar, room.seat.events.tell

    async def people(_: str) -> list[str]:
        return [room.main.opened.engine.me, BERT]

    monkeypatch.setattr(room.main.opened.engine.rooms, "people", people)
    room.enter()
    room.seat.until(lambda: len(bar.state.speakers) == 2)
    assert bar.state.speakers[0].me
    tell(SpeakingChanged(room.channel, BERT, True))
    assert [one.key for one in bar.state.speakers if one.speaking] == [BERT]
    tell(SpeakingChanged(room.channel, "", True))
    assert all(one.speaking for one in bar.state.speakers)
    bar.set_volume(BERT, 250)
    assert bar.state.speakers[1].volume == 200
    tell(ScreenChanged(room.channel, BERT, True))
    assert bar.state.speakers[1].screen
    assert room.main.talk.state.stage is not None, "it is looked at when there is room"
    bar.look_away()
    assert not staged(room)
    bar.look(BERT)
    assert staged(room)
    tell(ScreenChanged(room.channel, BERT, False))
    assert not staged(room)
    tell(ScreenChanged(room.channel, "", False, "The display is gone."))
    assert bar.state.problem == "The display is gone."


def test_a_screen_that_was_there_before_is_looked_at_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar, tell = room.bar, room.seat.events.tell
    shows = [BERT]

    async def people(_: str) -> list[str]:
        return [room.main.opened.engine.me, BERT]

    monkeypatch.setattr(room.main.opened.engine.rooms, "people", people)
    monkeypatch.setattr(Screens, "shown", property(lambda _: shows))
    bar.enter(room.channel, "#garden")
    tell(ScreenChanged(room.channel, BERT, True))  # before one is in, and before the speakers are known
    room.seat.until(lambda: staged(room), "the screen")
    bar.look_away()
    bar._refresh.now()
    room.seat.until(lambda: not bar._refresh._reading, "another look at the people")
    assert not staged(room), "who has looked away does not look again"
    tell(ScreenChanged(room.channel, BERT, False))
    tell(ScreenChanged(room.channel, BERT, True))
    assert staged(room), "it is another one"


def test_what_ends_a_room_is_told(room: Room) -> None:
    room.enter()
    room.seat.events.tell(VoiceLeft(room.channel, "You were removed from this channel."))
    assert room.phase() == "out"
    assert "removed" in room.bar.state.problem
    room.seat.events.tell(VoiceChanged(room.channel, "#garden", ()))
    assert room.bar.state.others_in(room.channel) == 0


def test_locking_leaves_the_room(room: Room) -> None:
    room.enter()
    room.seat.desktop.lock()
    room.seat.until(lambda: room.devices.streams == 0, "the devices are let go")


def staged(room: Room) -> bool:
    """Whether a screen stands in the middle."""
    return room.main.talk.state.stage is not None
