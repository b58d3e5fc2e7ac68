"""To which server an open engine is connected: choosing one, beginning and ending, and whose key it has.

Not its concern: what a connection does (`mobium.client.online`), and what programs see of it
(`mobium.client.engine`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from mobium.client.address import parse
from mobium.client.core import Core
from mobium.client.events import ConnectionState, Event
from mobium.client.online import Online, Realtime
from mobium.client.store import meta
from mobium.client.transport import Connector
from mobium.errors import InvalidInput, MobiumError, StoreError

__all__ = ["Connecting", "ServerInfo"]


class ServerInfo(msgspec.Struct, frozen=True):
    """The server of a profile.

    `key` is its pinned public key in hex, empty before the first connection; `offered_key` another one that
    it has shown.
    """

    url: str
    host: str
    key: str
    offered_key: str = ""


class Connecting:
    """The connection of an open engine, one at a time, as a task of the group that `begin` names."""

    def __init__(
        self,
        core: Core,
        tell: Callable[[list[Event]], None],
        connector: Connector,
        receipt_delay: float,
        realtime: Realtime,
    ) -> None:
        self._core = core
        self._tell = tell
        self._connector = connector
        self._receipt_delay = receipt_delay
        self._realtime = realtime
        self._group: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self.online: Online | None = None
        """The last one, over or not."""

    def begin(self, group: asyncio.TaskGroup) -> None:
        """The engine is open."""
        self._group = group

    def end(self) -> None:
        """The engine is being closed, and connects no more."""
        self._group = None

    @property
    def failure(self) -> MobiumError | None:
        """Why the last connection has ended, if only a person can mend it."""
        return None if self.online is None else self.online.failure

    @property
    def state(self) -> ConnectionState:
        """The state of the connection."""
        return "offline" if self.online is None else self.online.state

    async def connect(self, url: str | None) -> Online:
        """Be connected to `url`, else to the server of the last login. Raises InvalidInput, StoreError."""
        async with self._lock:
            return await self._start(url)

    async def disconnect(self) -> None:
        """Be connected no more."""
        async with self._lock:
            await self._stop()

    async def _start(self, url: str | None) -> Online:
        group = self._group
        if group is None:
            raise StoreError("The profile is locked.")
        server = await self._core.store.run(meta.current_server)
        if url is None and server is None:
            raise InvalidInput("There is no server to connect to yet; name one.")
        address = parse(url if url is not None else server.url if server is not None else "")
        if self.online is not None and self._task is not None and not self._task.done():
            if self.online.address == address:
                self.online.retry_now()
                return self.online
            await self._stop()
        known = await self._core.store.run(meta.meet_server, address.host, address.url)
        self.online = Online(
            self._core, address, known.key, self._tell, self._connector, self._receipt_delay, self._realtime
        )
        self._task = group.create_task(self.online.run())
        return self.online

    async def _stop(self) -> None:
        self._realtime.over("")
        online, task, self._task = self.online, self._task, None
        if online is not None and task is not None and not task.done():
            task.cancel()
            await asyncio.wait((task,))
            online.end()  # which a task that was cancelled before its first step has not done

    async def server(self) -> ServerInfo | None:
        """The server of the last login; before the first one, the first that was named, if there was one."""
        server = await self._core.store.run(meta.current_server)
        if server is None:
            return None
        online = self.online
        offered = online.offered_key if online is not None and online.address.host == server.host else None
        return ServerInfo(
            server.url,
            server.host,
            "" if server.key is None else server.key.hex(),
            "" if offered is None else offered.hex(),
        )

    async def accept_key(self, key: str | None) -> None:
        """Believe the key that the server has just shown, which is `key` (hex) if given. Raises
        InvalidInput.
        """
        online = self.online
        offered = None if online is None else online.offered_key
        if online is None or offered is None or (key is not None and key.strip().lower() != offered.hex()):
            raise InvalidInput("The server has not shown this key; connect first, and compare what it shows.")
        await self._core.store.run(meta.pin_server_key, online.address.host, offered)
        online.offered_key = None
