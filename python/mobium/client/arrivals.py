"""What a server shows of channels, taken in transactions: pushes, pages, rosters and how far each has come.

Not its concern: when to ask for what (`mobium.client.sync`), and what an entry does
(`mobium.client.entries`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mobium.client.entries import Setting, coming_back, take_entries
from mobium.client.events import ChannelChanged
from mobium.client.labels import label
from mobium.client.rosters import extend, mend, rolled_back, roster_of, why_held
from mobium.client.store import chains, channels, lines, messages, peers, posts
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.protocol.messages import ChannelHead, ChannelMessage, ChannelState, Entry, History, RosterPage

__all__ = [
    "Push",
    "compare",
    "newest",
    "note_stuck",
    "note_unlisted",
    "pass_entry",
    "standing",
    "take_page",
    "take_pushes",
    "take_roster",
]

_WITHHELD: Final = (
    "The server leaves something out of this channel's history, so what follows on it cannot be shown."
)
_STUCK: Final = (
    "Something in this channel cannot be stored here, so what follows on it is not shown; the next connection"
    " tries again."
)
_UNLISTED: Final = "The server does not list this channel any more."

Push = ChannelMessage | RosterPage | ChannelHead


def take_pushes(
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


def standing(tx: Tx, host: str) -> dict[int, tuple[int, int]]:
    """Roster index and cursor of every channel in which this profile is."""
    rows = channels.of_host(tx, host, "member", "broken")
    return {row.id: (roster_of(tx, row).index, row.cursor) for row in rows}


def compare(
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
        if row is None:
            key = state.channel_id
            if not channels.was_forgotten(tx, key) or channels.is_unanswered(tx, key, host):
                strange.append(state.channel_id)
            continue
        if row.host != host:
            continue
        if row.state == "joining" or (row.state in channels.GONE and state.index > row.server_index):
            # This identity may be in, or have come back without this profile.
            strange.append(state.channel_id)
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


def note_unlisted(tx: Tx, missing: set[int], listed: set[int]) -> None:
    """A server that knows nothing of a channel of which this profile is a member: say so."""
    for channel in missing | listed:
        row = channels.find(tx, channel)
        reason = _UNLISTED if channel in missing else ""
        if row is not None and row.state == "member":
            _give_reason(tx, row, reason)


def note_stuck(tx: Tx, channel: int) -> None:
    """Something of a channel cannot be stored: say so, once."""
    row = channels.find(tx, channel)
    if row is not None and row.state == "member" and row.reason != _STUCK:
        channels.update(tx, channel, reason=_STUCK)
        for message in lines.own_queued(tx, channel):
            messages.set_state(tx, message, "queued", "channel_stuck", _STUCK)
        tx.emit(ChannelChanged(row.hex, label(tx, row), "withheld", text=_STUCK))


def pass_entry(tx: Tx, setting: Setting, channel: int, entry: Entry) -> None:
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


def take_page(tx: Tx, setting: Setting, channel: int, page: History) -> tuple[ChannelRow | None, bool]:
    """Take a page of history, and move the cursor; returns the row as it is then, None if it was forgotten,
    and whether there is word of a statement that was not seen.
    """
    row = channels.find(tx, channel)
    if row is None:  # it was forgotten meanwhile
        return None, False
    if _skips(tx, row, page):
        chains.drop_own(tx, channel)
    row = take_entries(tx, setting, row, page.entries)
    last = page.entries[-1].number if page.entries else row.cursor
    if row.state == "member":
        before, reason = row.reason, _WITHHELD if row.cursor < last else ""
        if reason and (index := coming_back(tx, setting, row, page.entries)):
            row, reason = channels.update(tx, row.id, server_index=max(row.server_index, index)), ""
        row = _give_reason(tx, row, reason)
        if reason and reason != before:
            tx.emit(ChannelChanged(row.hex, label(tx, row), "withheld", text=reason))
    if row.state == "member" and row.cursor >= last:
        cursor = max(row.cursor, page.upto)
        head = max(row.head, page.head)
        drained = setting.now_ms // 1000 if cursor >= page.head else row.drained_at
        row = channels.update(tx, row.id, cursor=cursor, head=head, drained_at=drained)
    return row, _is_behind(tx, row)


def _skips(tx: Tx, row: ChannelRow, page: History) -> bool:
    """Whether numbers have expired of which this profile does not know whose they were. They may have been
    its own, if it was brought back from a copy, and then its chain would use their iterations again.
    """
    seen = {entry.number for entry in page.entries if entry.number > row.cursor}
    upto = max(page.upto, row.cursor)
    return upto - row.cursor > len(seen | set(lines.numbers(tx, row.id, row.cursor, upto)))


def newest(tx: Tx, channel: int) -> tuple[ChannelRow | None, int, bool]:
    """The row of a channel, the index of its newest statement, and whether there is word of a newer one."""
    row = channels.find(tx, channel)
    roster = None if row is None else tx.rosters.of(tx, row.id)
    return (None, 0, False) if row is None or roster is None else (row, roster.index, _is_behind(tx, row))


def take_roster(tx: Tx, setting: Setting, channel: int, page: RosterPage) -> bool:
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
