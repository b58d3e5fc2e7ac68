"""The link against a scripted server over the in-memory transport: login, order, answers, and its ends."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from mobium.client.address import Address
from mobium.client.link import Link
from mobium.client.transport import MemoryTransport, Transport, memory_pair
from mobium.errors import MobiumError, NotConnected, ServerKeyChanged, ServerRefused
from mobium.protocol import codec
from mobium.protocol import messages as m
from mobium.protocol.connection import LoggedIn, ServerConnection, Welcome
from mobium.signing import SigningKey
from tests.protocol.test_connection import ALICE, ALLOWED

pytestmark = pytest.mark.once

ADDRESS = Address("ws://server.test/ws", "server.test:80", False)
Script = Callable[["Server"], Awaitable[None]]


class Server:
    """One connection's server end: logs the client in, then runs a script."""

    def __init__(self, end: MemoryTransport, key: SigningKey) -> None:
        self.end = end
        self.core = ServerConnection(key, lambda name: name == "server.test", 1 << 20)

    async def log_in(self) -> None:
        await self.end.send(self.core.challenge())
        assert isinstance(self.core.receive(await self.end.receive()), LoggedIn)
        await self.end.send(self.core.welcome(2, ALLOWED))

    async def get(self) -> Any:
        return codec.decode_client(await self.end.receive())

    async def put(self, *messages: m.ServerMessage) -> None:
        for message in messages:
            await self.end.send(codec.encode(message))


@dataclass
class Rig:
    """A link, what it told, and the server that it dials: one script for each connection, in order."""

    scripts: Sequence[Script | MobiumError]
    key: SigningKey = field(default_factory=SigningKey.generate)
    pinned: bytes | None = None
    states: list[tuple[str, str, float | None]] = field(default_factory=list)
    opened: list[Welcome] = field(default_factory=list)
    received: list[m.ServerMessage] = field(default_factory=list)
    delays: list[tuple[float, float]] = field(default_factory=list)
    on_open: Callable[["Rig"], Awaitable[None]] | None = None
    _servers: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.done = asyncio.Event()
        self.link = Link(
            ALICE,
            ADDRESS,
            self.pinned,
            on_open=self._open,
            on_message=self._message,
            on_state=lambda state, error, retry: self.states.append((state, type(error).__name__, retry)),
            on_media=lambda _frame: None,
            connector=self._dial,
            uniform=self._uniform,
        )

    async def _open(self, welcome: Welcome) -> None:
        self.opened.append(welcome)
        if self.on_open is not None:
            await self.on_open(self)

    async def _message(self, message: m.ServerMessage) -> None:
        self.received.append(message)

    def _uniform(self, low: float, high: float) -> float:
        self.delays.append((low, high))
        asyncio.get_running_loop().call_soon(self.link.retry_now)  # no test waits for a back-off
        return high

    async def _dial(self, address: Address) -> Transport:
        assert address == ADDRESS
        if not self.scripts:
            self.done.set()
            await asyncio.Event().wait()
        script, *self.scripts = self.scripts
        if isinstance(script, MobiumError):
            raise script
        ours, theirs = memory_pair()
        task = asyncio.ensure_future(script(Server(theirs, self.key)))
        self._servers.add(task)
        return ours

    async def run(self) -> None:
        """Run the link until the scripts are used up; an error of a server's script fails the test."""
        async with asyncio.timeout(20):
            running = asyncio.ensure_future(self.link.run())
            finished = asyncio.ensure_future(self.done.wait())
            await asyncio.wait((running, finished), return_when=asyncio.FIRST_COMPLETED)
            finished.cancel()
            if self._servers:
                await asyncio.gather(*self._servers)
            if running.done():
                await running
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running


async def test_login_then_frames_in_order_then_away() -> None:
    deliveries = [m.Delivery(n, b"i" * 16, b"k" * 32, b"%d" % n) for n in range(1, 100)]

    async def script(server: Server) -> None:
        await server.log_in()
        await server.put(*deliveries)
        await server.end.close(1000)

    rig = Rig([script])
    await rig.run()
    assert rig.received == deliveries
    [opened] = rig.opened
    assert opened == Welcome(rig.key.public, 2, ALLOWED, opened.nonce)
    assert [state for state, _, _ in rig.states] == [
        "connecting",
        "online",
        "waiting",
        "connecting",
        "offline",
    ]
    assert not rig.link.online


async def test_answers_find_their_requests_and_errors_are_raised() -> None:
    outcomes: list[object] = []

    async def ask(rig: Rig) -> None:
        first, second = await asyncio.gather(
            rig.link.request(m.GetPrekeyCount()),
            rig.link.request(m.GetPrekeyBundle(b"k" * 32)),
            return_exceptions=True,
        )
        outcomes.extend((first, second))

    async def script(server: Server) -> None:
        await server.log_in()
        asked = [await server.get(), await server.get()]
        await server.put(
            m.Error("no_prekeys", "None.", asked[1].rid, None, 4.0), m.PrekeyCount(1, 2, 3, 4, asked[0].rid)
        )
        await server.put(m.Error("queue_full", "Full.", None, b"i" * 16), m.PrekeyCount(0, 0, 0, 0, 999))
        await server.end.close()

    rig = Rig([script], on_open=ask)
    await rig.run()
    assert isinstance(outcomes[0], m.PrekeyCount)
    assert isinstance(outcomes[1], ServerRefused)
    assert (outcomes[1].code, outcomes[1].retry_after) == ("no_prekeys", 4.0)
    assert [type(message) for message in rig.received] == [m.Error, m.PrekeyCount]


