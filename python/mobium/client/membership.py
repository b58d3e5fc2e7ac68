"""Making, joining, leaving and changing channels: statements of one's own, appended on the newest head
(docs/CRYPTO.md section 7).

A statement that comes too late is signed anew on the head that was fetched, eight times at most. What only
this profile knows, such as a new secret, is stored before the server sees the statement. In each channel one
thing is done after the other. Not its concern: what statements change here (`mobium.client.rosters`), and
names of channels (`mobium.client.channels`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from mobium.client.core import Core, Request
from mobium.client.entries import Setting, take_entries
from mobium.client.join_links import JoinLink
from mobium.client.joining import (
    begin_joining,
    came_back,
    check_link,
    enter,
    enter_by_link,
    enter_found,
    give_up_joining,
    longer,
)
from mobium.client.rosters import disputed, extend, leave, roster_of
from mobium.client.store import channels
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.client.sync import Sync
from mobium.crypto.identity import Identity
from mobium.crypto.invite import NONCE_SIZE, invite_key, new_secret, seal_names
from mobium.errors import InvalidInput, NotConnected, ProtocolError, ServerRefused, StoreFault
from mobium.protocol.codes import ErrorCode
from mobium.protocol.messages import (
    Appended,
    ClientMessage,
    CreateChannel,
    Entry,
    GetHistory,
    GetMembers,
    History,
    JoinChannel,
    LeaveChannel,
    RosterAppend,
    RosterPage,
)
from mobium.protocol.roster import (
    LEAVES,
    ZEROS,
    Access,
    Kind,
    Roster,
    RosterError,
    build,
    channel_id_of,
    join_input,
    parse,
    peek_input,
)

__all__ = ["Change", "Membership"]

_TRIES: Final = 8
_PAUSE: Final = 0.05  # seconds before the next try at most, doubled each time up to
_LONGEST: Final = 1.5  # so that of many who come or go at once all do
_INSIDE: Final = "You are in this channel already."


class Change(msgspec.Struct, frozen=True):
    """What a statement is to say: its subject, and its data, made of the channel, the roster on which it goes
    and the secret, which with `fresh_secret` is a new one.
    """

    kind: Kind
    subject: bytes
    data: Callable[[ChannelRow, Roster, bytes | None], bytes] = lambda _row, _roster, _secret: b""
    fresh_secret: bool = False


class Membership:
    """Statements of one's own, over one connection. `nonce()` is that of the present login."""

    def __init__(
        self, core: Core, host: str, request: Request, nonce: Callable[[], bytes], sync: Sync
    ) -> None:
        self._core = core
        self._host = host
        self._request = request
        self._nonce = nonce
        self._sync = sync
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def _alone(self, key: bytes) -> asyncio.Lock:
        """What is held while something is done about a channel (32 bytes): whoever acts on what he has read
        of it must not find that it is something else by now.
        """
        return self._locks.setdefault(key, asyncio.Lock())

    # ------------------------------------------------------------ coming in

    async def create(self, name: str, topic: str, private: bool) -> int:
        """Make a channel; returns its row. Raises InvalidInput, ServerRefused, NotConnected."""
        core = self._core
        identity, secret = core.identity, new_secret()
        access = Access.PRIVATE if private else Access.OPEN
        sealed = seal_names(secret, name, topic, identity.public, 0, core.entropy(NONCE_SIZE))
        key = invite_key(secret).public if private else secret
        data = bytes((access,)) + key + sealed
        raw = build(identity, Kind.CREATE, ZEROS, 0, ZEROS, identity.public, core.now_ms(), data)
        channel_id = channel_id_of(raw)
        async with self._alone(channel_id):
            row = await core.store.run(channels.add, channel_id, self._host, private, secret, core.now())
            try:
                appended = await self._append(CreateChannel(raw), channel_id, 0)
            except ServerRefused:
                await core.store.run(channels.forget, row.id)
                raise
            await core.store.run(enter, self._setting(), row.id, [raw], Roster.begin(raw), appended)
        self._sync.fetch(row.id)
        return row.id

    async def join(self, link: JoinLink) -> int:
        """Come into a channel; returns its row.

        Raises InvalidInput for a link that is out of date, ServerRefused with the reason, NotConnected, and
        ProtocolError if the server shows another channel than the link means.
        """
        async with self._alone(link.channel_id):
            channel = await self._come_in(link)
        self._sync.fetch(channel)
        return channel

    async def _come_in(self, link: JoinLink) -> int:
        core, me = self._core, self._core.identity.public
        known = await core.store.run(channels.by_key, link.channel_id)
        inside = known is not None and known.state in ("member", "broken")
        if known is not None and inside and (known.state == "broken" or known.host != self._host):
            raise InvalidInput(_INSIDE)
        raws, roster = await self._peek(link)
        if inside and roster.role(me) is not None:  # else this profile has not heard yet that it is out
            raise InvalidInput(_INSIDE)
        check_link(link, roster)
        if roster.role(me) is not None:
            # The answer to an earlier try was lost, or the profile was brought back from words or a copy.
            placed = await self._place(raws, roster, known is not None)
            return await core.store.run(enter_by_link, self._setting(), link, self._host, *placed)
        row = await core.store.run(
            begin_joining, link, self._host, roster.access is Access.PRIVATE, core.now()
        )
        try:
            placed = await self._join(link, raws, roster)
        except ServerRefused:
            # An earlier try may have come in meanwhile, whose answer never arrived.
            found = await self._found_in(link, raws, roster)
            if found is None:
                await core.store.run(give_up_joining, row.id, known)
                self._sync.fetch(row.id)
                raise
            placed = await self._place(*found, True)
        try:
            await core.store.run(enter, self._setting(), row.id, *placed)
        except InvalidInput:  # it was forgotten while the join was on its way
            await self._leave_forgotten(placed[1])
            raise
        return row.id

    async def _found_in(
        self, link: JoinLink, raws: list[bytes], roster: Roster
    ) -> tuple[list[bytes], Roster] | None:
        """The newest chain if this identity is in it, though a join was refused."""
        with suppress(ServerRefused):
            raws, roster = await self._statements(link, raws, roster)
            if roster.role(self._core.identity.public) is not None:
                return raws, roster
        return None

    async def _join(
        self, link: JoinLink, raws: list[bytes], roster: Roster
    ) -> tuple[list[bytes], Roster, Appended]:
        """Append the join, on the newest head; returns the chain with it."""
        attempt = 0
        while True:
            raw = self._join_statement(link, roster)
            try:
                following = roster.append(raw)  # refused here, with its code, as it would be there
            except RosterError as error:
                raise ServerRefused(error.code, str(error)) from error
            try:
                asked = JoinChannel(raw, link.invite)
                return [*raws, raw], following, await self._append(asked, link.channel_id, following.index)
            except ServerRefused as error:
                attempt += 1
                if error.code != ErrorCode.STALE_ROSTER or attempt == _TRIES:
                    raise
                await self._pause(attempt)
            raws, roster = await self._statements(link, raws, roster)
            check_link(link, roster)

    def _join_statement(self, link: JoinLink, roster: Roster) -> bytes:
        identity = self._core.identity
        data = b""
        if link.secret is not None:
            signed = join_input(roster.channel_id, roster.head, identity.public)
            data = invite_key(link.secret).sign(signed)
        return build(
            identity, Kind.JOIN, roster.channel_id, roster.index + 1, roster.head, identity.public,
            self._core.now_ms(), data,
        )  # fmt: skip

    async def _peek(self, link: JoinLink) -> tuple[list[bytes], Roster]:
        """The roster of a channel, from its beginning, verified."""
        return await self._statements(link, [], None)

    async def _statements(
        self, link: JoinLink, raws: list[bytes], roster: Roster | None
    ) -> tuple[list[bytes], Roster]:
        """A chain with everything that the server has beyond it. Each page is verified before the next one is
        asked for, and only members of the channel can have made it.
        """
        proof = None
        if link.secret is not None:
            signed = peek_input(link.channel_id, self._core.identity.public, self._nonce())
            proof = invite_key(link.secret).sign(signed)
        while True:
            asked = GetMembers(link.channel_id, len(raws), proof, link.invite)
            answer = await self._request(asked)
            if not isinstance(answer, RosterPage) or answer.start != len(raws):
                raise ProtocolError("The server answered a question about members with something else.")
            roster = await asyncio.to_thread(longer, roster, answer.statements)
            if roster.channel_id != link.channel_id:
                raise ProtocolError("The server shows another channel than the one that the link names.")
            raws = raws + answer.statements
            if not answer.statements or len(raws) > answer.newest:
                return raws, roster

    async def adopt(self, key: bytes) -> None:
        """Enter a channel (32 bytes) of which the server says that this identity is a member: the answer to a
        join was lost, the profile was brought back from its words, or from a copy of a time at which it was
        out.

        The server cannot invent one, since one's own signature stands in the roster.
        """
        async with self._alone(key):
            channel = await self._adopt(key)
        if channel is not None:
            self._sync.fetch(channel)

    async def _adopt(self, key: bytes) -> int | None:
        core, me = self._core, self._core.identity.public
        row = await core.store.run(channels.by_key, key)
        if row is not None and (row.state in ("member", "broken") or row.host != self._host):
            return None  # what was under way has come to its end
        forgotten = row is None and await core.store.run(channels.was_forgotten, key)
        if forgotten and not await core.store.run(channels.is_unanswered, key, self._host):
            return None
        raws, roster = await self._peek(JoinLink(key))
        if forgotten:
            await self._leave_forgotten(roster)
        elif row is None and roster.role(me) is None:
            await core.store.run(channels.note_forgotten, key)
        elif row is None or await core.store.run(came_back, me, row.id, roster):
            placed = await self._place(raws, roster, row is not None)
            return await core.store.run(enter_found, self._setting(), self._host, *placed)
        return None

    async def renounce(self, key: bytes) -> None:
        """A channel (32 bytes) was forgotten of which the server had not said whether this identity is in:
        leave it if so, now or after the next login. A join that is under way does so itself.
        """
        if not self._alone(key).locked():
            with suppress(NotConnected, ServerRefused, ProtocolError):
                await self.adopt(key)

    async def _leave_forgotten(self, roster: Roster) -> None:
        """Nobody is to see a member who knows nothing of it."""
        core, key = self._core, roster.channel_id
        if roster.role(core.identity.public) is not None:
            raw = _leaving(core.identity, roster, core.now_ms())
            with suppress(NotConnected, ServerRefused, ProtocolError):
                await self._append(LeaveChannel(raw), key, roster.index + 1)
                await core.store.run(channels.note_forgotten, key)

    async def _place(
        self, raws: list[bytes], roster: Roster, joining: bool
    ) -> tuple[list[bytes], Roster, Appended]:
        """Where somebody begins to read whom the roster has already: at one's own join if that was just now;
        at the newest statement if this store did not exist then, since what came before cannot be opened.
        """
        if joining:
            first = await self._request(GetHistory(roster.channel_id, 0, 1))
            if not isinstance(first, History) or not first.entries:
                raise ProtocolError("The server answered a question about a channel with something else.")
            index = roster.joined(self._core.identity.public)
            if index is None or first.entries[0].statement != raws[index]:
                raise ProtocolError("The server shows another place of your joining than the roster has.")
            return raws, roster, Appended(roster.channel_id, index, first.entries[0].number)
        answer = await self._request(GetMembers(roster.channel_id, roster.index))
        if not isinstance(answer, RosterPage) or answer.start != roster.index or not answer.statements:
            raise ProtocolError("The server answered a question about members with something else.")
        more = answer.statements[1:]
        roster = await asyncio.to_thread(longer, roster, more)
        return [*raws, *more], roster, Appended(roster.channel_id, roster.index, answer.number)

    # ------------------------------------------------------------ going, and changing

    async def change(self, row: ChannelRow, change: Change) -> None:
        """Append a statement to a channel of which this profile is a member.

        Raises InvalidInput, ServerRefused with the code of the rule that it breaks, NotConnected.
        """
        async with self._alone(row.key):
            try:
                if change.kind is Kind.LEAVE:
                    await self._leave(row, change)
                else:
                    await self._change(row, change)
            except (NotConnected, ProtocolError, asyncio.CancelledError):
                # It may come into force all the same, of which the server tells everybody but us.
                self._sync.fetch_later(row.id)
                raise
            self._sync.fetch(row.id)

    async def _leave(self, row: ChannelRow, change: Change) -> None:
        """Leave, having read what was written before. Whoever is none of its members any more has left, or is
        told how it came.
        """
        refused = None
        try:
            await self._change(row, change)
        except ServerRefused as error:
            if error.code != ErrorCode.NOT_A_MEMBER:
                raise
            refused = error  # the answer to an earlier try was lost, or somebody else was faster
            await self._catch_up(row)
        with suppress(NotConnected, ServerRefused, ProtocolError, StoreFault):
            await self._sync.reach(row.id)
            await self._core.store.run(_departed, self._core.identity.public, row.id)
        after = await self._core.store.run(channels.by_id, row.id)
        if refused is not None and after.state != "left":
            raise InvalidInput(after.reason) if after.state in channels.GONE else refused

    async def _change(self, row: ChannelRow, change: Change) -> None:
        core = self._core
        for attempt in range(_TRIES):
            raw, index = await core.store.run(self._sign, row.id, change)
            asked = LeaveChannel(raw) if change.kind is Kind.LEAVE else RosterAppend(raw)
            try:
                appended = await self._append(asked, row.key, index)
            except ServerRefused as error:
                if error.code == ErrorCode.NOT_A_MEMBER:
                    self._sync.fetch(row.id)  # the history says why
                if error.code != ErrorCode.STALE_ROSTER or attempt == _TRIES - 1:
                    raise
                await self._pause(attempt + 1)
                await self._catch_up(row)
                continue
            await core.store.run(_appended, self._setting(), row.id, raw, appended)
            return

    async def _pause(self, attempt: int) -> None:
        """Somebody else was faster, so many times now: wait a little, each for another time."""
        await asyncio.sleep(self._core.uniform(0.0, min(_LONGEST, _PAUSE * 2**attempt)))

    def _sign(self, tx: Tx, channel: int, change: Change) -> tuple[bytes, int]:
        """The statement, and its index."""
        core = self._core
        row = channels.by_id(tx, channel)
        _check_state(row)
        if change.kind not in LEAVES and (dispute := disputed(tx, row)):
            raise InvalidInput(dispute)
        roster = roster_of(tx, row)
        secret = new_secret() if change.fresh_secret else row.secret
        data = change.data(row, roster, secret)
        try:
            raw = build(
                core.identity, change.kind, row.key, roster.index + 1, roster.head, change.subject,
                core.now_ms(), data,
            )  # fmt: skip
            roster.append(raw)
        except RosterError as error:
            raise ServerRefused(error.code, str(error)) from error
        if change.fresh_secret and row.private and secret is not None:
            # Before the server has it: only this profile knows the secret, and a crash must not lose it. Nor
            # must a server that refuses the statement and has taken it: it is kept until another one stands
            # there.
            channels.add_secret(tx, row.id, secret, 0, core.now(), index=roster.index + 1)
        return raw, roster.index + 1

    async def abandon(self, row: ChannelRow) -> None:
        """Leave a channel that is broken: here in any case, and on the server if it still takes the word."""
        core = self._core
        async with self._alone(row.key):
            raw = await core.store.run(_last_word, core.identity, row.id, core.now_ms())
            with suppress(NotConnected, ServerRefused, ProtocolError):
                await self._request(LeaveChannel(raw))
            await core.store.run(_abandoned, row.id)

    async def _catch_up(self, row: ChannelRow) -> None:
        """Fetch and verify the statements that came in between."""
        start = (await self._core.store.run(_index, row.id)) + 1
        answer = await self._request(GetMembers(row.key, start))
        if not isinstance(answer, RosterPage) or answer.channel_id != row.key:
            raise ProtocolError("The server answered a question about members with something else.")
        await self._core.store.run(_extend, self._setting(), row.id, answer)
        self._sync.fetch(row.id)

    async def _append(self, asked: ClientMessage, channel_id: bytes, index: int) -> Appended:
        answer = await self._request(asked)
        if not isinstance(answer, Appended) or (answer.channel_id, answer.index) != (channel_id, index):
            raise ProtocolError("The server answered a statement with something else.")
        return answer

    def _setting(self) -> Setting:
        core = self._core
        return Setting(core.identity, core.now_ms(), core.entropy)


