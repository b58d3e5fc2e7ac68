"""Calls through a relay alone, which is the real coturn: nothing that is sent names a machine's address, and
what goes wrong with a relay has a sentence and an end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from mobium.client.transport import dial
from mobium.errors import CallError
from mobium.media.description import read
from mobium.media.link import IceServer, LinkListener, Terms
from mobium_server.app import Server
from mobium_server.ice import turn_credentials
from tests.support.calls import Mouth, Phone, phones, talking
from tests.support.engines import World, fast_folder, fast_vault
from tests.support.hearing import coded, understood
from tests.support.links import Hearer, nothing_left, terms
from tests.support.programs import Program
from tests.support.server import server
from tests.support.sound import SHORT, speech
from tests.support.turn import turn_server

pytestmark = [pytest.mark.once, pytest.mark.needs("turnserver", "libopus", "espeak-ng")]
pytest.importorskip("aiortc")

from mobium.media.peer import RtcLink  # noqa: E402

SECRET = "0123456789abcdef0123456789abcdef"
HOME = "127.0.0.2"
"""The machine's own address, which is not the relay's."""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    fast_vault(monkeypatch)
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [HOME])
    with fast_folder() as made:
        yield made


@contextmanager
def relay(tmp_path: Path) -> Iterator[Program]:
    with turn_server(tmp_path / "turn", SECRET) as turn:
        yield turn


@asynccontextmanager
async def office(folder: Path, port: int, secret: str = SECRET) -> AsyncIterator[Server]:
    url = f"turn:127.0.0.1:{port}"
    async with server(folder / "server", ice_turn_url=url, ice_turn_secret=secret) as one:
        yield one


class Recorded(RtcLink):
    """A link that keeps what it says of itself, and of whom it learns."""

    said: list[str]
    made: list[Terms]

    def __init__(self, terms: Terms, listener: LinkListener) -> None:
        super().__init__(terms, listener)
        self.made.append(terms)

    async def offer(self) -> str:
        self.said.append(await super().offer())
        return self.said[-1]

    async def answer(self, offer: str) -> str:
        self.said.append(await super().answer(offer))
        return self.said[-1]


def recorded() -> type[Recorded]:
    class Kept(Recorded):
        said: list[str] = []  # noqa: RUF012
        made: list[Terms] = []  # noqa: RUF012

    return Kept


def sockets() -> list[Any]:
    """The UDP sockets of this process."""
    return list(psutil.Process().net_connections("udp"))


@pytest.mark.serial
async def test_nobody_s_address_is_in_what_is_sent(folder: Path, tmp_path: Path) -> None:
    maker = recorded()
    before = sockets()
    with relay(tmp_path) as turn:
        async with (
            office(folder, turn.port) as one,
            World(folder, dial, one.url) as world,
            phones(world, maker, "alice", "bob", verified=False, alice=Mouth(speech(SHORT))) as (alice, bob),
        ):
            await talking(alice, bob)
            assert [made.relay_only for made in maker.made] == [True, True]
            # Neither is there a socket from which anything could go anywhere else.
            ours = [each for each in sockets() if each not in before]
            assert ours
            for each in ours:
                assert each.laddr.ip != HOME
                assert each.raddr == ("127.0.0.1", turn.port)
            assert isinstance(alice.mouth, Mouth)
            alice.mouth.speaks = True
            await asyncio.sleep(len(speech(SHORT)) / 96_000 + 0.7)
            score = understood(coded(speech(SHORT)), bob.heard.pcm)
            print(f"through a relay: STOI {score:.3f}")
            assert score > 0.8
            await bob.calls.hang_up()
            await alice.state("ended", "hung_up")
            assert len(maker.said) == 2
            for kind, text in zip(("offer", "answer"), maker.said, strict=True):
                assert HOME not in text
                found = read(text, kind).candidates  # type: ignore[arg-type]
                assert {one.type for one in found} == {"relay"}
        assert set(sockets()) <= set(before)


async def test_whoever_hides_the_address_hides_it_from_friends_too(folder: Path, tmp_path: Path) -> None:
    maker = recorded()
    with relay(tmp_path) as turn:
        async with (
            office(folder, turn.port) as one,
            World(folder, dial, one.url) as world,
            phones(world, maker, "alice", "bob") as (alice, bob),
        ):
            await alice.calls.set_hide_address(True)
            await talking(alice, bob)
            assert [made.relay_only for made in maker.made] == [True, False]
            assert HOME not in maker.said[0]
            assert HOME in maker.said[1], "Bob has verified her, and hides nothing"


# ---------------------------------------------------------------- relays that do not help


async def refused(alice: Phone, bob: Phone) -> CallError:
    with pytest.raises(CallError) as caught:
        await alice.call(bob)
    assert alice.calls.current is None
    return caught.value


async def test_without_a_relay_a_sentence_says_what_to_do(folder: Path) -> None:
    async with (
        server(folder / "server") as one,
        World(folder, dial, one.url) as world,
        phones(world, RtcLink, "alice", "bob", verified=False) as (alice, bob),
    ):
        error = await refused(alice, bob)
        assert error.code == "no_relay"
        assert "verify the contact" in str(error)
        assert "TURN" in str(error)


async def test_credentials_that_the_relay_refuses_end_the_call_with_a_sentence(
    folder: Path, tmp_path: Path
) -> None:
    with relay(tmp_path) as turn:
        async with (
            office(folder, turn.port, "f" * 32) as one,
            World(folder, dial, one.url) as world,
            phones(world, RtcLink, "alice", "bob", verified=False) as (alice, bob),
            nothing_left(),
        ):
            await alice.call(bob)
            event = await alice.state("ended", "no_relay")
            assert "credentials" in event.reason


async def test_a_relay_that_does_not_answer_ends_the_call_with_a_sentence(folder: Path) -> None:
    async with (
        office(folder, 9) as one,
        World(folder, dial, one.url) as world,
        phones(world, RtcLink, "alice", "bob", verified=False) as (alice, bob),
        nothing_left(),
    ):
        began = time.monotonic()
        await alice.call(bob)
        event = await alice.state("ended", "no_relay")
        print(f"after {time.monotonic() - began:.1f} s")
        assert "did not answer" in event.reason


async def test_a_relay_that_goes_away_does_not_keep_a_link_from_closing(folder: Path, tmp_path: Path) -> None:
    with relay(tmp_path) as turn:
        name, credential = turn_credentials(SECRET, int(time.time()) + 600, b"x" * 12)
        servers = (IceServer(f"turn:127.0.0.1:{turn.port}", name, credential),)
        async with nothing_left():
            first, second = Hearer(), Hearer()
            one = RtcLink(terms(servers=servers, relay_only=True), first)
            other = RtcLink(terms("b" * 64, "a" * 64, servers=servers, relay_only=True), second)
            await one.accept(await other.answer(await one.offer()))
            await first.until(lambda: first.is_connected)
            turn.process.kill()
            turn.process.wait(20)
            for link in (one, other):
                async with asyncio.timeout(8):
                    await link.close()
