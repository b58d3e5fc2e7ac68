"""A17: server B passes server A's login challenge on to a client, to be at A who the client is
(docs/CRYPTO.md section 9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from mobium.client import Engine
from mobium.client.address import Address
from mobium.client.transport import Transport, TransportClosed, memory_pair
from mobium.errors import NotConnected, ServerKeyChanged, ServerRefused
from mobium.protocol import codec
from mobium.protocol import messages as m
from mobium.protocol.handshake import client_input
from mobium.signing import SigningKey
from tests.attacks.people import Scene
from tests.support.hostile import HostileServer, altered
from tests.support.server import log_in, server

MALLORYS = SigningKey.generate()


class Relay:
    """Server B, which has a connection to A for each of its clients, and may change what passes."""

    def __init__(self, a: HostileServer, *, host: str | None = None, key: bytes | None = None) -> None:
        self._a = a
        self._host = host
        self._key = key
        self._tasks: set[asyncio.Task[None]] = set()
        self.passed: list[object] = []

    async def connect(self, _address: Address) -> Transport:
        ours, theirs = memory_pair()
        upstream = await self._a.connect(Address("", "", secure=False))
        for source, sink, change in ((theirs, upstream, self._up), (upstream, theirs, self._down)):
            task = asyncio.ensure_future(self._pump(source, sink, change))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return ours

    async def _pump(self, source: Transport, sink: Transport, change: Callable[[bytes], bytes]) -> None:
        try:
            while True:
                await sink.send(change(await source.receive()))
        except TransportClosed:
            await source.close()
            await sink.close()

    def _up(self, frame: bytes) -> bytes:
        message = codec.decode_client(frame)
        if isinstance(message, m.Auth) and self._host is not None:
            frame = codec.encode(altered(message, host=self._host))
        return frame

    def _down(self, frame: bytes) -> bytes:
        message = codec.decode_server(frame)
        self.passed.append(message)
        if isinstance(message, m.AuthChallenge) and self._key is not None:
            frame = codec.encode(altered(message, server_key=self._key))
        return frame


RELAYS: dict[str, tuple[str | None, bytes | None, str]] = {
    "everything as it is": (None, None, "wrong_host"),
    "with A's name": ("a.test:80", None, "auth_failed"),
    "with B's key": (None, MALLORYS.public, "auth_failed"),
    "with A's name and B's key": ("a.test:80", MALLORYS.public, "auth_failed"),
    "with another port of B": ("b.test:81", None, "auth_failed"),
}


async def attack(scene: Scene, a: HostileServer, host: str | None, key: bytes | None) -> tuple[Engine, Relay]:
    """A client dials B, which relays to A."""
    relay = Relay(a, host=host, key=key)
    return await scene.world.engine("alice", connect=False, connector=relay.connect), relay


@pytest.mark.parametrize("relay", RELAYS)
async def test_a_relayed_login_is_refused(relay: str, folder: Path) -> None:
    host, key, code = RELAYS[relay]
    async with HostileServer("a.test") as a, Scene(folder) as scene:
        alice, passed = await attack(scene, a, host, key)
        with pytest.raises(ServerRefused) as refused:
            await alice.connect("ws://b.test/ws")
        assert refused.value.code == code
        assert a.accounts == {}
        assert {type(message) for message in passed.passed} == {m.AuthChallenge, m.Error}
        assert alice.connection == "offline"  # and it does not try again by itself
        assert (info := await alice.server()) is not None
        assert info.key == ""  # nothing was pinned

        alice._connecting._connector = scene.server.connect
        await alice.connect(scene.server.url)
        assert set(scene.server.accounts) == {bytes.fromhex(alice.me)}


async def test_a_client_that_knows_b_answers_no_challenge_of_a(folder: Path) -> None:
    async with HostileServer("a.test") as a, HostileServer("b.test") as b, Scene(folder) as scene:
        async with scene.world.opened("alice", connect=False, connector=b.connect) as alice:
            await alice.connect("ws://b.test/ws")
        alice, _ = await attack(scene, a, "a.test:80", None)
        with pytest.raises(ServerKeyChanged) as changed:
            await alice.connect("ws://b.test/ws")
        assert (changed.value.pinned, changed.value.offered) == (b.key.public, a.key.public)
        assert a.accounts == {}


@pytest.mark.parametrize("relay", ["with A's name", "with A's name and B's key"])
async def test_without_host_and_key_in_the_signature_b_is_the_client(
    relay: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poorer(nonce_s: bytes, nonce_c: bytes, _key: bytes, ed: bytes, x: bytes, _host: str) -> bytes:
        return client_input(nonce_s, nonce_c, bytes(32), ed, x, "")

    monkeypatch.setattr("mobium.protocol.connection.client_input", poorer)  # the defence, off
    host, key, _ = RELAYS[relay]
    async with HostileServer("a.test") as a, Scene(folder) as scene:
        alice, passed = await attack(scene, a, host, key)
        await alice.connect("ws://b.test/ws", wait=False)
        await a.until(lambda: bool(a.accounts), "a login")
        assert set(a.accounts) == {bytes.fromhex(alice.me)}
        await a.until(lambda: m.AuthSuccess in map(type, passed.passed), "a welcome")


async def test_a_server_answers_to_its_own_names_alone(tmp_path: Path) -> None:
    async with server(tmp_path, public_hosts=("a.test",)) as running:
        for host in ("b.test:80", "a.test.b.test:80", "127.0.0.1:80", "localhost:80", "xn--a.test:80"):
            with pytest.raises(ServerRefused) as refused:
                await log_in(running.url, host=host)
            assert refused.value.code == "wrong_host"
        await (await log_in(running.url, host="a.test:80")).close()


async def test_without_the_check_a_server_answers_to_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium_server.app.accepts_host", lambda *_: True)  # the defence, off
    async with server(tmp_path, public_hosts=("a.test",)) as running:
        await (await log_in(running.url, host="b.test:80")).close()


async def test_a_server_that_cannot_prove_its_key_is_not_believed(folder: Path) -> None:
    """B shows A's key as its own, and answers the login itself."""
    async with HostileServer("b.test") as b, HostileServer("a.test") as a, Scene(folder) as scene:
        honest = b.key

        class Pretender(SigningKey):
            def sign(self, message: bytes) -> bytes:
                return honest.sign(message)

        b.key = Pretender.from_seed(a.key.seed)
        alice = await scene.world.engine("alice", connect=False, connector=b.connect)
        with pytest.raises(NotConnected, match="did not prove"):
            await alice.connect("ws://b.test/ws")
        assert (info := await alice.server()) is not None
        assert info.key == ""
