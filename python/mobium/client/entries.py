"""A channel's sequence, inside a transaction: messages and statements in the order of their numbers, each
once (docs/PROTOCOL.md, Delivery 5; docs/CRYPTO.md sections 6 and 7).

A message is opened only if its sender was a member where it stands. Nothing here fails for what a member or a
server sends. Not its concern: fetching entries (`mobium.client.sync`), and what statements change
(`mobium.client.rosters`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from mobium.client import chains as opening
from mobium.client.chains import NoChain, Opened
from mobium.client.events import ChannelChanged, MessageReceived, from_ms
from mobium.client.labels import label
from mobium.client.rosters import Entropy, extend, heard_head, leave, roster_of
from mobium.client.store import chains, channels, incoming, lines, meta, outgoing, peers, posts
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.crypto.identity import Identity
from mobium.errors import CryptoError, ProtocolError
from mobium.protocol import content
from mobium.protocol.content import ChannelText, RosterHead
from mobium.protocol.messages import Entry
from mobium.protocol.roster import LEAVES, Kind, Roster, RosterError, Statement, parse
from mobium.protocol.statement import verify_statement

__all__ = ["Setting", "coming_back", "open_waiting", "own_taken", "pass_own", "take_entries"]

# Ids of lines that are no contents are drawn here: others could write a content under one that they know.
_ID: Final = 16
_IN: Final = frozenset(("member", "joining", "broken"))
_WHAT: Final[dict[Kind, str]] = {
    Kind.CREATE: "created",
    Kind.JOIN: "joined",
    Kind.LEAVE: "left",
    Kind.REMOVE: "removed",
    Kind.ROLE: "role",
    Kind.SECRET: "secret",
    Kind.NAMES: "renamed",
    Kind.BAN: "banned",
    Kind.UNBAN: "unbanned",
}


class Setting(msgspec.Struct, frozen=True):
    """Who takes entries, when, and whence entropy comes."""

    identity: Identity
    now_ms: int
    entropy: Entropy


def take_entries(tx: Tx, setting: Setting, row: ChannelRow, entries: Iterable[Entry]) -> ChannelRow:
    """Take the entries behind the cursor, in order, and move it; returns the row as it is then.

    Ends where this profile has left, and before a statement that does not add up.
    """
    for entry in entries:
        if entry.number <= row.cursor:
            continue
        if row.state not in _IN:
            break
        if entry.statement:
            taken = _take_statement(tx, setting, row, entry)
            if taken is None:
                break
            row = taken
        elif entry.sender is not None:
            row = _take_message(tx, setting, row, entry.number, entry.sender, entry.payload)
        row = channels.update(tx, row.id, cursor=entry.number, head=max(row.head, entry.number))
    return pass_own(tx, row)


def pass_own(tx: Tx, row: ChannelRow) -> ChannelRow:
    """Move the cursor past messages of one's own, which the server answers and does not send back."""
    cursor = row.cursor
    while lines.own_at(tx, row.id, cursor + 1):
        cursor += 1
    return row if cursor == row.cursor else channels.update(tx, row.id, cursor=cursor)


def _take_statement(tx: Tx, setting: Setting, row: ChannelRow, entry: Entry) -> ChannelRow | None:
    before = row
    try:
        statement = parse(entry.statement)
    except RosterError:
        statement = None
    index = row.cursor_index + 1 if statement is None else statement.index
    row = extend(tx, setting.identity, row, index, [entry.statement], setting.now_ms, setting.entropy)
    roster = roster_of(tx, row)
    if statement is None or index > roster.index or statement.head != roster.heads[index]:
        return None  # it was not taken
    if statement.kind is Kind.JOIN and statement.actor == setting.identity.public:
        row = _pass_absence(tx, row, roster, index)
    if index != row.cursor_index + 1:
        return None  # it stands in another place than the chain has it
    row = channels.update(tx, row.id, cursor_index=index)
    if statement.kind in LEAVES and statement.subject == setting.identity.public:
        row = leave(tx, row, statement.kind)
    elif statement.kind in LEAVES:
        gone = peers.by_key(tx, statement.subject)
        if gone is not None:
            chains.drop_receivers(tx, row.id, gone.id, index)
    _note(tx, setting, before, row, statement, entry.number)
    return row


