"""The edge to another person's machine: what every kind of link gives, and the kind that needs no network.

    offer, answer, accept   the two describe themselves; each text goes to the other side, by whatever way
    connected               both hold the keys; sound flows from now on
    send, packet            packets of Opus, numbered by the link, which may lose and reorder them
    show, picture           a screen, which may be shown at any time without another word
    heard                   a sign of life: what came was made by the other side

A link is one attempt. It is used once and closed; whoever loses it makes another. `MemoryNetwork` has links
within one process, which are the reference. Not its concern: when to give up (`mobium.client.call_state`),
Opus and its jitter (`mobium.media.pipeline`), and the real one (`mobium.media.peer`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from os import urandom
from typing import TYPE_CHECKING, Any, Final, Protocol

from mobium.errors import CallError
from mobium.media.description import Candidate, Description, read, write

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["IceServer", "LinkListener", "LinkMaker", "MemoryNetwork", "PeerLink", "Pictures", "Terms"]


@dataclass(frozen=True, slots=True, repr=False)
class IceServer:
    """A STUN server (RFC 7064), or a TURN server (RFC 7065) with the credentials for it."""

    url: str
    username: str | None = None
    credential: str | None = None

    def __repr__(self) -> str:
        return f"IceServer({self.url!r})"  # credentials do not belong into a log


@dataclass(frozen=True, slots=True)
class Terms:
    """How a link may be made.

    No server but those in `servers` is asked anything. With `relay_only` the other side learns no address but
    a relay's. `ours` and `theirs` (64 characters) stand in the two certificates, and bind them to one attempt
    of one call between two identities (RFC 8844).
    """

    servers: tuple[IceServer, ...]
    relay_only: bool
    ours: str
    theirs: str


class Pictures(Protocol):
    """What is to be shown: a screen, say."""

    async def picture(self) -> VideoFrame:
        """The next picture, when it is time for it. What it raises ends the showing."""


class LinkListener(Protocol):
    """Who is told what becomes of a link; on the event loop, and never after `close` was called."""

    def connected(self) -> None:
        """Sound flows."""

    def failed(self, code: str) -> None:
        """It does not connect, or is broken: "not_connected", "forged" or "lost"."""

    def heard(self) -> None:
        """The other side is there. Called at least once in two seconds while it is."""

    def packet(self, number: int, packet: bytes) -> None:
        """A packet of sound, and its number, which grows by one from packet to packet."""

    def picture(self, picture: VideoFrame) -> None:
        """A picture of what the other side shows."""


class PeerLink(Protocol):
    """One attempt to reach the other side."""

    async def offer(self) -> str:
        """Describe this side, for the other one to answer. Raises CallError, also if it takes too long."""

    async def answer(self, offer: str) -> str:
        """Describe this side as the answer to an offer, and connect. Raises CallError, ProtocolError for what
        is no offer.
        """

    async def accept(self, answer: str) -> None:
        """Connect: this answers our offer. Raises CallError, ProtocolError for what is no answer."""

    def send(self, packet: bytes) -> None:
        """Send a packet of Opus (20 ms); dropped before the connection, and when there are too many."""

    def show(self, pictures: Pictures | None) -> None:
        """Show these pictures from now on, or none."""

    async def close(self) -> None:
        """Close it, in whatever state it is, in a few seconds at most; never raises, and may be called
        again.
        """


LinkMaker = Callable[[Terms, LinkListener], PeerLink]

_BEAT: Final = 0.5


@dataclass(eq=False)
class MemoryNetwork:
    """Links between people in one process; `maker` makes them. What is changed here holds from then on."""

    delay: float = 0.0
    """Seconds that everything takes."""
    lose: Callable[[bytes], bool] = lambda _packet: False
    """Whether a packet is lost."""
    up: bool = True
    relay: bool = True
    """Whether there is a relay, without which those who show no address cannot be reached."""
    links: dict[bytes, MemoryLink] = field(default_factory=dict)
    """The links that were described, by fingerprint."""

    def maker(self, terms: Terms, listener: LinkListener) -> PeerLink:
        """A link; this is a `LinkMaker`."""
        return MemoryLink(self, terms, listener)


class MemoryLink:
    """A link of a `MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork, terms: Terms, listener: LinkListener) -> None:
        self.terms = terms
        self.closed = False
        self.other: MemoryLink | None = None
        self._network = network
        self._listener = listener
        self._fingerprint = urandom(32)
        self._connected = False
        self._number = 0
        self._showing: asyncio.Task[None] | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    async def offer(self) -> str:
        """As `PeerLink` has it."""
        return await self._describe("actpass")

    async def answer(self, offer: str) -> str:
        """As `PeerLink` has it."""
        theirs = read(offer, "offer")
        text = await self._describe("active")
        self._connect(theirs)
        return text

    async def accept(self, answer: str) -> None:
        """As `PeerLink` has it."""
        self._connect(read(answer, "answer"))

    def send(self, packet: bytes) -> None:
        """As `PeerLink` has it."""
        if self._connected and not self.closed:
            number, self._number = self._number, self._number + 1
            if not self._network.lose(packet):
                self._tell("packet", number, packet)

    def show(self, pictures: Pictures | None) -> None:
        """As `PeerLink` has it."""
        if self._showing is not None:
            self._showing.cancel()
        self._showing = None if pictures is None else asyncio.create_task(self._show(pictures))

    async def close(self) -> None:
        """As `PeerLink` has it."""
        self.closed = True
        self._network.links.pop(self._fingerprint, None)
        self.show(None)
        if self._beat is not None:
            self._beat.cancel()
        await asyncio.sleep(0)

    async def _describe(self, setup: Any) -> str:
        if self.terms.relay_only and not self._network.relay:
            raise CallError("There is no relay.", "no_relay")
        await asyncio.sleep(self._network.delay)
        self._network.links[self._fingerprint] = self
        candidate = Candidate(
            "1", 1, ip_address("192.0.2.1"), 9, "relay" if self.terms.relay_only else "host"
        )
        return write(Description("user", "password" * 3, self._fingerprint, setup, (candidate,), (1, 2, 3)))

    def _connect(self, theirs: Description) -> None:
        self.other = self._network.links.get(theirs.fingerprint)
        self._later(self._try)

    def _try(self) -> None:
        """Connect, once each side knows of the other."""
        other = self.other
        if other is None or other.other is not self or other.closed or not self._network.up:
            return
        for one, its in ((self, other), (other, self)):
            if one._connected or one.closed:
                continue
            if one.terms.theirs != its.terms.ours:
                one._listener.failed("forged")
                continue
            one._connected = True
            one._listener.connected()
            one._life()

    def _life(self) -> None:
        self._tell("heard")
        self._beat = self._loop.call_later(_BEAT, self._life)

    async def _show(self, pictures: Pictures) -> None:
        while True:
            self._tell("picture", await pictures.picture())

    def _tell(self, what: str, *values: Any) -> None:
        """The other side hears of it, unless something is in the way."""
        other = self.other
        if other is None or not self._network.up:
            return

        def arrive() -> None:
            if not other.closed and other._connected:
                getattr(other._listener, what)(*values)

        self._later(arrive)

    def _later(self, act: Callable[[], None]) -> None:
        self._loop.call_later(self._network.delay, act)
