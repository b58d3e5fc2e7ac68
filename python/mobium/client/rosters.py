"""What statements do to a channel of this profile, inside a transaction (docs/CRYPTO.md section 7).

A statement is verified under everything before it, stored, and then changes the channel's row, its members
and its secret. What does not verify is kept as evidence, and breaks the channel. Not its concern: where in
the sequence of messages a statement stands (`mobium.client.entries`), and the network (`mobium.client.sync`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from mobium.client.events import ChannelChanged
from mobium.client.labels import label, name_key
from mobium.client.store import chains, channels, lines, messages, outgoing, peers, posts
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.crypto.identity import Identity
from mobium.crypto.invite import invite_key, open_names
from mobium.errors import CryptoError, ProtocolError
from mobium.protocol import content
from mobium.protocol.codes import ErrorCode
from mobium.protocol.content import ChannelSecret
from mobium.protocol.roster import LEAVES, Access, Kind, Roster, RosterError, Statement, parse

__all__ = [
    "Entropy",
    "adopt",
    "break_channel",
    "compare_claims",
    "disputed",
    "extend",
    "heard_head",
    "leave",
    "mend",
    "rolled_back",
    "roster_of",
    "take_secret",
    "why_held",
]

_FORK: Final = (
    "This channel has two different lists of members: somebody shows you another one than others see."
    " Nothing is sent there any more; compare with the other members, and leave the channel."
)
_DISPUTED: Final = (
    "There are two different lists of members of this channel: {who} speaks of another one than yours, so one"
    " of you is shown a false one, or it is a lie. Nothing is sent there until {who} speaks of yours, or is"
    " removed; compare with the other members."
)
_AHEAD: Final = (
    "{who} speaks of a newer list of members than the server shows; nothing is sent before it was seen, or"
    " {who} was removed."
)
_BEHIND: Final = (
    "There is word of a newer list of members than the server shows; nothing is sent before it was seen."
)
_BAD: Final = (
    "The server shows a change of this channel that nobody was allowed to make ({reason})."
    " It was not taken, and nothing is sent there any more."
)
_ROLLED_BACK: Final = (
    "The server shows an older list of members than you have seen; until it shows the newest one, nothing is"
    " sent there."
)

Entropy = Callable[[int], bytes]


def roster_of(tx: Tx, row: ChannelRow) -> Roster:
    """The roster of a channel that has one."""
    roster = tx.rosters.of(tx, row.id)
    assert roster is not None
    return roster


def adopt(tx: Tx, me: bytes, row: ChannelRow, raws: list[bytes], roster: Roster, now: int) -> ChannelRow:
    """Store the whole verified chain of a channel that this profile comes into."""
    tx.rosters.begin(tx, row.id, raws, roster)
    channels.remove_members(tx, row.id)
    for ed in roster.members:
        if ed != me:
            channels.add_member(tx, row.id, _peer(tx, ed, now))
    secret = roster.key if roster.access is Access.OPEN else _secret_in_force(tx, row, roster)
    channels.drop_own_secrets(tx, row.id, roster.index)
    channels.drop_strange_secrets(tx, row.id)
    row = channels.update(tx, row.id, secret=secret, server_index=max(row.server_index, roster.index))
    return _read_names(tx, row, roster)


def _secret_in_force(tx: Tx, row: ChannelRow, roster: Roster) -> bytes | None:
    """That of the link, or one that a member has handed on, since there may be a newer one."""
    if row.secret is not None and invite_key(row.secret).public == roster.key:
        return row.secret
    found = channels.secret_of(tx, row.id, roster.key)
    return None if found is None else found[0]


def extend(
    tx: Tx,
    identity: Identity,
    row: ChannelRow,
    start: int,
    raws: Sequence[bytes],
    now_ms: int,
    entropy: Entropy,
) -> ChannelRow:
    """Take statements, the first of them at index `start`; those that are known already must be the same.

    Returns the row as it is then; "broken" if something does not add up. What lies beyond the next index is
    left for later.
    """
    roster = roster_of(tx, row)
    known = roster.index
    for index, raw in enumerate(raws, start):
        if row.state == "broken" and index > roster.index:
            return row
        if index > roster.index + 1:
            break
        if index <= roster.index:
            try:
                head = parse(raw).head
            except RosterError as error:
                return _refuse(tx, row, index, raw, error, now_ms)
            if head != roster.heads[index]:
                return break_channel(tx, row, _FORK, now_ms, (index, roster.heads[index], raw))
            continue
        try:
            following = roster.append(raw)
        except RosterError as error:
            return _refuse(tx, row, index, raw, error, now_ms)
        statement = parse(raw)
        tx.rosters.append(tx, row.id, raw, following)
        row = _take(tx, identity, row, statement, following, now_ms, entropy)
        roster = following
    if roster.index > known:
        channels.drop_own_secrets(tx, row.id, roster.index)
    if roster.index > row.server_index:
        row = channels.update(tx, row.id, server_index=roster.index)
    compare_claims(tx, row, roster, known, now_ms)
    return row


def _refuse(tx: Tx, row: ChannelRow, index: int, raw: bytes, error: RosterError, now_ms: int) -> ChannelRow:
    roster = roster_of(tx, row)
    if error.code == ErrorCode.STALE_ROSTER:  # it follows on another statement than ours
        return break_channel(tx, row, _FORK, now_ms, (index, roster.head, raw))
    reason = str(error).rstrip(".")
    return break_channel(
        tx, row, _BAD.format(reason=reason[:1].lower() + reason[1:]), now_ms, (index, roster.head, raw)
    )


def break_channel(
    tx: Tx, row: ChannelRow, reason: str, now_ms: int, evidence: tuple[int, bytes, bytes] | None = None
) -> ChannelRow:
    """Send nothing in a channel any more, and say why; (index, mine, other) is kept."""
    if evidence is not None:
        channels.note_evidence(tx, row.id, *evidence, now_ms // 1000)
    if row.state == "broken":
        # What was rolled back can be shown again; what is worse than that stays.
        return channels.update(tx, row.id, reason=reason) if row.reason == _ROLLED_BACK else row
    for message in lines.own_queued(tx, row.id):
        messages.set_state(tx, message, "queued", "channel_broken", reason)
    row = channels.update(tx, row.id, state="broken", reason=reason)
    tx.emit(ChannelChanged(row.hex, label(tx, row), "broken", text=reason))
    return row


def rolled_back(tx: Tx, row: ChannelRow, now_ms: int) -> ChannelRow:
    """The server names an older roster than this profile has seen."""
    return break_channel(tx, row, _ROLLED_BACK, now_ms)


def mend(tx: Tx, row: ChannelRow) -> ChannelRow:
    """The server shows everything again that it had hidden."""
    if row.state != "broken" or row.reason != _ROLLED_BACK:
        return row
    row = channels.update(tx, row.id, state="member", reason="")
    for message in lines.own_queued(tx, row.id):
        messages.set_state(tx, message, "queued")
    tx.emit(ChannelChanged(row.hex, label(tx, row), "mended"))
    return row


def heard_head(tx: Tx, row: ChannelRow, peer: int, index: int, head: bytes, now_ms: int) -> None:
    """A member says, inside the encryption, what the roster's head at an index is.

    Another one than ours is a fork, or a lie, and a head alone does not tell which: nothing is sent until the
    member speaks of ours, or is one no more. One beyond ours is compared once we are there, and nothing is
    sent before either.
    """
    roster = roster_of(tx, row)
    disputes = any(author == peer for author, _ in _disputes(tx, row, roster))
    if index > roster.index:
        if not disputes:  # else it follows on the other roster
            channels.note_claim(tx, row.id, peer, index, head)
    elif roster.heads[index] != head:
        channels.note_dispute(tx, row.id, peer, index, head, roster.index)
        channels.note_evidence(tx, row.id, index, roster.heads[index], head, now_ms // 1000)
        if not disputes:
            _tell_dispute(tx, row, peer)
    else:  # a head speaks for all that led to it
        with _settling(tx, row):
            channels.drop_claim(tx, row.id, peer, index)


def compare_claims(tx: Tx, row: ChannelRow, roster: Roster, since: int, now_ms: int) -> None:
    """Hold what members have said of the roster against it, as far as it goes; what lies beyond the index
    `since` is compared for the first time.
    """
    for index, head, peer in channels.claims(tx, row.id):
        if index > roster.index:
            break
        if roster.heads[index] == head:
            channels.drop_claim(tx, row.id, peer, index)
        elif index > since:
            channels.note_evidence(tx, row.id, index, roster.heads[index], head, now_ms // 1000)
            _tell_dispute(tx, row, peer)
    channels.drop_strange_claims(tx, row.id, roster.index)


def _tell_dispute(tx: Tx, row: ChannelRow, peer: int) -> None:
    author, text = peers.by_id(tx, peer).ed.hex(), _DISPUTED.format(who=_called(tx, peer))
    tx.emit(ChannelChanged(row.hex, label(tx, row), "disputed", actor=author, text=text))


def _disputes(tx: Tx, row: ChannelRow, roster: Roster) -> Iterator[tuple[int, int]]:
    """(peer, index) of every member who speaks of another roster than this one."""
    for index, head, peer in channels.claims(tx, row.id):
        if index <= roster.index and roster.heads[index] != head:
            yield peer, index


@contextmanager
def _settling(tx: Tx, row: ChannelRow) -> Iterator[None]:
    """Tell if what is done ends the last dispute over a channel."""
    before = disputed(tx, row)
    yield
    if before and not disputed(tx, row):
        tx.emit(ChannelChanged(row.hex, label(tx, row), "agreed"))


def disputed(tx: Tx, row: ChannelRow) -> str:
    """A sentence naming a member who speaks of another list of members; empty if there is none."""
    roster = tx.rosters.of(tx, row.id)
    found = None if roster is None else next(_disputes(tx, row, roster), None)
    return "" if found is None else _DISPUTED.format(who=_called(tx, found[0]))


def why_held(tx: Tx, row: ChannelRow) -> tuple[str, str]:
    """Why nothing may be sent to a channel before more is known: a code and a sentence."""
    if text := disputed(tx, row):
        return "roster_disputed", text
    for _, _, peer in channels.claims(tx, row.id):
        return "roster_behind", _AHEAD.format(who=_called(tx, peer))
    return "roster_behind", _BEHIND


def _called(tx: Tx, peer: int) -> str:
    found = peers.by_id(tx, peer)
    return found.nickname or found.ed.hex()[:16]


# ---------------------------------------------------------------- what a statement changes


def _take(
    tx: Tx,
    identity: Identity,
    row: ChannelRow,
    statement: Statement,
    roster: Roster,
    now_ms: int,
    entropy: Entropy,
) -> ChannelRow:
    me, now = identity.public, now_ms // 1000
    if statement.kind is Kind.JOIN and statement.actor != me:
        channels.add_member(tx, row.id, _peer(tx, statement.actor, now))
    elif statement.kind in LEAVES and statement.subject != me:
        _depart(tx, row, statement.subject)
    if statement.key is not None:
        row = _change_key(tx, identity, row, roster, now_ms, entropy)
    elif statement.sealed is not None:
        row = _read_names(tx, row, roster)
    return row


def _depart(tx: Tx, row: ChannelRow, ed: bytes) -> None:
    peer = peers.by_key(tx, ed)
    if peer is not None:
        with _settling(tx, row):
            channels.remove_member(tx, row.id, peer.id)
            channels.drop_claim(tx, row.id, peer.id)
        posts.drop_handouts_of(tx, row.id, peer.id)


def leave(tx: Tx, row: ChannelRow, kind: Kind) -> ChannelRow:
    """This profile has read up to the statement by which it is no member any more: what waited to go out says
    so. (Nothing goes out from the moment on at which the roster has the statement.)
    """
    if row.state not in ("member", "broken"):
        return row
    state, reason = {
        Kind.LEAVE: ("left", "You have left this channel."),
        Kind.REMOVE: ("removed", "You were removed from this channel."),
    }.get(kind, ("banned", "You were banned from this channel."))
    for post in posts.of_channel(tx, row.id):
        posts.drop(tx, post.id)
        messages.set_state(tx, post.message, "failed", ErrorCode.NOT_A_MEMBER, reason)
    tx.execute("DELETE FROM handout WHERE channel = ?", row.id)
    chains.drop_own(tx, row.id)
    channels.remove_members(tx, row.id)
    return channels.update(tx, row.id, state=state, reason=reason)


def _change_key(
    tx: Tx, identity: Identity, row: ChannelRow, roster: Roster, now_ms: int, entropy: Entropy
) -> ChannelRow:
    if roster.access is Access.OPEN:
        row = channels.update(tx, row.id, secret=roster.key)
        return _read_names(tx, row, roster)
    found = channels.secret_of(tx, row.id, roster.key)
    if found is None:
        return channels.update(tx, row.id, secret=None)
    secret, mine = found
    row = channels.update(tx, row.id, secret=secret)
    channels.drop_secret(tx, row.id, secret)
    if mine:
        _hand_on(tx, identity.public, row, roster, secret, now_ms, entropy)
    return _read_names(tx, row, roster)


def _hand_on(
    tx: Tx, me: bytes, row: ChannelRow, roster: Roster, secret: bytes, now_ms: int, entropy: Entropy
) -> None:
    """Whoever set a new secret gives it to everybody who is in."""
    for ed in roster.members:
        peer = None if ed == me else peers.by_key(tx, ed)
        if peer is not None and not peer.blocked:
            given = content.encode(ChannelSecret(entropy(16), now_ms, row.key, secret))
            outgoing.add(tx, peer.id, given, None, now_ms // 1000, channel=row.id)


def take_secret(tx: Tx, row: ChannelRow, peer: int, secret: bytes, now_ms: int) -> ChannelRow:
    """A peer hands a secret on: it is the one in force, or may be that of a statement yet to come."""
    roster = tx.rosters.of(tx, row.id)
    if roster is None or roster.access is Access.OPEN or row.secret == secret:
        return row
    if invite_key(secret).public != roster.key:
        channels.add_secret(tx, row.id, secret, peer, now_ms // 1000)
        return row
    row = channels.update(tx, row.id, secret=secret)
    channels.drop_secret(tx, row.id, secret)
    before = row
    row = _read_names(tx, row, roster)
    if row.name != before.name:
        tx.emit(ChannelChanged(row.hex, label(tx, row), "renamed", text=row.name))
    return row


def _read_names(tx: Tx, row: ChannelRow, roster: Roster) -> ChannelRow:
    if row.secret is None:
        return row  # the old name stays until somebody hands on the secret
    try:
        name, topic = open_names(row.secret, roster.sealed, roster.sealed_by, roster.sealed_index)
    except (CryptoError, ProtocolError):
        return row  # sealed by an admin so that nobody can read it
    return channels.update(tx, row.id, name=name, name_key=name_key(name), topic=topic)


def _peer(tx: Tx, ed: bytes, now: int) -> int:
    found = peers.by_key(tx, ed)
    return peers.add(tx, ed, "unknown", now).id if found is None else found.id
