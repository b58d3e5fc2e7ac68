"""The receiving half of channels: what the server pushes, and what was missed, fetched by number.

Every channel has a cursor of its own; what follows on it is taken, anything further is fetched, page by page,
each page in one transaction with the cursor (docs/PROTOCOL.md, Delivery 5). Not its concern: what an entry
does (`mobium.client.entries`), sending (`mobium.client.postbox`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from mobium.client.core import Core
from mobium.client.entries import Setting, take_entries
from mobium.client.events import ChannelChanged
from mobium.client.labels import label
from mobium.client.rosters import extend, mend, rolled_back, roster_of, why_held
from mobium.client.store import chains, channels, lines, messages, outgoing, peers, posts
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput, NotConnected, ProtocolError, ServerRefused, StoreFault
from mobium.protocol import content, limits
from mobium.protocol.content import ChainRequest
from mobium.protocol.messages import (
    ChannelHead,
    ChannelMessage,
    Channels,
    ChannelState,
    ClientMessage,
    Entry,
    GetChannels,
    GetHistory,
    GetMembers,
    History,
    RosterPage,
    ServerMessage,
)

__all__ = ["Push", "Sync"]

_WAITING: Final = 256  # pushes that are held; what comes beyond is fetched by number instead
_BATCH: Final = 64  # pushes in one transaction
_RETRY: Final = 5.0  # seconds until a fetch that failed is tried again
_WITHHELD: Final = (
    "The server leaves something out of this channel's history, so what follows on it cannot be shown."
)
_PATIENCE: Final = 10.0  # seconds after a login that the mailbox may take before history is fetched
_ROUNDS: Final = (
    20  # fetches of one channel in a row; then a server that names something newer each time waits
)
_STUCK: Final = (
    "Something in this channel cannot be stored here, so what follows on it is not shown; the next connection"
    " tries again."
)
_UNLISTED: Final = "The server does not list this channel any more."
_LISTS: Final = 100  # pages of channels that are asked for; more than any member can have

Push = ChannelMessage | RosterPage | ChannelHead
Request = Callable[[ClientMessage], Awaitable[ServerMessage]]


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
        self._put_off: set[int] = set()
        self._again_at = 0.0
        self._stuck: set[int] = set()
        self._unseen: set[int] = set()
        self._listing = False
        self._online = False
        self._busy = False
        self._wake = asyncio.Event()
        self._requests_in: float | None = None
        self.listed = asyncio.Event()
        """Whether every channel was looked at since the login."""
        self.caught_up = asyncio.Event()
        """Whether everything that was missed before the login was fetched; or there is no connection, and
        nobody need wait.
        """

    def go_online(self) -> None:
        """There is a connection: ask how far every channel has come."""
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
        self._stuck.clear()
        self._unseen.clear()
        self._pushes.clear()
        self._lost.clear()

    @property
    def idle(self) -> bool:
        """Whether everything that it knows of was fetched and taken."""
        return self.caught_up.is_set() and not (
            self._busy or self._behind or self._put_off or self._rosters or self._pushes or self._lost
        )

    def unseen(self) -> frozenset[int] | None:
        """The channels whose history since the login was not seen to its end, whose roster is yet to be
        fetched, or that cannot be followed any more; None before the server has said how far each has come.
        """
        return frozenset(self._unseen | self._rosters | self._stuck) if self.listed.is_set() else None

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
        if self._time() >= self._again_at:
            self._behind |= self._put_off
            self._put_off.clear()
        if self._listing:
            await self._list()
            self._listing = False
            self._unseen |= self._behind
            self.listed.set()
            self._changed()
        # The keys of what was missed lie in the mailbox; a member who has left is asked for none any more.
        wait = self._not_before - self._time()
        if wait <= 0 or self._drained():
            await self._fetch_all()
        for waiting in list(self._waiting_for):
            _, _, behind = await self._core.store.run(_newest, waiting)
            if not behind:
                self._waiting_for.discard(waiting)
                self._tell_held(waiting, False)
        self._requests_in = await self._core.store.run(
            _ask_for_chains, self._core.now_ms(), self._core.entropy
        )
        if self._behind or self._rosters:
            self._look_again_in(max(wait, 0.0))
        if self._put_off:
            self._look_again_in(max(self._again_at - self._time(), 0.0))

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
                    await self._unless_stuck(channel, self._catch_up)
                else:
                    self._put_off.add(channel)
                    self._again_at = self._time() + _RETRY
            elif self._rosters:
                channel = self._rosters.pop()
                if rounds[channel] <= _ROUNDS:
                    await self._unless_stuck(channel, self._fetch_roster)
            await self._take_pushes()
        if self.listed.is_set() and self._unseen <= self._stuck:
            self.caught_up.set()

    async def _unless_stuck(self, channel: int, work: Callable[[int], Awaitable[None]]) -> None:
        """Do something for a channel; one whose entries cannot be stored stands in no other one's way."""
        if channel in self._stuck:
            return
        try:
            await work(channel)
        except StoreFault:
            self._stuck.add(channel)
            await self._core.store.run(_note_stuck, channel)

    # ------------------------------------------------------------ pushes

    async def _take_pushes(self) -> None:
        while self._pushes or self._lost:
            batch = [self._pushes.popleft() for _ in range(min(_BATCH, len(self._pushes)))]
            lost, self._lost = self._lost, set()
            try:
                behind, rosters = await self._core.store.run(
                    _take_pushes, self._setting(), self._host, batch, lost
                )
            except StoreFault:  # then each channel by itself, by number
                lost |= {push.channel_id for push in batch}
                behind, rosters = await self._core.store.run(
                    _take_pushes, self._setting(), self._host, [], lost
                )
            self._behind |= behind
            self._rosters |= rosters

    # ------------------------------------------------------------ what was missed

    async def _list(self) -> None:
        """Ask how far every channel has come; those that have gone further are fetched."""
        after: bytes | None = None
        listed: set[int] = set()
        # What happens after the question may be missing in the answer.
        before = await self._core.store.run(_standing, self._host)
        for _ in range(_LISTS):
            answer = await self._request(GetChannels(after))
            if not isinstance(answer, Channels):
                raise ProtocolError("The server answered a question about channels with something else.")
            known, behind, rosters, strange = await self._core.store.run(
                _compare, self._host, answer.channels, before, self._core.now_ms()
            )
            listed |= known
            self._behind |= behind
            self._rosters |= rosters
            for key in strange:
                await self._enter(key)
            if len(answer.channels) < limits.CHANNELS_PAGE:
                break
            after = answer.channels[-1].channel_id
        await self._core.store.run(_note_unlisted, before.keys() - listed, listed)

    async def _enter(self, key: bytes) -> None:
        try:
            await self._adopt(key)
        except ServerRefused as error:
            if error.retry_after is not None:
                raise
        except (ProtocolError, InvalidInput, StoreFault):
            pass  # one channel that cannot be entered is in no other one's way; the next login tries again

    async def _catch_up(self, channel: int) -> None:
        try:
            await self._fetch(channel)
        except (NotConnected, ServerRefused, ProtocolError):
            self._behind.add(channel)
            raise
        if channel in self._unseen:
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
            return await run(_take_page, setting, channel, page)
        except StoreFault:
            if not page.entries:
                raise
        for entry in page.entries:
            single = msgspec.structs.replace(page, entries=[entry], upto=entry.number)
            try:
                row, behind = await run(_take_page, setting, channel, single)
                if row is None or row.cursor < entry.number:
                    return row, behind  # it was not taken, and nothing behind it may be
            except StoreFault:
                if entry.statement:
                    raise
                await run(_pass_entry, setting, channel, entry)
        return await run(_take_page, setting, channel, msgspec.structs.replace(page, entries=[]))

    async def _fetch_roster(self, channel: int) -> None:
        before = -1
        while True:
            row, index, behind = await self._core.store.run(_newest, channel)
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
            done = await self._core.store.run(_take_roster, self._setting(), channel, answer)
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


