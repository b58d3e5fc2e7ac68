"""The links of a call: made, described, answered and closed as the call's machine says.

There are two at most: the one in use, and the one that is to replace it. Whatever goes wrong with one is told
as a word and a sentence, and harms nothing else. Not its concern: when a link is made and given up
(`mobium.client.call_state`), and what it does (`mobium.media.link`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol

from mobium.client.call_values import Apply, Drop, Prepare
from mobium.errors import CallError, MediaUnavailable, MobiumError
from mobium.media.form import INSTALL
from mobium.media.link import LinkMaker, PeerLink, Pictures, Terms

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["CallLinks", "LinkName", "LinkOwner", "real_links"]

log = logging.getLogger(__name__)

LinkName = tuple[bytes, int]
"""The id of a call and the number of the attempt."""

_BEAT: Final = 0.25  # seconds in which one sign of life is as good as many


class LinkOwner(Protocol):
    """Who is told what becomes of links that are wanted still."""

    def link_described(self, name: LinkName, sdp: str) -> None:
        """This is for the other side."""

    def link_failed(self, name: LinkName, code: str, why: str) -> None:
        """It could not be made, or is broken. `why` is a sentence, or empty."""

    def link_connected(self, name: LinkName) -> None:
        """It carries sound."""

    def link_heard(self, name: LinkName) -> None:
        """The other side is there."""

    def link_packet(self, name: LinkName, number: int, packet: bytes) -> None:
        """Sound has come."""

    def link_picture(self, name: LinkName, picture: VideoFrame) -> None:
        """A picture has come."""


class CallLinks:
    """The links of one person's calls. `terms` says how one may be made; `start` runs what takes time."""

    def __init__(
        self,
        owner: LinkOwner,
        terms: Callable[[Prepare], Awaitable[Terms]],
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.maker: LinkMaker | None = None
        self._owner = owner
        self._terms = terms
        self._start = start
        self._links: dict[LinkName, PeerLink] = {}
        self._wanted: set[LinkName] = set()
        self._closing: set[PeerLink] = set()
        self._pictures: Pictures | None = None

    def make(self, wanted: Prepare) -> None:
        """Make a link and describe it."""
        self._wanted.add((wanted.call, wanted.attempt))
        self._start(self._make(wanted))

    def apply(self, answered: Apply) -> None:
        """The other side has answered our offer."""
        self._start(self._apply((answered.call, answered.attempt), answered.answer))

    def drop(self, dropped: Drop) -> None:
        """Close a link, whatever it is doing."""
        name = (dropped.call, dropped.attempt)
        self._wanted.discard(name)
        link = self._links.pop(name, None)
        if link is not None:
            self._closing.add(link)
            self._start(self._close(link))

    def send(self, name: LinkName, packet: bytes) -> None:
        """Send a packet over a link, if there is that one."""
        link = self._links.get(name)
        if link is not None:
            link.send(packet)

    def show(self, pictures: Pictures | None) -> None:
        """Show these pictures over every link, those to come too."""
        self._pictures = pictures
        for link in self._links.values():
            link.show(pictures)

    async def closed(self) -> None:
        """Wait until every link that was dropped is closed."""
        await asyncio.gather(*(self._close(link) for link in list(self._closing)))

    async def _make(self, wanted: Prepare) -> None:
        name = (wanted.call, wanted.attempt)
        try:
            terms = await self._terms(wanted)
            if name not in self._wanted:
                return
            self.maker = self.maker or real_links()
            link = self._links[name] = self.maker(terms, _Listener(self._owner, name))
            if self._pictures is not None:
                link.show(self._pictures)
            sdp = await (link.offer() if wanted.offer is None else link.answer(wanted.offer))
            self._owner.link_described(name, sdp)
        except Exception as error:  # noqa: BLE001 - the outermost edge: a call ends, the engine goes on
            self._failed(name, error)

    async def _apply(self, name: LinkName, answer: str) -> None:
        link = self._links.get(name)
        if link is None:
            return
        try:
            await link.accept(answer)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(name, error)

    def _failed(self, name: LinkName, error: Exception) -> None:
        if name not in self._wanted:
            return
        if not isinstance(error, MobiumError):
            log.error("A link of a call could not be made: %s", type(error).__name__)
        code = error.code if isinstance(error, CallError) else "failed"
        self._owner.link_failed(name, code, str(error) if isinstance(error, MobiumError) else "")

    async def _close(self, link: PeerLink) -> None:
        try:
            await link.close()
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("A link of a call could not be closed: %s", type(error).__name__)
        finally:
            self._closing.discard(link)


class _Listener:
    """What one link tells, with its name."""

    def __init__(self, owner: LinkOwner, name: LinkName) -> None:
        self._owner = owner
        self._name = name
        self._time = asyncio.get_running_loop().time
        self._heard_at = 0.0

    def connected(self) -> None:
        self._owner.link_connected(self._name)

    def failed(self, code: str) -> None:
        self._owner.link_failed(self._name, code, "")

    def heard(self) -> None:
        now = self._time()
        if now - self._heard_at >= _BEAT:
            self._heard_at = now
            self._owner.link_heard(self._name)

    def packet(self, number: int, packet: bytes) -> None:
        self._owner.link_packet(self._name, number, packet)

    def picture(self, picture: VideoFrame) -> None:
        self._owner.link_picture(self._name, picture)


def real_links() -> LinkMaker:
    """Links by WebRTC. Raises MediaUnavailable where the library is missing."""
    try:
        from mobium.media.peer import RtcLink
    except ImportError as error:
        raise MediaUnavailable("Calls take the Python packages aiortc and av.", INSTALL) from error
    return RtcLink
