"""`mobium call` and `mobium answer`: two processes, files for microphones and speakers, a real server."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mobium.client import CallChanged, Engine
from mobium.client.transport import dial
from mobium.media.link import MemoryNetwork
from mobium.media.sources import FileSource
from mobium_client.cli import call as command
from tests.support.calls import phones
from tests.support.commands import PASSWORD, Desk
from tests.support.engines import World, fast_vault, settle
from tests.support.hearing import coded, understood
from tests.support.server import ServerProcess, server
from tests.support.sound import speech

pytestmark = pytest.mark.needs("libopus", "espeak-ng")
pytest.importorskip("aiortc")

ANNA = "The quick brown fox jumps over the lazy dog."
BOB = "We were away a year ago, and nobody knew."
PATIENCE = 60.0

Pair = tuple[Desk, Desk, ServerProcess]


@pytest.fixture
def friends(talking: Pair) -> Pair:
    """Two who have compared their safety numbers, and may learn each other's address."""
    anna, bob, _ = talking

    async def work() -> None:
        async with (
            Engine.open(anna.profile("anna"), PASSWORD) as first,
            Engine.open(bob.profile("bob"), PASSWORD) as second,
        ):
            for engine in (first, second):
                await engine.connect()
            await settle(first, second)
            for one, other in ((first, second), (second, first)):
                await one.wait(await one.send(other.me, "hello"), "delivered", 20)
            for one, other in ((first, second), (second, first)):
                await one.contacts.verify(other.me)

    asyncio.run(work())
    return talking


def written(folder: Path, name: str, text: str) -> Path:
    """Speech in a file."""
    path = folder / f"{name}.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(speech(text))
    return path


def recorded(path: Path) -> bytes:
    with FileSource(path) as source:
        return b"".join(iter(source.read, None))


def until(process: subprocess.Popen[bytes], text: str) -> None:
    """Wait until a command has said something on standard error."""
    assert process.stderr is not None
    guard = threading.Timer(PATIENCE, process.kill)
    guard.start()
    try:
        for line in process.stderr:
            if text in line.decode():
                return
    finally:
        guard.cancel()
    raise AssertionError(f"it ended without saying “{text}”")


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.serial
def test_two_commands_talk_with_each_other(friends: Pair, tmp_path: Path) -> None:
    anna, bob, _ = friends
    said = {name: written(tmp_path, name, text) for name, text in (("anna", ANNA), ("bob", BOB))}
    heard = {name: tmp_path / f"{name}-heard.wav" for name in said}
    waiting = bob.start("answer", "anna", "--input", str(said["bob"]), "--record", str(heard["bob"]))
    try:
        until(waiting, "waiting for a call")
        result = anna.run(
            "call", "bob", "--input", str(said["anna"]), "--record", str(heard["anna"]), "--seconds", "20"
        )
        code, _, err = ended(waiting)
    finally:
        waiting.kill()
    assert code == 0, err
    assert "anna calls" in err
    assert "talking with anna" in err
    for line in ("calling bob", "talking with bob", "the call is over"):
        assert line in result.err
    scores = {
        "anna": understood(coded(speech(ANNA)), recorded(heard["bob"])),
        "bob": understood(coded(speech(BOB)), recorded(heard["anna"])),
    }
    print(scores)
    assert scores["anna"] > 0.7, "whoever has said everything hangs up"