def _take_pushes(
    tx: Tx, setting: Setting, host: str, pushes: Sequence[Push], lost: set[bytes]
) -> tuple[set[int], set[int]]:
    """Take what follows on a cursor; returns the channels that are further, and those whose roster is."""
    behind: set[int] = set()
    rosters: set[int] = set()
    for key in lost:
        row = channels.by_key(tx, key)
        if row is not None and row.host == host:
            behind.add(row.id)
    for push in pushes:
        row = channels.by_key(tx, push.channel_id)
        if row is None or row.host != host or row.state not in ("member", "broken"):
            continue
        if row.id in behind or push.number > row.cursor + 1 or isinstance(push, ChannelHead):
            channels.update(tx, row.id, head=max(row.head, push.number))
            if push.number > row.cursor:
                behind.add(row.id)
            continue
        if isinstance(push, ChannelMessage):
            entry = Entry(push.number, push.sender, push.payload)
        elif len(push.statements) == 1:
            entry = Entry(push.number, statement=push.statements[0])
        else:
            continue
        row = take_entries(tx, setting, row, [entry])
        if _is_behind(tx, row):
            rosters.add(row.id)
        if row.cursor >= row.head:
            channels.update(tx, row.id, drained_at=setting.now_ms // 1000)
    return behind, rosters


def _is_behind(tx: Tx, row: ChannelRow) -> bool:
    """Whether there is word of a statement that was not seen."""
    if row.state != "member":
        return False
    return roster_of(tx, row).index < row.server_index or bool(channels.claims(tx, row.id))


def _standing(tx: Tx, host: str) -> dict[int, tuple[int, int]]:
    """Roster index and cursor of every channel in which this profile is."""
    rows = channels.of_host(tx, host, "member", "broken")
    return {row.id: (roster_of(tx, row).index, row.cursor) for row in rows}


def _compare(
    tx: Tx,
    host: str,
    states: Sequence[ChannelState],
    before: Mapping[int, tuple[int, int]],
    now_ms: int,
) -> tuple[set[int], set[int], set[int], list[bytes]]:
    """The listed channels that are known, those with entries to fetch, those with statements to fetch, and
    the keys of those that this profile has not entered yet. `before` is what was known when it was asked.
    """
    strange: list[bytes] = []
    known: set[int] = set()
    behind: set[int] = set()
    rosters: set[int] = set()
    for state in states:
        row = channels.by_key(tx, state.channel_id)
        if row is None or row.state == "joining":
            if row is not None or not channels.was_forgotten(tx, state.channel_id):
                strange.append(state.channel_id)
            continue
        if row.host != host:
            continue
        known.add(row.id)
        if row.state not in ("member", "broken"):
            continue
        index, cursor = before.get(row.id, (0, 0))
        if state.index < index or state.number < cursor:
            rolled_back(tx, row, now_ms)
            continue
        row = mend(tx, row)
        row = channels.update(
            tx,
            row.id,
            head=max(row.head, state.number),
            server_index=max(row.server_index, state.index),
        )
        if state.number > row.cursor:
            behind.add(row.id)
        else:
            channels.update(tx, row.id, drained_at=now_ms // 1000)
        if _is_behind(tx, row):
            rosters.add(row.id)
    return known, behind, rosters, strange


def _note_unlisted(tx: Tx, missing: set[int], listed: set[int]) -> None:
    """A server that knows nothing of a channel of which this profile is a member: say so."""
    for channel in missing | listed:
        row = channels.find(tx, channel)
        reason = _UNLISTED if channel in missing else ""
        if row is not None and row.state == "member":
            _give_reason(tx, row, reason)


def _note_stuck(tx: Tx, channel: int) -> None:
    row = channels.find(tx, channel)
    if row is not None and row.state == "member" and row.reason != _STUCK:
        channels.update(tx, channel, reason=_STUCK)
        for message in lines.own_queued(tx, channel):
            messages.set_state(tx, message, "queued", "channel_stuck", _STUCK)
        tx.emit(ChannelChanged(row.hex, label(tx, row), "withheld", text=_STUCK))


def _pass_entry(tx: Tx, setting: Setting, channel: int, entry: Entry) -> None:
    """A message that cannot be stored stands closed in its place, if it has one."""
    row = channels.find(tx, channel)
    if row is None or entry.number <= row.cursor:
        return
    author = _author(tx, setting, row, entry)
    if author is not None and not lines.at(tx, channel, entry.number):
        lines.add(
            tx, channel, entry.number, author, setting.entropy(16), "closed", "", setting.now_ms,
            setting.now_ms,
        )  # fmt: skip
    channels.update(tx, channel, cursor=entry.number, head=max(row.head, entry.number))


def _author(tx: Tx, setting: Setting, row: ChannelRow, entry: Entry) -> int | None:
    """Who wrote a message that cannot be stored, 0 for oneself; None if it is nobody's whose are shown, or
    one's own that is on its way.
    """
    if entry.sender == setting.identity.public:
        post = posts.first(tx, row.id)
        if post is not None and post.payload == entry.payload:
            return None  # it goes out again, and the answer settles it
        chains.drop_own(tx, row.id)  # numbers of it were used of which this profile does not know
        return 0
    peer = None if entry.sender is None else peers.by_key(tx, entry.sender)
    if peer is None or peer.blocked or not roster_of(tx, row).was_member(peer.ed, row.cursor_index):
        return None
    return peer.id


def _give_reason(tx: Tx, row: ChannelRow, reason: str) -> ChannelRow:
    """Note why a channel cannot be followed; empty if it can, and then nothing waits for it any more."""
    if row.reason == reason:
        return row
    if row.reason == _STUCK:
        for message in lines.own_queued(tx, row.id):
            messages.set_state(tx, message, "queued")
    return channels.update(tx, row.id, reason=reason)


def _take_page(tx: Tx, setting: Setting, channel: int, page: History) -> tuple[ChannelRow | None, bool]:
    row = channels.find(tx, channel)
    if row is None:  # it was forgotten meanwhile
        return None, False
    row = take_entries(tx, setting, row, page.entries)
    last = page.entries[-1].number if page.entries else row.cursor
    if row.state == "member":
        before, reason = row.reason, _WITHHELD if row.cursor < last else ""
        row = _give_reason(tx, row, reason)
        if reason and reason != before:
            tx.emit(ChannelChanged(row.hex, label(tx, row), "withheld", text=reason))
    if row.state == "member" and row.cursor >= last:
        cursor = max(row.cursor, page.upto)
        head = max(row.head, page.head)
        drained = setting.now_ms // 1000 if cursor >= page.head else row.drained_at
        row = channels.update(tx, row.id, cursor=cursor, head=head, drained_at=drained)
    return row, _is_behind(tx, row)


def _newest(tx: Tx, channel: int) -> tuple[ChannelRow | None, int, bool]:
    """The row of a channel, the index of its newest statement, and whether there is word of a newer one."""
    row = channels.find(tx, channel)
    roster = None if row is None else tx.rosters.of(tx, row.id)
    return (None, 0, False) if row is None or roster is None else (row, roster.index, _is_behind(tx, row))


def _take_roster(tx: Tx, setting: Setting, channel: int, page: RosterPage) -> bool:
    """Take statements; returns whether the newest of which there is word is there."""
    row = channels.find(tx, channel)
    if row is None or tx.rosters.of(tx, row.id) is None:  # it was forgotten meanwhile
        return True
    row = channels.update(tx, row.id, server_index=max(row.server_index, page.newest))
    row = extend(tx, setting.identity, row, page.start, page.statements, setting.now_ms, setting.entropy)
    behind = _is_behind(tx, row)
    if behind and not page.statements:
        why = why_held(tx, row)
        for message in lines.own_queued(tx, row.id):
            messages.set_state(tx, message, "queued", *why)
    return not behind


def _ask_for_chains(tx: Tx, now_ms: int, entropy: Callable[[int], bytes]) -> float | None:
    """Ask the senders of closed messages for their chains; returns when to look again, in seconds."""
    now = now_ms // 1000
    due, soonest = chains.due_requests(tx, now)
    for channel, peer, key_id in due:
        row = channels.by_id(tx, channel)
        chains.note_asked(tx, channel, peer, key_id, now)
        request = content.encode(ChainRequest(entropy(16), now_ms, row.key, key_id))
        outgoing.add(tx, peer, request, None, now)
    return soonest
