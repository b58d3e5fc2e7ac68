"""Coming into a channel: whether a link fits the roster that a server shows, and what is stored of both.

Not its concern: the requests (`mobium.client.membership`).
"""

from __future__ import annotations

from mobium.client.chains import sift_early
from mobium.client.entries import Setting, take_entries
from mobium.client.join_links import JoinLink
from mobium.client.rosters import adopt, compare_claims
from mobium.client.store import channels
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.crypto.invite import invite_key
from mobium.errors import InvalidInput, ProtocolError, ServerRefused
from mobium.protocol.codes import ErrorCode, sentence
from mobium.protocol.messages import Appended, Entry
from mobium.protocol.roster import Access, Roster, RosterError

__all__ = [
    "begin_joining",
    "came_back",
    "check_link",
    "enter",
    "enter_by_link",
    "enter_found",
    "give_up_joining",
    "longer",
]


def check_link(link: JoinLink, roster: Roster) -> None:
    """Raises InvalidInput or ProtocolError unless the link fits the roster."""
    if (roster.access is Access.PRIVATE) != (link.secret is not None):
        raise InvalidInput(
            "The link is damaged: it has no secret for a private channel, or one for an open one."
        )
    if link.secret is None:
        return
    if link.head not in roster.heads:
        raise ProtocolError(
            "The server shows another history of this channel than the one in which the invite was made;"
            " ask whoever sent the link."
        )
    if invite_key(link.secret).public != roster.key:
        raise ServerRefused(ErrorCode.WRONG_SECRET, sentence(ErrorCode.WRONG_SECRET))


def longer(roster: Roster | None, raws: list[bytes]) -> Roster:
    """A roster with more statements; None for one that begins with them. Raises ProtocolError."""
    try:
        for raw in raws:
            roster = Roster.begin(raw) if roster is None else roster.append(raw)
    except RosterError as error:
        raise ProtocolError(f"The server shows a list of members that does not verify: {error}") from error
    if roster is None:
        raise ProtocolError("The server shows no list of members for this channel.")
    return roster


def begin_joining(tx: Tx, link: JoinLink, host: str, private: bool, now: int) -> ChannelRow:
    """A join is on its way to a server."""
    row = channels.by_key(tx, link.channel_id)
    if row is None:
        return channels.add(tx, link.channel_id, host, private, link.secret, now)
    tx.execute("UPDATE channel SET host = ? WHERE id = ?", host, row.id)
    return channels.update(tx, row.id, state="joining", reason="", secret=link.secret)


def give_up_joining(tx: Tx, channel: int, before: ChannelRow | None) -> None:
    """A join was refused: a channel that was left is what it was before, another one was never there."""
    row = channels.find(tx, channel)
    if row is None or row.state != "joining":
        return
    if before is None or tx.rosters.of(tx, channel) is None:
        channels.forget(tx, channel)
        return
    tx.execute("UPDATE channel SET host = ? WHERE id = ?", before.host, channel)
    if before.state == "joining":  # an earlier try, whose outcome nobody learned
        channels.update(tx, channel, state="left", reason="You are not in this channel.")
    else:
        channels.update(tx, channel, state=before.state, reason=before.reason, secret=before.secret)


def came_back(tx: Tx, me: bytes, channel: int, roster: Roster) -> bool:
    """Whether this identity is in a channel, by a statement that it has signed after it was out as far as
    this profile knows; nothing less brings back what was left, or is looked at again before the roster
    goes on.
    """
    row, known = channels.by_id(tx, channel), tx.rosters.of(tx, channel)
    inside = roster.role(me) is not None
    if known is None or row.state not in channels.GONE:
        return inside
    since = max(known.joined(me) or 0, known.departed(me) or 0)
    if inside and known.head in roster.heads and (roster.joined(me) or 0) > since:
        return True
    channels.update(tx, channel, server_index=max(row.server_index, roster.index))
    return False


def enter(
    tx: Tx, setting: Setting, channel: int, raws: list[bytes], roster: Roster, appended: Appended
) -> None:
    """This profile is in: what stands before its own statement it does not read."""
    row = channels.by_id(tx, channel)
    known = tx.rosters.of(tx, channel)
    if known is not None and known.heads[-1] not in roster.heads:
        raise ProtocolError("The server shows another list of members than the one that was seen before.")
    adopt(tx, setting.identity.public, row, raws, roster, setting.now_ms // 1000)
    index = appended.index
    row = channels.update(
        tx, channel, state="member", reason="", cursor=appended.number - 1, cursor_index=max(index - 1, 0),
        read_to=max(row.read_to, appended.number), head=appended.number, drained_at=setting.now_ms // 1000,
    )  # fmt: skip
    if index == 0:
        row = channels.update(tx, channel, cursor_index=-1)
    sift_early(tx, row, roster)
    compare_claims(tx, row, roster, -1, setting.now_ms)
    take_entries(tx, setting, row, [Entry(appended.number, statement=raws[index])])


def enter_by_link(
    tx: Tx, setting: Setting, link: JoinLink, host: str, raws: list[bytes], roster: Roster, appended: Appended
) -> int:
    """This profile is in without having asked; returns the row. It is made here, since one that stood there
    before would say of the next try that it goes on with this one.
    """
    row = begin_joining(tx, link, host, roster.access is Access.PRIVATE, setting.now_ms // 1000)
    enter(tx, setting, row.id, raws, roster, appended)
    return row.id


def enter_found(
    tx: Tx, setting: Setting, host: str, raws: list[bytes], roster: Roster, appended: Appended
) -> int | None:
    """This profile is in a channel that its server lists; returns the row, which is made here for the same
    reason, or None if the channel was forgotten meanwhile.
    """
    row = channels.by_key(tx, roster.channel_id)
    if row is None:
        if channels.was_forgotten(tx, roster.channel_id):
            return None
        private = roster.access is Access.PRIVATE
        row = channels.add(tx, roster.channel_id, host, private, None, setting.now_ms // 1000)
    enter(tx, setting, row.id, raws, roster, appended)
    return row.id
