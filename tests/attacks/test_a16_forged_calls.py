"""A16: the server changes a DTLS fingerprint or a candidate in the set-up of a call, repeats it, or says that
it comes from somebody else; and somebody who is called by two connects them with each other (docs/CRYPTO.md
section 8).

The links are real ones (WebRTC on this machine), since what is attacked is what they do with a description.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mobium.client import CallChanged, signals
from mobium.client.store.database import Tx
from mobium.crypto.call import call_binding
from mobium.media.description import Candidate, read, write
from mobium.media.link import PeerLink
from mobium.protocol import content
from mobium.protocol import messages as m
from mobium.protocol.content import Call
from tests.support.calls import Phone, phones, states, talking
from tests.support.engines import World, online
from tests.support.hostile import HostileServer
from tests.support.links import Hearer, ice_on_loopback, terms

pytest.importorskip("aiortc")
pytestmark = pytest.mark.needs("libopus")

from mobium.media.peer import RtcLink, _Insides  # noqa: E402

Cheat = Callable[[bytes, m.SendSignal], Iterable[tuple[bytes, m.Signal]]]


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    ice_on_loopback(monkeypatch)
    monkeypatch.setattr("mobium.client.call_state.REPEAT", 0.3)


# ---------------------------------------------------------------- what a server can do


def flipped(sender: bytes, sent: m.SendSignal) -> Iterable[tuple[bytes, m.Signal]]:
    """One bit is another one, somewhere in the ciphertext."""
    payload = bytearray(sent.payload)
    payload[-100] ^= 1
    return ((sent.recipient, m.Signal(sender, bytes(payload))),)


def invented(sender: bytes, sent: m.SendSignal) -> Iterable[tuple[bytes, m.Signal]]:
    """Bytes of the same size that begin alike."""
    payload = sent.payload[:200] + os.urandom(len(sent.payload) - 200)
    return ((sent.recipient, m.Signal(sender, payload)),)


def plain(sender: bytes, sent: m.SendSignal) -> Iterable[tuple[bytes, m.Signal]]:
    """No ciphertext at all, but the content itself."""
    call = Call(os.urandom(16), 1_800_000_000_000, os.urandom(16), "offer", 0, "v=0\r\n")
    return ((sent.recipient, m.Signal(sender, content.encode(call).ljust(len(sent.payload), b"\0"))),)


@pytest.mark.parametrize("cheat", [flipped, invented, plain])
async def test_a_changed_set_up_is_nothing(folder: Path, cheat: Cheat) -> None:
    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, RtcLink, "alice", "bob") as (alice, bob),
    ):
        server.cheat.signal = cheat
        await alice.call(bob)
        await server.until(lambda: len(server.signals) >= 2, "an offer that is repeated")
        assert states(bob) == []
        server.be_honest()
        await bob.state("incoming")  # the next one that is left alone
        server.cheat.signal = cheat
        await bob.calls.accept()
        await bob.state("connecting")
        await asyncio.sleep(0.5)
        assert "active" not in states(alice) + states(bob)
        server.be_honest()
        await alice.state("active")  # the answer is repeated as long as the offer is
        await bob.state("active")


async def test_a_repeated_set_up_rings_once(folder: Path) -> None:
    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, RtcLink, "alice", "bob") as (alice, bob),
    ):
        await talking(alice, bob)
        await alice.calls.hang_up()
        await bob.state("ended")
        before = len(bob.ear.heard)
        for sender, sent in list(server.signals):
            await server.say(sent.recipient, m.Signal(sender, sent.payload))
        await bob.engine.contacts.rename(alice.me, "Alice again")
        await talking(alice, bob)
        told = [event.state for event in bob.ear.heard[before:] if isinstance(event, CallChanged)]
        assert told == ["incoming", "connecting", "active"]


async def test_a_set_up_of_somebody_else_is_nothing(folder: Path) -> None:
    """What Eve says, delivered as if Alice had said it, and the other way round."""
    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, RtcLink, "alice", "bob", "eve") as (alice, bob, eve),
    ):
        swap = {bytes.fromhex(alice.me): bytes.fromhex(eve.me)}
        swap |= {value: key for key, value in swap.items()}
        server.cheat.signal = lambda sender, sent: (
            (sent.recipient, m.Signal(swap.get(sender, sender), sent.payload)),
        )
        await alice.call(bob)
        await eve.call(bob)
        await server.until(lambda: len(server.signals) >= 4, "offers that are repeated")
        assert states(bob) == []


# ---------------------------------------------------------------- without the ratchet


class Between:
    """The server in the middle: a link of its own towards either side, and what is heard on it."""

    def __init__(self, alice: Phone, bob: Phone) -> None:
        self.people = bytes.fromhex(alice.me), bytes.fromhex(bob.me)
        self.ears = Hearer(), Hearer()
        self.links: list[PeerLink] = []
        self._offers: dict[bytes, str] = {}

    async def close(self) -> None:
        for link in self.links:
            await link.close()

    async def change(self, sender: bytes, said: Call) -> Call:
        """Put a description of one's own in the place of what was said."""
        caller, called = self.people
        if said.step == "offer":
            ours = (
                call_binding(said.call_id, 0, caller, called),
                call_binding(said.call_id, 0, called, caller),
            )
            link = RtcLink(terms(*ours), self.ears[1])
            self._offers[said.call_id] = said.sdp or ""
            sdp = await link.offer()
        else:
            ours = (
                call_binding(said.call_id, 0, called, caller),
                call_binding(said.call_id, 0, caller, called),
            )
            link = RtcLink(terms(*ours), self.ears[0])
            await self.links[0].accept(said.sdp or "")
            sdp = await link.answer(self._offers[said.call_id])
        self.links.append(link)
        return Call(said.id, said.sent, said.call_id, said.step, said.attempt, sdp, said.reason)


