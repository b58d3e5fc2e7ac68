"""Channels: statements, rosters, messages, history, distributions. Not here: what they come to
(`mobium_server.channels`, `mobium_server.board`, `mobium_server.delivery`), and invites
(`mobium_server.handlers.invites`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mobium.protocol.codes import ErrorCode
from mobium.protocol.limits import CHANNELS_PAGE, PAGE_BYTES
from mobium.protocol.messages import (
    Appended,
    ChannelPost,
    Channels,
    ChannelState,
    CreateChannel,
    Distribute,
    Entry,
    GetChannels,
    GetHistory,
    GetMembers,
    History,
    JoinChannel,
    LeaveChannel,
    NotTaken,
    RosterAppend,
    RosterPage,
)
from mobium.protocol.roster import Kind
from mobium_server.channels import APPENDED, Place, Proof, Rows
from mobium_server.handlers.payloads import may_keep, wrong_channel_size, wrong_direct_size
from mobium_server.rooms import Denied, Room, denied
from mobium_server.storage.base import HistoryPage, Line, Refused, State

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["append", "channels", "create", "distribute", "history", "join", "leave", "members", "post"]


def create(hub: Hub, session: Session, message: CreateChannel) -> None:
    """Begin a channel."""
    _append(hub, session, message.statement, (Kind.CREATE,), None, message.rid)


def join(hub: Hub, session: Session, message: JoinChannel) -> None:
    """Append the asker's own join."""
    _append(hub, session, message.statement, (Kind.JOIN,), message.invite, message.rid)


def leave(hub: Hub, session: Session, message: LeaveChannel) -> None:
    """Append the asker's own leave."""
    _append(hub, session, message.statement, (Kind.LEAVE,), None, message.rid)


def append(hub: Hub, session: Session, message: RosterAppend) -> None:
    """Append any other statement."""
    _append(hub, session, message.statement, APPENDED, None, message.rid)


def _append(
    hub: Hub,
    session: Session,
    statement: bytes,
    kinds: Collection[Kind],
    invite: bytes | None,
    rid: int | None,
) -> None:
    def done(place: Place | Denied) -> None:
        if isinstance(place, Denied):
            _refuse(session, place, rid)
        else:
            session.reply(Appended(place.channel, place.position, place.number, rid))

    hub.channels.append(session.desk, statement, kinds, invite, done)


def members(hub: Hub, session: Session, message: GetMembers) -> None:
    """Send a page of a roster to who may read it."""

    def done(found: Rows | Denied) -> None:
        if isinstance(found, Denied):
            _refuse(session, found, message.rid)
            return
        number = found.rows[-1].number if found.rows else 0
        statements = [row.statement for row in found.rows]
        page = RosterPage(message.channel_id, message.start, statements, found.newest, number, message.rid)
        hub.answer(session, page)

    proof = Proof(message.proof, message.invite, session.connection.nonce)
    hub.channels.members(session.desk, message.channel_id, message.start, proof, done)


def post(hub: Hub, session: Session, message: ChannelPost) -> None:
    """Take a message, if its payload has the size of a padded one; the answer follows when it is true."""
    hub.counters.posts += 1
    size = len(message.payload)
    code = wrong_channel_size(size, hub.settings.max_message_size)
    if code is not None:
        session.refuse(code, rid=message.rid, delivery=message.id)
        return
    if not may_keep(hub, session, size, message.rid, message.id):
        return
    hub.keeps(session.line.address, size)
    hub.board.post(session.desk, message.rid, message.channel_id, message.index, message.id, message.payload)


def history(hub: Hub, session: Session, message: GetHistory) -> None:
    """Send a page of what the asker may see of a channel."""

    def read() -> HistoryPage | Refused:
        return hub.storage.history(
            message.channel_id, session.identity, message.after, message.limit, PAGE_BYTES
        )

    def done(page: HistoryPage | Refused | None, _error: Exception | None) -> None:
        if isinstance(page, HistoryPage):
            entries = [_entry(line) for line in page.lines]
            hub.answer(session, History(message.channel_id, entries, page.upto, page.head, message.rid))
        else:
            _refuse(session, denied(page), message.rid)

    hub.pages.read(session.desk, read, done)


def _entry(line: Line) -> Entry:
    if line.sender is None:
        return Entry(line.number, statement=line.payload)
    return Entry(line.number, line.sender, line.payload)


def channels(hub: Hub, session: Session, message: GetChannels) -> None:
    """Say how far the asker's channels have come."""

    def read() -> list[State]:
        return hub.storage.channels(session.identity, message.after or b"", CHANNELS_PAGE)

    def done(states: list[State] | None, _error: Exception | None) -> None:
        if states is None:
            _refuse(session, denied(None), message.rid)
        else:
            found = [ChannelState(state.channel, state.number, state.index) for state in states]
            hub.answer(session, Channels(found, message.rid))

    hub.pages.read(session.desk, read, done)


def distribute(hub: Hub, session: Session, message: Distribute) -> None:
    """Take distributions from a member to members; each is a delivery of its own, and one answer speaks of
    all.
    """
    if len({one.recipient for one in message.distributions}) != len(message.distributions):
        session.malformed()
        return

    def found(room: Room | Denied) -> None:
        if isinstance(room, Denied):
            session.refuse(room.code, rid=message.rid, delivery=message.id, retry_after=room.retry_after)
            return
        roster = room.roster
        if roster.role(session.identity) is None:
            session.refuse(ErrorCode.NOT_A_MEMBER, rid=message.rid, delivery=message.id)
            return
        parts: list[tuple[bytes, bytes]] = []
        failed: list[NotTaken] = []
        for one in message.distributions:
            code = wrong_direct_size(len(one.payload), hub.settings.max_message_size)
            if roster.role(one.recipient) is None:
                code = ErrorCode.NOT_A_MEMBER
            if code is None:
                parts.append((one.recipient, one.payload))
            else:
                failed.append(NotTaken(one.recipient, code.value))
        if not may_keep(hub, session, sum(len(payload) for _, payload in parts), message.rid, message.id):
            return
        kept = sum(len(payload) for one, payload in parts if hub.office.is_away(one, len(payload)))
        hub.keeps(session.line.address, kept)
        hub.office.distribute(session.desk, message.rid, message.channel_id, message.id, parts, failed)

    hub.rooms.find(message.channel_id, found)


def _refuse(session: Session, reason: Denied, rid: int | None) -> None:
    session.refuse(reason.code, rid=rid, retry_after=reason.retry_after)