def _pass_absence(tx: Tx, row: ChannelRow, roster: Roster, index: int) -> ChannelRow:
    """This identity has left and come back without this profile, which was brought back from a copy: a server
    shows a member what follows on its newest joining, and nothing in between was for this profile.
    """
    if index <= row.cursor_index + 1:
        return row
    chains.drop_own(tx, row.id)
    row = channels.update(tx, row.id, cursor_index=index - 1)
    opening.sift_early(tx, row, roster)
    return row


def coming_back(tx: Tx, setting: Setting, row: ChannelRow, entries: Iterable[Entry]) -> int:
    """The index of one's own joining if that is what follows on the cursor, and lies beyond the roster, which
    is to be fetched first; otherwise 0.
    """
    following = next((entry for entry in entries if entry.number > row.cursor), None)
    if following is None:
        return 0
    try:
        statement = parse(following.statement)
        if statement.kind is not Kind.JOIN or statement.actor != setting.identity.public:
            return 0
        verify_statement(statement)
    except RosterError:
        return 0
    return statement.index if statement.index > roster_of(tx, row).index else 0


def _note(
    tx: Tx, setting: Setting, before: ChannelRow, row: ChannelRow, statement: Statement, number: int
) -> None:
    """A line and an event for a change."""
    what, text = _WHAT[statement.kind], ""
    if statement.kind is Kind.ROLE and statement.role is not None:
        text = statement.role.name.lower()
    elif statement.kind is Kind.NAMES:
        renamed = row.name != before.name or row.topic == before.topic
        what, text = ("renamed", row.name) if renamed else ("topic", row.topic)
        if row.secret is None:  # nobody has handed it on yet: `take_secret` tells the name when it comes
            what, text = "renamed", ""
    me, actor, subject = setting.identity.public, statement.actor, statement.subject
    peer = None if actor == me else peers.by_key(tx, actor)
    shown = f"{what} {text}".strip()
    if not lines.at(tx, row.id, number):
        lines.add(
            tx, row.id, number, 0 if peer is None else peer.id, setting.entropy(_ID), "notice", shown,
            statement.time_ms, setting.now_ms, subject=subject,
        )  # fmt: skip
    tx.emit(ChannelChanged(row.hex, label(tx, row), what, actor.hex(), subject.hex(), text))