def wrapped(plaintext: bytes) -> bytes:
    return b"\x01" + len(plaintext).to_bytes(4, "big") + plaintext.ljust(2_048, b"\0")


def unwrapped(payload: bytes) -> bytes:
    return payload[5 : 5 + int.from_bytes(payload[1:5], "big")]


def without_the_ratchet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals travel as they are: the defence, off."""

    def seal(tx: Tx, recipient: bytes, plaintext: bytes, now: int) -> bytes:
        return wrapped(plaintext)

    def open_(tx: Tx, identity: Any, signal: m.Signal, now: int) -> Any:
        return content.decode(unwrapped(signal.payload), "voice_signal"), False

    monkeypatch.setattr(signals, "_seal", seal)
    monkeypatch.setattr(signals, "_open", open_)


async def test_without_the_ratchet_the_server_listens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_the_ratchet(monkeypatch)
    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, RtcLink, "alice", "bob") as (alice, bob),
    ):
        between = Between(alice, bob)
        waiting: asyncio.Queue[tuple[bytes, m.SendSignal]] = asyncio.Queue()

        def cheat(sender: bytes, sent: m.SendSignal) -> Iterable[tuple[bytes, m.Signal]]:
            waiting.put_nowait((sender, sent))
            return ()

        server.cheat.signal = cheat
        meddling = asyncio.create_task(meddle(server, between, waiting))
        await talking(alice, bob)
        for ear in between.ears:
            await ear.until(lambda ear=ear: ear.is_connected and len(ear.packets) > 5)  # type: ignore[misc]
        meddling.cancel()
        await asyncio.gather(meddling, between.close(), return_exceptions=True)


async def meddle(
    server: HostileServer, between: Between, waiting: asyncio.Queue[tuple[bytes, m.SendSignal]]
) -> None:
    """Put the server's own descriptions in the place of what the two say."""
    changed: dict[str, Call] = {}
    while True:
        sender, sent = await waiting.get()
        said = content.decode(unwrapped(sent.payload), "voice_signal")
        assert isinstance(said, Call)
        if said.sdp is not None:
            if said.step not in changed:
                changed[said.step] = await between.change(sender, said)
            said = changed[said.step]
        await server.say(sent.recipient, m.Signal(sender, wrapped(content.encode(said))))