@pytest.mark.parametrize(("end", "ends"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_in_json_and_until_interrupted_or_ended(friends: Pair, tmp_path: Path, end: int, ends: int) -> None:
    anna, bob, _ = friends
    record = str(tmp_path / "heard.wav")
    waiting = bob.start("answer", "--json", "--record", record)
    calling = anna.start("call", "bob", "--record", str(tmp_path / "other.wav"))
    try:
        until(calling, "talking with bob")
        calling.send_signal(end)
        assert ended(calling)[0] == ends
        code, out, _ = ended(waiting)
    finally:
        waiting.kill()
        calling.kill()
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["state"] for line in lines] == ["incoming", "connecting", "active", "ended"]
    assert {line["nickname"] for line in lines} == {"anna"}
    assert lines[-1]["code"] == "hung_up"


def test_whoever_was_not_named_is_declined(friends: Pair, tmp_path: Path) -> None:
    anna, bob, server = friends
    del server
    bob.run("contact", "add", "ab" * 32, "carol")
    waiting = bob.start("answer", "carol", "--record", str(tmp_path / "heard.wav"))
    try:
        until(waiting, "waiting for a call")
        result = anna.run("call", "bob", "--record", str(tmp_path / "other.wav"), code=1)
        assert "declined" in result.err.splitlines()[-1]
        waiting.send_signal(signal.SIGINT)
        assert ended(waiting)[0] == 130
    finally:
        waiting.kill()


async def test_a_call_that_is_over_before_it_is_looked_at_ends_no_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is somebody else's taken in its place: whoever calls and gives up at once must not keep a program
    from the next call.
    """
    works: list[Any] = []
    shown: list[str] = []
    monkeypatch.setattr(command, "run_async", works.append)
    fast_vault(monkeypatch)
    async with (
        server(tmp_path / "server") as one,
        World(tmp_path, dial, one.url) as world,
        phones(world, MemoryNetwork().maker, "anna", "bob", "eve") as (anna, bob, eve),
    ):

        @asynccontextmanager
        async def telephone(*_: object) -> AsyncIterator[object]:
            yield bob.engine, bob.engine.events()

        async def show(_run: object, _engine: object, _talk: object, event: Any) -> None:
            if not isinstance(event, CallChanged):
                return
            shown.append(f"{event.state} {event.peer}")
            if event.state == "incoming" and event.peer == eve.me:  # while it is shown the call is given up
                ending = bob.calls.current.call
                await eve.calls.hang_up()
                await bob.ear.next(CallChanged, lambda told: (told.call, told.state) == (ending, "ended"))
                await anna.call(bob)
                await anna.state("ringing")

        monkeypatch.setattr(command, "_telephone", telephone)
        monkeypatch.setattr(command, "_show", show)
        talk = command.Talk(None, None, None, None, None, None, as_json=True)
        for peer in (anna.me, None):  # one whose call is to be declined, and one whose call is to be taken
            command.answer(None, peer, talk)  # type: ignore[arg-type]
            waiting = asyncio.create_task(works.pop())
            await eve.call(bob)
            await anna.state("active")
            await anna.calls.hang_up()
            await waiting
            taken = [f"{state} {anna.me}" for state in ("incoming", "connecting", "active", "ended")]
            assert shown == [f"incoming {eve.me}", *taken]
            shown.clear()


def test_without_a_relay_an_unverified_contact_is_not_called(talking: Pair, tmp_path: Path) -> None:
    anna, _, _ = talking
    result = anna.run("call", "bob", "--record", str(tmp_path / "heard.wav"), code=1)
    assert "verify the contact" in result.err


def test_what_cannot_be_called_or_said(talking: Pair, tmp_path: Path) -> None:
    anna, _, _ = talking
    record = ("--record", str(tmp_path / "heard.wav"))
    assert "no contact" in anna.run("call", "nobody", *record, code=2).sentence
    assert "Only contacts" in anna.run("call", "cd" * 32, *record, code=2).sentence
    assert "cannot be read as sound" in anna.run("call", "bob", "--input", __file__, code=2).sentence
    assert "no contact" in anna.run("answer", "nobody", *record, code=2).sentence


def test_the_address_is_hidden_by_a_word(anna: Desk) -> None:
    assert anna.run("profile", "hide-address").out == "off\n"
    assert "relay" in anna.run("profile", "hide-address", "on").err
    assert anna.run("profile", "hide-address").out == "on\n"
    assert "verified contacts" in anna.run("profile", "hide-address", "off").err.lower()
    assert "on or off" in anna.run("profile", "hide-address", "perhaps", code=2).sentence