async def test_a_ping_is_answered_and_never_an_answer() -> None:
    """Whatever number it carries: also that of a request that waits."""
    outcomes: list[m.ServerMessage] = []

    async def ask(rig: Rig) -> None:
        outcomes.append(await rig.link.request(m.GetPrekeyCount()))

    async def script(server: Server) -> None:
        await server.log_in()
        asked = await server.get()
        await server.put(m.Ping(asked.rid))
        assert await server.get() == m.Pong(asked.rid)
        await server.put(m.PrekeyCount(1, 2, 3, 4, asked.rid))
        await server.end.close()

    await Rig([script], on_open=ask).run()
    assert [type(outcome) for outcome in outcomes] == [m.PrekeyCount]


async def test_requests_end_when_the_connection_does() -> None:
    others: list[asyncio.Task[m.ServerMessage]] = []

    async def ask(rig: Rig) -> None:
        others.append(asyncio.create_task(rig.link.request(m.GetPrekeyCount())))
        await rig.link.request(m.GetPrekeyCount())

    async def script(server: Server) -> None:
        await server.log_in()
        for _ in range(2):
            await server.get()
        await server.end.close(1001)

    rig = Rig([script], on_open=ask)
    await rig.run()
    assert rig.states[2][:2] == ("waiting", "NotConnected")
    with pytest.raises(NotConnected):
        await asyncio.wait_for(others[0], 20)
    with pytest.raises(NotConnected):
        await rig.link.request(m.GetPrekeyCount())


async def test_an_unanswered_request_times_out() -> None:
    outcomes: list[str] = []

    async def ask(rig: Rig) -> None:
        with pytest.raises(NotConnected, match="in time"):
            await rig.link.request(m.GetPrekeyCount(), timeout=0.01)
        outcomes.append("timed out")
        await rig.link.send(m.Pong())

    async def script(server: Server) -> None:
        await server.log_in()
        await server.get()
        await server.get()
        await server.end.close()

    await Rig([script], on_open=ask).run()
    assert outcomes == ["timed out"]


async def test_pings_are_answered() -> None:
    async def script(server: Server) -> None:
        await server.log_in()
        await server.put(m.Ping(7))
        assert await server.get() == m.Pong(7)
        await server.end.close()

    rig = Rig([script])
    await rig.run()
    assert rig.received == []


async def test_backs_off_with_jitter_and_forgets_after_success() -> None:
    async def briefly(server: Server) -> None:
        await server.log_in()
        await server.end.close()

    down = NotConnected("down")
    rig = Rig([down] * 7 + [briefly] + [down])
    await rig.run()
    assert [high for _, high in rig.delays] == [2, 4, 8, 16, 30, 30, 30, 1, 2]
    assert all(low == high / 2 for low, high in rig.delays)
    assert min(retry for _, _, retry in rig.states if retry is not None) >= 1


async def test_the_server_s_own_wait_is_kept() -> None:
    async def full(server: Server) -> None:
        await server.put(m.Error("too_many_connections", "Full.", retry_after=17.0))
        await server.end.close(4429)

    rig = Rig([full])
    await rig.run()
    assert rig.states[1] == ("waiting", "ServerRefused", 17.0)


async def test_the_key_of_the_first_login_is_pinned_for_the_next() -> None:
    async def honest(server: Server) -> None:
        await server.log_in()
        await server.end.close()

    async def other(server: Server) -> None:
        server.core = ServerConnection(SigningKey.generate(), lambda _: True, 1 << 20)
        await server.end.send(server.core.challenge())

    rig = Rig([honest, other])
    with pytest.raises(ServerKeyChanged):
        await rig.run()
    assert rig.states[-1][:2] == ("offline", "ServerKeyChanged")


@pytest.mark.parametrize("code", ["auth_failed", "wrong_host", "unsupported_version"])
async def test_what_only_a_person_can_mend_is_final(code: str) -> None:
    async def refuse(server: Server) -> None:
        await server.put(m.Error(code, "No."))

    rig = Rig([refuse])
    with pytest.raises(ServerRefused):
        await rig.run()


async def test_a_newer_login_elsewhere_is_final() -> None:
    async def replace(server: Server) -> None:
        await server.log_in()
        await server.end.close(4409)

    rig = Rig([replace])
    with pytest.raises(NotConnected, match="somewhere else"):
        await rig.run()


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x93\x01\x02\x03", codec.encode(m.Ping())])
async def test_a_server_that_talks_nonsense_is_left(junk: bytes) -> None:
    async def nonsense(server: Server) -> None:
        await server.end.send(junk)

    async def nonsense_later(server: Server) -> None:
        await server.log_in()
        await server.end.send(junk if junk != codec.encode(m.Ping()) else b"\xc1")

    rig = Rig([nonsense, nonsense_later])
    await rig.run()
    assert [error for state, error, _ in rig.states if state == "waiting"] == ["NotConnected"] * 2


async def test_a_silent_server_does_not_hold_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobium.client.link._LOGIN_TIMEOUT", 0.01)

    async def silent(server: Server) -> None:
        return

    rig = Rig([silent])
    await rig.run()
    assert rig.states[1][:2] == ("waiting", "NotConnected")