# ---------------------------------------------------------------- one who is called by two


class Mallory:
    """A contact of both, who answers the call of one with the machine of the other."""

    def __init__(self, phone: Phone, alice: Phone, bob: Phone) -> None:
        self.phone = phone
        self.alice, self.bob = bytes.fromhex(alice.me), bytes.fromhex(bob.me)
        self.calls: dict[bytes, bytes] = {}
        self._tasks: set[asyncio.Task[bool]] = set()
        online(phone.engine).signals._heard = self._heard

    def _heard(self, sender: bytes, said: Any) -> None:
        assert isinstance(said, Call)
        if sender == self.alice and said.step == "offer":
            self.calls.setdefault(self.alice, said.call_id)
            self._say(self.bob, replace_call(said, self.calls.setdefault(self.bob, os.urandom(16))))
        elif sender == self.bob and said.step in {"ringing", "answer"}:
            self._say(self.alice, replace_call(said, self.calls[self.alice]))

    def _say(self, to: bytes, said: Call) -> None:
        task = asyncio.ensure_future(online(self.phone.engine).signals.send(to, said))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def replace_call(said: Call, call: bytes) -> Call:
    return Call(os.urandom(16), said.sent, call, said.step, said.attempt, said.sdp, said.reason)


async def passed_on(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Alice calls Mallory, who calls Bob with her description: the states, and the codes of the ends."""
    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, RtcLink, "alice", "bob", "mallory") as (alice, bob, mallory),
    ):
        Mallory(mallory, alice, bob)
        await alice.call(mallory)
        await bob.state("incoming")
        await bob.calls.accept()
        codes = []
        for one in (alice, bob):
            event = await one.ear.next(CallChanged, lambda event: event.state in {"active", "ended"})
            codes.append(event.code)
        return states(alice), states(bob), codes


async def test_two_who_are_connected_by_a_third_notice(folder: Path) -> None:
    alice, bob, codes = await passed_on(folder)
    assert "active" not in alice + bob
    assert "forged" in codes


async def test_without_the_binding_each_takes_the_other_for_the_third(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(self: _Insides, parameters: Any) -> None:
        self._check_identity(parameters)

    monkeypatch.setattr(_Insides, "_validate", careless)  # the defence, off
    alice, bob, _ = await passed_on(folder)
    assert "active" in alice
    assert "active" in bob


# ---------------------------------------------------------------- candidates


class Abroad(RtcLink):
    """A link on a machine that has other addresses than 127.0.0.1."""

    async def _begin(self) -> Any:
        connection = await super()._begin()
        self._loopback = False
        return connection


@pytest.mark.parametrize("maker", [Abroad, RtcLink])
async def test_addresses_of_one_s_own_machine_are_not_knocked_at(maker: type[RtcLink]) -> None:
    """A contact names 127.0.0.1 as his own address, where something of ours may listen. On a machine that has
    no other address, as in these tests, it is tried.
    """
    knocks: list[bytes] = []

    class Door(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            knocks.append(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Door, local_addr=("127.0.0.1", 0))
    one, other = RtcLink(terms(), Hearer()), maker(terms("b" * 64, "a" * 64), Hearer())
    given = read(await one.offer(), "offer")
    port = transport.get_extra_info("sockname")[1]
    door = Candidate("1", 2**31 - 1, ip_address("127.0.0.1"), port, "host")
    elsewhere = Candidate("2", 1, ip_address("192.0.2.1"), 9, "host")
    await other.answer(write(replace(given, candidates=(door, elsewhere))))
    await asyncio.sleep(0.5)
    await asyncio.gather(one.close(), other.close())
    transport.close()
    assert bool(knocks) == (maker is RtcLink)