def _check_state(row: ChannelRow) -> None:
    if row.state == "broken":
        raise InvalidInput(row.reason)
    if row.state != "member":
        raise InvalidInput(row.reason or "You are not in this channel.")


def _appended(tx: Tx, setting: Setting, channel: int, raw: bytes, appended: Appended) -> None:
    """A statement of one's own is in force."""
    row = channels.by_id(tx, channel)
    if appended.number == row.cursor + 1:
        take_entries(tx, setting, row, [Entry(appended.number, statement=raw)])
    else:  # others stand before it: the line follows in its place
        channels.update(tx, channel, head=max(row.head, appended.number))
        extend(tx, setting.identity, row, appended.index, [raw], setting.now_ms, setting.entropy)


def _last_word(tx: Tx, identity: Identity, channel: int, now_ms: int) -> bytes:
    """One's leaving, on the last head that verified."""
    return _leaving(identity, roster_of(tx, channels.by_id(tx, channel)), now_ms)


def _leaving(identity: Identity, roster: Roster, now_ms: int) -> bytes:
    return build(
        identity, Kind.LEAVE, roster.channel_id, roster.index + 1, roster.head, identity.public, now_ms
    )


def _abandoned(tx: Tx, channel: int) -> None:
    leave(tx, channels.by_id(tx, channel), Kind.LEAVE)


def _departed(tx: Tx, me: bytes, channel: int) -> None:
    """The history was read as far as it is shown: who is out by the roster is out, whatever it leaves out."""
    row = channels.by_id(tx, channel)
    roster = roster_of(tx, row)
    index = roster.departed(me)
    if roster.role(me) is None and index is not None:
        leave(tx, row, parse(tx.rosters.raw(tx, channel, index)).kind)


def _index(tx: Tx, channel: int) -> int:
    return roster_of(tx, channels.by_id(tx, channel)).index


def _extend(tx: Tx, setting: Setting, channel: int, page: RosterPage) -> None:
    row = channels.by_id(tx, channel)
    extend(tx, setting.identity, row, page.start, page.statements, setting.now_ms, setting.entropy)