def _take_message(
    tx: Tx, setting: Setting, row: ChannelRow, number: int, sender: bytes, payload: bytes
) -> ChannelRow:
    if sender == setting.identity.public:
        return _take_own(tx, setting, row, number, payload)
    roster = roster_of(tx, row)
    if not roster.was_member(sender, row.cursor_index):
        return row
    peer = peers.by_key(tx, sender)
    if peer is None:
        peer = peers.add(tx, sender, "unknown", setting.now_ms // 1000)
    digest = hashlib.sha256(payload).digest()
    if peer.blocked or lines.at(tx, row.id, number) or incoming.was_opened(tx, digest):
        return row
    return _read(tx, setting, row, peer, number, payload, digest)


def _take_own(tx: Tx, setting: Setting, row: ChannelRow, number: int, payload: bytes) -> ChannelRow:
    """A message of one's own whose answer was lost, or which this profile does not know any more."""
    post = posts.first(tx, row.id)
    if post is not None and post.payload == payload:
        own_taken(tx, row.id, post, number, setting.now_ms // 1000)
    elif not lines.at(tx, row.id, number) and not incoming.was_opened(tx, hashlib.sha256(payload).digest()):
        # The profile was brought back from a copy, or the identity recovered: numbers of the chain were used.
        chains.drop_own(tx, row.id)
        lines.add(tx, row.id, number, 0, setting.entropy(_ID), "closed", "", setting.now_ms, setting.now_ms)
    return row


def own_taken(tx: Tx, channel: int, post: posts.Post, number: int | None, now: int) -> None:
    """The server has taken a message of one's own; None if it does not say where any more."""
    posts.drop(tx, post.id)
    if post.payload is not None:  # a server may show it again, under another number
        incoming.note_opened(tx, hashlib.sha256(post.payload).digest(), now)
    chains.settle_own(tx, channel)
    lines.number_own(tx, post.message, number)


def _read(
    tx: Tx, setting: Setting, row: ChannelRow, peer: Peer, number: int, payload: bytes, digest: bytes
) -> ChannelRow:
    now = setting.now_ms // 1000

    def closed() -> int:
        return lines.add(
            tx, row.id, number, peer.id, setting.entropy(_ID), "closed", "", setting.now_ms, setting.now_ms
        )

    try:
        opened = opening.open_message(tx, row, peer, payload, now)
    except NoChain as error:
        if chains.is_closed(tx, row.id, peer.id, error.key_id, payload):
            return row  # it waits already, under an earlier number
        chains.add_closed(tx, row.id, closed(), peer.id, error.key_id, row.cursor_index, payload, now)
        return row
    except (CryptoError, ProtocolError):
        closed()
        return row
    incoming.note_opened(tx, digest, now)
    chains.note_gaps(tx, row.id, peer.id, opened.key_id, opened.missing, opened.iteration, number - 1, now)
    received = opened.content
    if not incoming.first_time(tx, peer.id, received.id, now):
        return row
    kind, text = ("text", received.text) if isinstance(received, ChannelText) else ("unknown", received.kind)
    lines.add(tx, row.id, number, peer.id, received.id, kind, text, received.sent, setting.now_ms)
    _tell(tx, row, peer, opened)
    return _cross(tx, setting, row, peer, opened)


def open_waiting(tx: Tx, setting: Setting, row: ChannelRow, peer: Peer, key_id: int) -> ChannelRow:
    """The chain of a peer has come: open what waited for it, in order."""
    now = setting.now_ms // 1000
    for held in chains.closed(tx, row.id, peer.id, key_id):
        number, _ = lines.place(tx, held.message)
        try:
            opened = opening.open_message(tx, row, peer, held.payload, now)
        except NoChain:
            continue  # it lies before where the chain begins here: the one that was sent first may still come
        except (CryptoError, ProtocolError):
            chains.drop_closed(tx, held.message)
            continue  # it stays closed, in its place: it was sent before this profile was to read it
        chains.drop_closed(tx, held.message)
        incoming.note_opened(tx, hashlib.sha256(held.payload).digest(), now)
        chains.note_gaps(
            tx, row.id, peer.id, key_id, opened.missing, opened.iteration, max(number - 1, 0), now
        )
        received = opened.content
        if not incoming.first_time(tx, peer.id, received.id, now):
            lines.drop(tx, held.message)
            continue
        kind, text = (
            ("text", received.text) if isinstance(received, ChannelText) else ("unknown", received.kind)
        )
        lines.reveal(tx, held.message, received.id, kind, text, received.sent)
        _tell(tx, row, peer, opened)
        row = _cross(tx, setting, row, peer, opened)
    return row


def _tell(tx: Tx, row: ChannelRow, peer: Peer, opened: Opened) -> None:
    received = opened.content
    text = received.text if isinstance(received, ChannelText) else None
    tx.emit(MessageReceived(received.id.hex(), peer.key, label(tx, row), text, from_ms(received.sent)))
    if opened.late:  # a sender has one message under way at a time, so the server has numbered them otherwise
        tx.emit(ChannelChanged(row.hex, label(tx, row), "reordered", actor=peer.key))


def _cross(tx: Tx, setting: Setting, row: ChannelRow, peer: Peer, opened: Opened) -> ChannelRow:
    """Hold the roster that a message speaks of against ours."""
    received = opened.content
    if row.state not in _IN or not isinstance(received, ChannelText):
        return row
    index, head = received.roster
    heard_head(tx, row, peer.id, index, head, setting.now_ms)
    roster = roster_of(tx, row)
    behind = index < roster.last_departure <= row.cursor_index and row.state == "member"
    if behind and not _was_told(tx, row, peer, roster.last_departure):
        # By an honest server this cannot be: it refuses what was encrypted for somebody who has left since.
        told = content.encode(
            RosterHead(setting.entropy(16), setting.now_ms, row.key, roster.index, roster.head)
        )
        outgoing.add(tx, peer.id, told, None, setting.now_ms // 1000, channel=row.id)
    return row


def _was_told(tx: Tx, row: ChannelRow, peer: Peer, index: int) -> bool:
    """Whether a member was told of the departure at `index`; from now on it was."""
    name = channels.member_count("told", row.id, peer.id)
    if meta.get(tx, name, -1) >= index:
        return True
    meta.put(tx, name, index)
    return False
