"""The channels of the hostile server: honest books under the rules of rosters, and the places to cheat.

Left alone it does what the real server does: statements and messages in one sequence, history and rosters for
who may read them, invites, distributions between members, pushes to who is connected. A test cheats by
replacing one of the functions in `ChannelCheat`, by `fork`, after which a group of members has books of its
own, or by writing into a book what nobody sent. Not its concern: pages of a limited size, rates, expiry,
which the real server's own tests hold.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from mobium.errors import SignatureError
from mobium.protocol import messages as m
from mobium.protocol.codes import ErrorCode, sentence
from mobium.protocol.limits import HISTORY_PAGE, ROSTER_PAGE
from mobium.protocol.roster import LEAVES, Access, Kind, Roster, RosterError, parse, peek_input
from mobium.signing import verify
from tests.support.envelope import Envelope

__all__ = ["Book", "ChannelCheat", "HostileChannels"]


@dataclass
class ChannelCheat:
    """The places where the server can lie about channels; each default is the truth."""

    statements: Callable[[bytes, list[bytes]], list[bytes]] = lambda _asker, raws: raws
    """The statements, from the creation on, of which an asker sees a page."""
    members: Callable[[bytes, m.RosterPage], m.ServerMessage] = lambda _asker, page: page
    """The whole answer to a question about members."""
    entries: Callable[[bytes, list[m.Entry]], list[m.Entry]] = lambda _asker, entries: entries
    """The entries that there are for an asker."""
    history: Callable[[bytes, m.History], m.ServerMessage] = lambda _asker, page: page
    """The whole answer to a question about a channel."""
    states: Callable[[bytes, list[m.ChannelState]], list[m.ChannelState]] = lambda _asker, states: states
    """How far the channels have come."""
    push: Callable[[bytes, m.ServerMessage], Iterable[m.ServerMessage]] = lambda _to, pushed: (pushed,)
    """What is told to somebody who is connected about what was just written."""
    judge: Callable[[Book, bytes, m.ChannelPost], ErrorCode | None] = lambda book, sender, post: book.judge(
        sender, post
    )
    """Why a message is not taken."""
    answer: Callable[[m.ChannelPost, m.Accepted], m.ServerMessage | None] = lambda _post, accepted: accepted
    """What the sender of a message is told."""
    hand: Callable[[Envelope], Iterable[Envelope]] = lambda handed: (handed,)
    """What goes into mailboxes for one distribution."""
    appended: Callable[[bytes, m.Appended], m.ServerMessage | None] = lambda _actor, appended: appended
    """What the actor of a statement is told."""


@dataclass
class Book:
    """One telling of a channel: what stands in it, in the order of numbers."""

    roster: Roster
    raws: list[bytes]
    entries: list[m.Entry]
    invites: dict[bytes, m.InviteRow] = field(default_factory=dict)
    taken: dict[tuple[bytes, bytes], int] = field(default_factory=dict)

    @property
    def id(self) -> bytes:
        """The channel."""
        return self.roster.channel_id

    @property
    def head(self) -> int:
        """The newest number."""
        return self.entries[-1].number

    @property
    def payloads(self) -> list[tuple[bytes, bytes]]:
        """(sender, payload) of every message."""
        return [(entry.sender, entry.payload) for entry in self.entries if entry.sender is not None]

    def copy(self) -> Book:
        """The same book, which goes on by itself."""
        return Book(self.roster, list(self.raws), list(self.entries), dict(self.invites), dict(self.taken))

    def judge(self, sender: bytes, post: m.ChannelPost) -> ErrorCode | None:
        """Why an honest server would not take a message."""
        if self.roster.role(sender) is None:
            return ErrorCode.NOT_A_MEMBER
        return ErrorCode.STALE_ROSTER if post.index < self.roster.member_index else None

    def add(self, raw: bytes, roster: Roster | None = None) -> m.Entry:
        """Write a statement; with a roster it is in force, without it only stands there."""
        entry = m.Entry(self.head + 1 if self.entries else 1, statement=raw)
        self.entries.append(entry)
        self.raws.append(raw)
        if roster is not None:
            self.roster = roster
            if parse(raw).key is not None:
                self.invites.clear()
        return entry

    def write(self, sender: bytes, payload: bytes) -> m.Entry:
        """Write a message, whoever made it."""
        entry = m.Entry(self.head + 1, sender, payload)
        self.entries.append(entry)
        return entry

    def seen_by(self, asker: bytes) -> list[m.Entry] | None:
        """The entries from when somebody joined last, up to when it left; None for a stranger."""
        first = last = None
        for entry in self.entries:
            if not entry.statement:
                continue
            statement = parse(entry.statement)
            if statement.kind in (Kind.CREATE, Kind.JOIN) and statement.actor == asker:
                first, last = entry.number, None
            elif statement.kind in LEAVES and statement.subject == asker:
                last = entry.number
        if first is None:
            return None
        end = self.head if last is None else last
        return [entry for entry in self.entries if first <= entry.number <= end]

    def newest_for(self, asker: bytes) -> int:
        """The newest statement that a member, or one who has left, may see."""
        departed = self.roster.departed(asker)
        return self.roster.index if departed is None or self.roster.role(asker) else departed


class _Server(Protocol):
    """What the books need of the server that they lie on."""

    async def say(self, identity: bytes, *messages: m.ServerMessage) -> None: ...
    async def put(self, *envelopes: Envelope) -> None: ...
    def is_online(self, identity: bytes) -> bool: ...
    def nonce_of(self, identity: bytes) -> bytes: ...


class HostileChannels:
    """The books, and the requests about them.

    `handed` holds every distribution that clients sent, `posted` every message with its sender, `refused` the
    messages that were not taken.
    """

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.cheat = ChannelCheat()
        self.handed: list[Envelope] = []
        self.posted: list[tuple[bytes, m.ChannelPost]] = []
        self.refused: list[tuple[bytes, m.ChannelPost, ErrorCode]] = []
        self._books: dict[bytes, list[tuple[frozenset[bytes], Book]]] = {}
        self._handlers: dict[type, Callable[[bytes, Any], Awaitable[None]]] = {
            m.CreateChannel: self._create,
            m.JoinChannel: self._append,
            m.LeaveChannel: self._append,
            m.RosterAppend: self._append,
            m.GetMembers: self._members,
            m.ChannelPost: self._post,
            m.Distribute: self._distribute,
            m.GetHistory: self._history,
            m.GetChannels: self._channels,
            m.CreateInvite: self._invite,
            m.ListInvites: self._invites,
            m.RevokeInvite: self._invites,
        }

    # ------------------------------------------------------------ acts

    def be_honest(self) -> None:
        """Stop cheating; what was forked stays so until `rejoin`."""
        self.cheat = ChannelCheat()

    def book(self, channel: bytes, reader: bytes = b"") -> Book:
        """The book from which somebody reads, and into which it writes."""
        tellings = self._books[channel]
        return next((book for group, book in tellings if reader in group), tellings[-1][1])

    def fork(self, channel: bytes, *group: bytes) -> Book:
        """Keep a book of its own for these identities from now on; returns it."""
        book = self.book(channel).copy()
        self._books[channel].insert(0, (frozenset(group), book))
        return book

    def rejoin(self, channel: bytes) -> None:
        """Let everybody read the first book again."""
        self._books[channel] = self._books[channel][-1:]

    async def place(self, book: Book, raw: bytes, *, to: Iterable[bytes] | None = None) -> m.Entry:
        """Write a statement into a book, whatever the rules say, and tell it to its members, or to `to`."""
        try:
            following = book.roster.append(raw)
        except RosterError:
            following = None
        before = set(book.roster.members)
        entry = book.add(raw, following)
        await self._tell(book, entry, before if to is None else to)
        return entry

    async def write(
        self, book: Book, sender: bytes, payload: bytes, *, to: Iterable[bytes] | None = None
    ) -> m.Entry:
        """Write a message into a book, whoever made it, and tell it to its members, or to `to`."""
        entry = book.write(sender, payload)
        await self._tell(book, entry, book.roster.members if to is None else to)
        return entry

    @staticmethod
    def erase(book: Book, entry: m.Entry) -> None:
        """Take something out of a book that was written into it last."""
        book.entries.remove(entry)
        if entry.statement:
            book.raws.remove(entry.statement)

    async def hand(self, sender: bytes, recipient: bytes, channel: bytes | None, payload: bytes) -> None:
        """Deliver a payload as a distribution."""
        await self._server.put(Envelope(os.urandom(16), sender, recipient, payload, channel))

    def handed_to(self, recipient: bytes) -> list[Envelope]:
        """The distributions that were sent to somebody."""
        return [handed for handed in self.handed if handed.recipient == recipient]

    # ------------------------------------------------------------ the honest part

    async def handle(self, who: bytes, message: m.ClientMessage) -> bool:
        """Carry out a request about channels; False if it is about something else."""
        handler = self._handlers.get(type(message))
        if handler is None:
            return False
        await handler(who, message)
        return True

    async def _say(self, who: bytes, *messages: m.ServerMessage) -> None:
        if self._server.is_online(who):  # who was cut off meanwhile asks again
            await self._server.say(who, *messages)

    async def _tell(self, book: Book, entry: m.Entry, to: Iterable[bytes], but: bytes = b"") -> None:
        pushed: m.ServerMessage
        if entry.statement:
            index = int.from_bytes(entry.statement[34:38], "big")
            pushed = m.RosterPage(book.id, index, [entry.statement], index, entry.number)
        else:
            assert entry.sender is not None
            pushed = m.ChannelMessage(book.id, entry.number, entry.sender, entry.payload)
        for member in list(to):
            if member not in (but, entry.sender) and self.book(book.id, member) is book:
                await self._say(member, *self.cheat.push(member, pushed))

    async def _refuse(
        self, who: bytes, code: ErrorCode, rid: int | None, delivery: bytes | None = None
    ) -> None:
        await self._say(who, m.Error(code, sentence(code), rid, delivery))

    async def _create(self, who: bytes, message: m.CreateChannel) -> None:
        roster = Roster.begin(message.statement)
        book = Book(roster, [], [])
        book.add(message.statement, roster)
        self._books[book.id] = [(frozenset(), book)]
        await self._answer_statement(who, m.Appended(book.id, 0, 1, message.rid))

    async def _append(self, who: bytes, message: m.JoinChannel | m.LeaveChannel | m.RosterAppend) -> None:
        raw = message.statement
        channel = parse(raw).channel_id
        if channel not in self._books:
            await self._refuse(who, ErrorCode.UNKNOWN_CHANNEL, message.rid)
            return
        book = self.book(channel, who)
        if raw in book.raws:
            index = book.raws.index(raw)
            number = next(entry.number for entry in book.entries if entry.statement == raw)
            await self._answer_statement(who, m.Appended(book.id, index, number, message.rid))
            return
        try:
            following = book.roster.append(raw)
        except RosterError as error:
            await self._refuse(who, error.code, message.rid)
            return
        if isinstance(message, m.JoinChannel) and not self._admit(book, message.invite):
            await self._refuse(who, ErrorCode.BAD_INVITE, message.rid)
            return
        before = set(book.roster.members)
        entry = book.add(raw, following)
        await self._tell(book, entry, before, who)
        await self._answer_statement(who, m.Appended(book.id, following.index, entry.number, message.rid))

    @staticmethod
    def _admit(book: Book, invite: bytes | None) -> bool:
        if book.roster.access is Access.OPEN:
            return True
        row = book.invites.get(invite or b"")
        if row is None:
            return False
        if row.uses == 1:
            del book.invites[row.id]
        elif row.uses:
            book.invites[row.id] = m.InviteRow(row.id, row.uses - 1, row.expires, row.made_by)
        return True

    async def _answer_statement(self, who: bytes, appended: m.Appended) -> None:
        answer = self.cheat.appended(who, appended)
        if answer is not None:
            await self._say(who, answer)

    async def _members(self, who: bytes, message: m.GetMembers) -> None:
        if message.channel_id not in self._books:
            await self._refuse(who, ErrorCode.UNKNOWN_CHANNEL, message.rid)
            return
        book = self.book(message.channel_id, who)
        refused = self._may_read(book, who, message)
        if refused is not None:
            await self._refuse(who, refused, message.rid)
            return
        # What was placed against the rules is behind the roster, and members are shown it too.
        gone = (
            message.proof is None and book.roster.role(who) is None and book.roster.access is Access.PRIVATE
        )
        shown = self.cheat.statements(who, book.raws[: book.newest_for(who) + 1] if gone else book.raws)
        page = shown[message.start : message.start + ROSTER_PAGE]
        number = next((entry.number for entry in book.entries if page and entry.statement == page[-1]), 0)
        answer = m.RosterPage(message.channel_id, message.start, page, len(shown) - 1, number, message.rid)
        await self._say(who, self.cheat.members(who, answer))

    def _may_read(self, book: Book, who: bytes, message: m.GetMembers) -> ErrorCode | None:
        roster = book.roster
        if roster.access is Access.OPEN or roster.role(who) is not None or roster.departed(who) is not None:
            return None
        if message.proof is None:
            return ErrorCode.NOT_A_MEMBER
        try:
            verify(roster.key, message.proof, peek_input(message.channel_id, who, self._server.nonce_of(who)))
        except SignatureError:
            return ErrorCode.WRONG_SECRET
        return None if message.invite in book.invites else ErrorCode.BAD_INVITE

    async def _post(self, who: bytes, message: m.ChannelPost) -> None:
        self.posted.append((who, message))
        if message.channel_id not in self._books:
            await self._refuse(who, ErrorCode.UNKNOWN_CHANNEL, message.rid, message.id)
            return
        book = self.book(message.channel_id, who)
        number = book.taken.get((who, message.id))
        if number is None:
            code = self.cheat.judge(book, who, message)
            if code is not None:
                self.refused.append((who, message, code))
                await self._refuse(who, code, message.rid, message.id)
                return
            number = book.taken[who, message.id] = (await self.write(book, who, message.payload)).number
        answer = self.cheat.answer(message, m.Accepted(message.id, message.rid, number))
        if answer is not None:
            await self._say(who, answer)

    async def _distribute(self, who: bytes, message: m.Distribute) -> None:
        if message.channel_id not in self._books:
            await self._refuse(who, ErrorCode.UNKNOWN_CHANNEL, message.rid, message.id)
            return
        roster = self.book(message.channel_id, who).roster
        failed: list[m.NotTaken] = []
        for one in message.distributions:
            handed = Envelope(message.id, who, one.recipient, one.payload, message.channel_id)
            self.handed.append(handed)
            if roster.role(who) is None or roster.role(one.recipient) is None:
                failed.append(m.NotTaken(one.recipient, ErrorCode.NOT_A_MEMBER.value))
                continue
            for each in self.cheat.hand(handed):
                await self._server.put(each)
        await self._say(who, m.Accepted(message.id, message.rid, failed=failed))

    async def _history(self, who: bytes, message: m.GetHistory) -> None:
        if message.channel_id not in self._books:
            await self._refuse(who, ErrorCode.UNKNOWN_CHANNEL, message.rid)
            return
        seen = self.book(message.channel_id, who).seen_by(who)
        if seen is None:
            await self._refuse(who, ErrorCode.NOT_A_MEMBER, message.rid)
            return
        shown = self.cheat.entries(who, seen)
        page = [entry for entry in shown if entry.number > message.after][: min(message.limit, HISTORY_PAGE)]
        head = shown[-1].number if shown else message.after
        upto = page[-1].number if page else head
        answer = m.History(message.channel_id, page, upto, head, message.rid)
        await self._say(who, self.cheat.history(who, answer))

    async def _channels(self, who: bytes, message: m.GetChannels) -> None:
        states = []
        for channel in sorted(self._books):
            book = self.book(channel, who)
            seen = book.seen_by(who)
            if seen is not None and channel > (message.after or b""):
                states.append(m.ChannelState(channel, seen[-1].number, book.newest_for(who)))
        await self._say(who, m.Channels(self.cheat.states(who, states), message.rid))

    async def _invite(self, who: bytes, message: m.CreateInvite) -> None:
        book = self.book(message.channel_id, who)
        row = m.InviteRow(os.urandom(16), message.uses, 0, who)
        book.invites[row.id] = row
        await self._say(who, m.Invite(message.channel_id, row.id, row.uses, row.expires, message.rid))

    async def _invites(self, who: bytes, message: m.ListInvites | m.RevokeInvite) -> None:
        book = self.book(message.channel_id, who)
        if isinstance(message, m.RevokeInvite):
            book.invites.pop(message.id, None)
        await self._say(who, m.Invites(message.channel_id, list(book.invites.values()), message.rid))
