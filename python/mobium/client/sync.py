"""The receiving half of channels: what the server pushes, and what was missed, fetched by number.

Every channel has a cursor of its own; what follows on it is taken, anything further is fetched, page by page,
each page in one transaction with the cursor (docs/PROTOCOL.md, Delivery 5). Not its concern: those
transactions (`mobium.client.arrivals`), sending (`mobium.client.postbox`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from mobium.client import arrivals
from mobium.client.arrivals import Push
from mobium.client.asking import ask
from mobium.client.core import Core, Request
from mobium.client.entries import Setting
from mobium.client.store import channels
from mobium.client.store.channels import ChannelRow
from mobium.errors import InvalidInput, NotConnected, ProtocolError, ServerRefused, StoreFault
from mobium.protocol import limits
from mobium.protocol.codes import ErrorCode
from mobium.protocol.messages import (
    Channels,
    GetChannels,
    GetHistory,
    GetMembers,
    History,
    RosterPage,
    ServerMessage,
)

__all__ = ["Sync"]

_WAITING: Final = 256  # pushes that are held; what comes beyond is fetched by number instead
_BATCH: Final = 64  # pushes in one transaction
_RETRY: Final = 5.0  # seconds until a fetch that failed is tried again; for one channel doubled up to
_LONGEST_RETRY: Final = 300.0
_PATIENCE: Final = 10.0  # seconds after a login that the mailbox may take before history is fetched
_ROUNDS: Final = 20  # fetches of a channel in a row; a server that names something newer each time waits then
_TRIES: Final = 3  # that are waited for of a channel that is refused for now
_OF_EVERY_CHANNEL: Final = frozenset((ErrorCode.RATE_LIMITED, ErrorCode.SHUTTING_DOWN))
_LISTS: Final = 100  # pages of channels that are asked for; more than any member can have


class Sync:
    """Keeps the channels of one server at their heads while there is a connection.

    `changed()` is called when something may go out; `held(channel, yes)` when a roster stays behind, and when
    it does no more; `adopt(key)` for a channel that the server lists and that this profile has not entered.
    `drained()` says whether the mailbox is empty.
    """

    def __init__(
        self,
        core: Core,
        host: str,
        request: Request,
        changed: Callable[[], None],
        held: Callable[[int, bool], None],
        adopt: Callable[[bytes], Awaitable[None]],
        drained: Callable[[], bool],
    ) -> None:
        self._core = core
        self._host = host
        self._request = request
        self._changed = changed
        self._tell_held = held
        self._waiting_for: set[int] = set()
        self._adopt = adopt
        self._drained = drained
        self._time = asyncio.get_running_loop().time
        self._not_before = 0.0
        self._pushes: deque[Push] = deque()
        self._lost: set[bytes] = set()
        self._behind: set[int] = set()
        self._rosters: set[int] = set()
        self._put_off: dict[int, float] = {}  # and until when
        self._refused: Counter[int] = Counter()  # how often in a row
        self._kept_out: Counter[bytes] = Counter()
        self._stuck: set[int] = set()
        self._unseen: set[int] = set()
        self._listing = False
        self._online = False
        self._connections = 0  # what was asked on an earlier one says nothing of this one
        self._busy = False
        self._wake = asyncio.Event()
        self._requests_in: float | None = None
        self.listed = asyncio.Event()
        """Whether every channel was looked at since the login."""
        self.caught_up = asyncio.Event()
        """Whether everything that was missed before the login was fetched, or cannot be had; or there is no
        connection, and nobody need wait.
        """

    def go_online(self) -> None:
        """There is a connection: ask how far every channel has come."""
        self._connections += 1
        self._online = self._listing = True
        self._not_before = self._time() + _PATIENCE
        self._wake.set()

    def go_offline(self, *, coming: bool = False) -> None:
        """The connection is gone, and with it what it was about to bring. `coming`: another one is there, of
        which `go_online` tells.
        """
        self._online = self._listing = False
        self.listed.clear()
        if coming:
            self.caught_up.clear()
        else:
            self.caught_up.set()
        self._put_off.clear()
        self._refused.clear()
        self._kept_out.clear()
        self._stuck.clear()
        self._unseen.clear()
        self._pushes.clear()
        self._lost.clear()

    @property
    def idle(self) -> bool:
        """Whether everything that it knows of was fetched and taken, or cannot be had."""
        return self.caught_up.is_set() and not (
            self._busy
            or self._wake.is_set()
            or self._behind
            or self._put_off.keys() - self._given_up()
            or self._rosters
            or self._pushes
            or self._lost
        )

    def unseen(self) -> frozenset[int] | None:
        """The channels whose history since the login was not seen to its end, whose roster is yet to be
        fetched, or that cannot be followed any more; None before the server has said how far each has come.
        """
        return frozenset(self._unseen | self._rosters | self._stuck) if self.listed.is_set() else None

    @property
    def held(self) -> frozenset[int]:
        """The channels of which there is word of a newer roster that the server does not show."""
        return frozenset(self._waiting_for)

    def put(self, push: Push) -> None:
        """Take what the server pushes."""
        if len(self._pushes) >= _WAITING:
            self._lost.add(push.channel_id)
        else:
            self._pushes.append(push)
        self._wake.set()

    def wake(self) -> None:
        """A chain may be missing, or has come."""
        self._wake.set()

    def fetch(self, channel: int) -> None:
        """There may be entries behind the cursor of a channel."""
        self._behind.add(channel)
        self._wake.set()

    def fetch_later(self, channel: int) -> None:
        """There may be entries behind the cursor of a channel in a moment."""
        self._put_behind(channel)
        self._wake.set()

    def _put_behind(self, channel: int, refusals: int = 0) -> None:
        self._put_off[channel] = self._time() + min(_RETRY * 2.0 ** min(refusals, 16), _LONGEST_RETRY)

    async def reach(self, channel: int) -> None:
        """Fetch what is behind the cursor of a channel now. Raises NotConnected, ServerRefused,
        ProtocolError.
        """
        await self._catch_up(channel)

    def fetch_rosters(self, behind: set[int]) -> None:
        """The rosters of these channels are not the newest."""
        self._rosters |= behind
        self._wake.set()

    async def run(self) -> None:
        """Take and fetch until cancelled. Raises StoreError."""
        delay: float | None = None
        while True:
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            delay = None
            if not self._online:
                continue
            self._busy = True
            try:
                await self._once()
                delay = self._requests_in
            except (NotConnected, ServerRefused, ProtocolError):
                delay = _RETRY  # an answer that did not come in time ends no connection
            finally:
                self._busy = False
            self._changed()

    async def _once(self) -> None:
        await self._take_pushes()
        now = self._time()
        for channel in [one for one, at in self._put_off.items() if now >= at]:
            del self._put_off[channel]
            self._behind.add(channel)
        if self._listing:
            connection = self._connections
            await self._list()
            if connection != self._connections or not self._online:
                return  # the store took its time
            self._listing = False
            self._unseen |= self._behind
            self.listed.set()
            self._changed()
        # The keys of what was missed lie in the mailbox; a member who has left is asked for none any more.
        wait = self._not_before - self._time()
        if wait <= 0 or self._drained():
            await self._fetch_all()
        for waiting in list(self._waiting_for):
            _, _, behind = await self._core.store.run(arrivals.newest, waiting)
            if not behind:
                self._waiting_for.discard(waiting)
                self._tell_held(waiting, False)
        self._requests_in = await self._core.store.run(
            ask, self._core.identity.public, self._host, self._core.now_ms(), self._core.entropy,
            self.caught_up.is_set(),
        )  # fmt: skip
        if self._behind or self._rosters:
            self._look_again_in(max(wait, 0.0))
        if self._put_off:
            self._look_again_in(max(min(self._put_off.values()) - self._time(), 0.0))

    def _look_again_in(self, seconds: float) -> None:
        later = self._requests_in
        self._requests_in = seconds if later is None else min(later, seconds)

    async def _fetch_all(self) -> None:
        rounds: Counter[int] = Counter()
        while self._behind or self._rosters or self._pushes:
            if self._behind:
                channel = self._behind.pop()
                rounds[channel] += 1
                if rounds[channel] <= _ROUNDS:
                    await self._by_itself(channel, self._catch_up)
                else:
                    self._put_behind(channel)
            elif self._rosters:
                channel = self._rosters.pop()
                if rounds[channel] <= _ROUNDS:
                    await self._by_itself(channel, self._fetch_roster)
            await self._take_pushes()
        if self.listed.is_set() and self._unseen <= self._stuck | self._given_up():
            self.caught_up.set()

    def _given_up(self) -> set[int]:
        """The channels that nobody waits for, though they are asked for again."""
        return {channel for channel, times in self._refused.items() if times >= _TRIES}

    async def _by_itself(self, channel: int, work: Callable[[int], Awaitable[None]]) -> None:
        """Do something for a channel; one whose entries cannot be stored, or that the server cannot read or
        answers with nonsense, stands in no other one's way.
        """
        if channel in self._stuck:
            return
        try:
            await work(channel)
        except StoreFault:
            self._stuck.add(channel)
            await self._core.store.run(arrivals.note_stuck, channel)
        except (ServerRefused, ProtocolError) as error:
            if isinstance(error, ServerRefused) and error.code in _OF_EVERY_CHANNEL:
                raise
            self._behind.discard(channel)
            self._put_behind(channel, self._refused[channel])
            self._refused[channel] += 1
        else:
            self._refused.pop(channel, None)

    # ------------------------------------------------------------ pushes

    async def _take_pushes(self) -> None:
        while self._pushes or self._lost:
            batch = [self._pushes.popleft() for _ in range(min(_BATCH, len(self._pushes)))]
            lost, self._lost = self._lost, set()
            try:
                behind, rosters = await self._core.store.run(
                    arrivals.take_pushes, self._setting(), self._host, batch, lost
                )
            except StoreFault:  # then each channel by itself, by number
                lost |= {push.channel_id for push in batch}
                behind, rosters = await self._core.store.run(
                    arrivals.take_pushes, self._setting(), self._host, [], lost
                )
            self._behind |= behind
            self._rosters |= rosters

    # ------------------------------------------------------------ what was missed

    async def _list(self) -> None:
        """Ask how far every channel has come; those that have gone further are fetched."""
        after: bytes | None = None
        listed: set[int] = set()
        # What happens after the question may be missing in the answer.
        before = await self._core.store.run(arrivals.standing, self._host)
        for _ in range(_LISTS):
            answer = await self._request(GetChannels(after))
            if not isinstance(answer, Channels):
                raise ProtocolError("The server answered a question about channels with something else.")
            known, behind, rosters, strange = await self._core.store.run(
                arrivals.compare, self._host, answer.channels, before, self._core.now_ms()
            )
            listed |= known
            self._behind |= behind
            self._rosters |= rosters
            for key in strange:
                await self._enter(key)
            if len(answer.channels) < limits.CHANNELS_PAGE:
                break
            after = answer.channels[-1].channel_id
        await self._core.store.run(arrivals.note_unlisted, before.keys() - listed, listed)

    async def _enter(self, key: bytes) -> None:
        try:
            await self._adopt(key)
        except ServerRefused as error:
            self._kept_out[key] += 1
            passes = error.retry_after is not None and self._kept_out[key] < _TRIES
            if passes or error.code in _OF_EVERY_CHANNEL:
                raise
        except (ProtocolError, InvalidInput, StoreFault):
            pass  # one channel that cannot be entered is in no other one's way; the next login tries again

    async def _catch_up(self, channel: int) -> None:
        connection = self._connections
        try:
            await self._fetch(channel)
        except (NotConnected, ServerRefused, ProtocolError):
            self._behind.add(channel)
            raise
        if channel in self._unseen and connection == self._connections:
            self._unseen.discard(channel)
            self._changed()

    async def _fetch(self, channel: int) -> None:
        while True:
            row = await self._core.store.run(channels.find, channel)
            if row is None or row.host != self._host or row.state in ("left", "removed", "banned", "joining"):
                return
            try:
                answer = await self._request(GetHistory(row.key, row.cursor))
            except ServerRefused as error:
                if error.retry_after is None:
                    return
                raise
            _check(answer, row)
            assert isinstance(answer, History)
            before = row.cursor
            taken, behind = await self._store_page(channel, answer)
            if behind:
                self._rosters.add(channel)
            if (
                taken is None
                or taken.state != "member"
                or taken.cursor >= answer.head
                or taken.cursor == before
            ):
                return

    async def _store_page(self, channel: int, page: History) -> tuple[ChannelRow | None, bool]:
        """Store a page; if one of its entries makes that fail, one by one. A message that cannot be stored
        stays closed; behind a statement that cannot be nothing may be read. Raises StoreFault then.
        """
        run, setting = self._core.store.run, self._setting()
        try:
            return await run(arrivals.take_page, setting, channel, page)
        except StoreFault:
            if not page.entries:
                raise
        for entry in page.entries:
            single = msgspec.structs.replace(page, entries=[entry], upto=entry.number)
            try:
                row, behind = await run(arrivals.take_page, setting, channel, single)
                if row is None or row.cursor < entry.number:
                    return row, behind  # it was not taken, and nothing behind it may be
            except StoreFault:
                if entry.statement:
                    raise
                await run(arrivals.pass_entry, setting, channel, entry)
        return await run(arrivals.take_page, setting, channel, msgspec.structs.replace(page, entries=[]))

    async def _fetch_roster(self, channel: int) -> None:
        before = -1
        while True:
            row, index, behind = await self._core.store.run(arrivals.newest, channel)
            if row is None or row.host != self._host or row.state not in ("member", "broken"):
                return
            if not behind:  # the statement has come meanwhile; or the server says that we are no member
                self._behind.add(channel)
                return
            if index == before:  # the page held nothing new, and the next one would not either
                self._held(channel)
                return
            before = index
            try:
                answer = await self._request(GetMembers(row.key, index + 1))
            except ServerRefused as error:
                self._held(channel)
                if error.retry_after is None:
                    self._behind.add(channel)  # the history says why
                    return
                raise
            except (NotConnected, ProtocolError):
                self._held(channel)
                raise
            if not isinstance(answer, RosterPage) or answer.channel_id != row.key:
                self._held(channel)
                raise ProtocolError("The server answered a question about members with something else.")
            done = await self._core.store.run(arrivals.take_roster, self._setting(), channel, answer)
            if row.cursor < answer.number:
                self._behind.add(channel)
            if not answer.statements and not done:
                self._held(channel)
            if done or not answer.statements:
                return

    def _held(self, channel: int) -> None:
        self._waiting_for.add(channel)
        self._tell_held(channel, True)

    def _setting(self) -> Setting:
        core = self._core
        return Setting(core.identity, core.now_ms(), core.entropy)


def _check(answer: ServerMessage, row: ChannelRow) -> None:
    """Raises ProtocolError for a page that is out of order."""
    if not isinstance(answer, History) or answer.channel_id != row.key:
        raise ProtocolError("The server answered a question about a channel with something else.")
    last = row.cursor
    for entry in answer.entries:
        if entry.number <= last:
            raise ProtocolError("The server sent a channel's history out of order.")
        last = entry.number
    if last > max(answer.upto, row.cursor) or answer.upto > max(answer.head, row.cursor):
        raise ProtocolError("The server sent a channel's history beyond its end.")
