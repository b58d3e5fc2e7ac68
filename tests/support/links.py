"""Links between two in tests: who is told what becomes of one, and what there is to show.

Not its concern: calls (tests/support/calls.py).
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from mobium.media.link import LinkMaker, PeerLink, Terms

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["Hearer", "Slides", "ice_on_loopback", "joined", "nothing_left", "terms"]

PATIENCE = 10.0  # seconds until a wait is a failed test
ANNA, BEN = "a" * 64, "b" * 64


class Hearer:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.is_connected = False
        self.codes: list[str] = []
        self.signs = 0
        self.packets: list[tuple[int, bytes]] = []
        self.pictures: list[tuple[int, int]] = []
        self._changed = asyncio.Event()

    def connected(self) -> None:
        self.is_connected = True
        self._changed.set()

    def failed(self, code: str) -> None:
        self.codes.append(code)
        self._changed.set()

    def heard(self) -> None:
        self.signs += 1
        self._changed.set()

    def packet(self, number: int, packet: bytes) -> None:
        self.packets.append((number, packet))
        self._changed.set()

    def picture(self, picture: VideoFrame) -> None:
        self.pictures.append((picture.width, picture.height))
        self._changed.set()

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(PATIENCE):
            while not true():
                self._changed.clear()
                await self._changed.wait()


class Slides:
    """Something to show: fifteen grey pictures a second."""

    def __init__(self, width: int = 320, height: int = 180, count: int = 1_000_000) -> None:
        self.width, self.height, self.count = width, height, count

    async def picture(self) -> VideoFrame:
        from av import VideoFrame

        if not self.count:
            raise RuntimeError("the slides are over")
        self.count -= 1
        await asyncio.sleep(1 / 15)
        frame = VideoFrame(self.width, self.height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([self.count % 256]) * plane.buffer_size)
        return frame


def terms(ours: str = ANNA, theirs: str = BEN, **changes: Any) -> Terms:
    """The terms of a link on this machine."""
    given: dict[str, Any] = {"servers": (), "relay_only": False, "ours": ours, "theirs": theirs}
    return Terms(**(given | changes))


@asynccontextmanager
async def joined(make: LinkMaker) -> AsyncIterator[tuple[PeerLink, Hearer, PeerLink, Hearer]]:
    """Two links that are connected with each other, closed at the end."""
    first, second = Hearer(), Hearer()
    one, other = make(terms(), first), make(terms(BEN, ANNA), second)
    try:
        await one.accept(await other.answer(await one.offer()))
        await first.until(lambda: first.is_connected)
        await second.until(lambda: second.is_connected)
        yield one, first, other, second
    finally:
        await asyncio.gather(one.close(), other.close())


def ice_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library find candidates on a machine that has no network: it leaves 127.0.0.1 out."""
    ice = pytest.importorskip("aioice.ice")
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


@contextmanager
def _quiet_loop(loop: asyncio.AbstractEventLoop) -> Iterator[list[dict[str, Any]]]:
    complaints: list[dict[str, Any]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        yield complaints
    finally:
        loop.set_exception_handler(before)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Assert that what happens meanwhile leaves no task, no thread and no open file, and no error that nobody
    has taken.
    """
    loop = asyncio.get_running_loop()
    process = psutil.Process()
    await asyncio.sleep(0)
    tasks, threads, files = asyncio.all_tasks(), set(threading.enumerate()), process.num_fds()
    with _quiet_loop(loop) as complaints:
        yield
        async with asyncio.timeout(PATIENCE):
            # What a closed transport does at last, it does in the loop's next turns.
            while asyncio.all_tasks() - tasks or process.num_fds() > files:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        gc.collect()
        await asyncio.sleep(0)
    left = {thread for thread in threading.enumerate() if "decoder" in thread.name} - threads
    assert not left
    assert not complaints, complaints
