"""The channels of the reference storage, in memory. Not its concern: mailboxes and prekeys
(`mobium_server.storage.memory`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mobium_server.storage.base import (
    Bounds,
    GonePost,
    HeldInvite,
    HistoryPage,
    Line,
    NewInvite,
    NewPost,
    NewStatement,
    Posted,
    Refused,
    State,
    StatementRow,
)

__all__ = ["MemoryChannels"]


@dataclass
class _Member:
    joined: int
    gone: int | None = None


@dataclass
class _Invite:
    id: bytes
    uses: int
    expires: int
    made_by: bytes
    used: int = 0

    def refused(self, now: int) -> Refused | None:
        if self.expires and self.expires <= now:
            return Refused.INVITE_EXPIRED
        return Refused.INVITE_USED if self.uses and self.used >= self.uses else None


@dataclass
class _Channel:
    next: int = 1
    member_index: int = 0
    statements: list[StatementRow] = field(default_factory=list)
    members: dict[bytes, _Member] = field(default_factory=dict)
    posts: dict[int, NewPost] = field(default_factory=dict)
    invites: dict[bytes, _Invite] = field(default_factory=dict)

    def number(self) -> int:
        self.next += 1
        return self.next - 1

    def holds(self, identity: bytes) -> bool:
        member = self.members.get(identity)
        return member is not None and member.gone is None


class MemoryChannels:
    """Channels that are forgotten when the process ends."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._channels: dict[bytes, _Channel] = {}
        self._arrived: dict[tuple[bytes, int], int] = {}

    def _memberships(self, identity: bytes) -> tuple[bytes, ...]:
        return tuple(name for name, channel in self._channels.items() if channel.holds(identity))

    # ------------------------------------------------------------ statements

    def place(self, new: NewStatement, invite: bytes | None, now: int) -> int | Refused:
        channel = self._channels.get(new.channel)
        if new.index == 0:
            if channel is not None:
                return Refused.STALE
            channel = _Channel()
        elif channel is None:
            return Refused.UNKNOWN
        if len(channel.statements) != new.index:
            return Refused.STALE
        if new.joins is not None and len(self._memberships(new.joins)) >= self._bounds.memberships:
            return Refused.TOO_MANY
        if invite is not None:
            refused = self.invite(new.channel, invite, now)
            if refused is not None:
                return refused
            channel.invites[invite].used += 1
        self._channels[new.channel] = channel
        number = channel.number()
        channel.statements.append(StatementRow(number, new.statement))
        if new.joins is not None:
            channel.members[new.joins] = _Member(number)
        if new.leaves is not None:
            channel.members[new.leaves].gone = number
        if new.membership:
            channel.member_index = new.index
        if new.rekeys:
            channel.invites.clear()
        return number

    def statements(
        self, channel: bytes, start: int, end: int, max_rows: int, max_bytes: int
    ) -> list[StatementRow]:
        found = self._channels.get(channel)
        page: list[StatementRow] = []
        size = 0
        for row in found.statements[start : end + 1] if found is not None else ():
            size += len(row.statement)
            if page and (len(page) >= max_rows or size > max_bytes):
                break
            page.append(row)
        return page

    # ------------------------------------------------------------ messages

    def post(self, posts: Sequence[NewPost], now: int) -> list[Posted | Refused]:
        return [self._post(post, now) for post in posts]

    def _post(self, post: NewPost, now: int) -> Posted | Refused:
        channel = self._channels.get(post.channel)
        if channel is None:
            return Refused.UNKNOWN
        for number, row in channel.posts.items():
            if (row.sender, row.delivery) == (post.sender, post.delivery):
                return Posted(number, new=False)
        if not channel.holds(post.sender):
            return Refused.NOT_MEMBER
        if post.index < channel.member_index:
            return Refused.STALE
        size = sum(len(row.payload) for row in channel.posts.values()) + len(post.payload)
        if len(channel.posts) >= self._bounds.posts or (channel.posts and size > self._bounds.posts_bytes):
            return Refused.FULL
        number = channel.number()
        channel.posts[number] = post
        self._arrived[post.channel, number] = now
        return Posted(number, new=True)

    def history(
        self, channel: bytes, identity: bytes, after: int, max_rows: int, max_bytes: int
    ) -> HistoryPage | Refused:
        found = self._channels.get(channel)
        if found is None:
            return Refused.UNKNOWN
        member = found.members.get(identity)
        if member is None:
            return Refused.NOT_MEMBER
        head = found.next - 1 if member.gone is None else member.gone
        rows = [Line(number, row.sender, row.payload) for number, row in found.posts.items()]
        rows += [Line(row.number, None, row.statement) for row in found.statements]
        lines: list[Line] = []
        size = 0
        for line in sorted(rows):
            if max(after, member.joined - 1) < line.number <= head:
                size += len(line.payload)
                if lines and (len(lines) >= max_rows or size > max_bytes):
                    return HistoryPage(lines, lines[-1].number, head)
                lines.append(line)
        return HistoryPage(lines, head, head)

    def channels(self, identity: bytes, after: bytes, limit: int) -> list[State]:
        states = []
        for name, channel in sorted(self._channels.items()):
            member = channel.members.get(identity)
            if member is not None and name > after:
                head = channel.next - 1 if member.gone is None else member.gone
                index = sum(row.number <= head for row in channel.statements) - 1
                states.append(State(name, head, index))
        return states[:limit]

    def expire_posts(self, arrived: int, limit: int) -> list[GonePost]:
        gone = []
        for (name, number), moment in list(self._arrived.items())[:limit]:
            if moment <= arrived:
                del self._arrived[name, number]
                post = self._channels[name].posts.pop(number)
                gone.append(GonePost(name, post.sender, post.delivery))
        return gone

    # ------------------------------------------------------------ invites

    def invite(self, channel: bytes, invite: bytes, now: int) -> Refused | None:
        found = self._channels.get(channel)
        held = found.invites.get(invite) if found is not None else None
        return Refused.BAD_INVITE if held is None else held.refused(now)

    def make_invite(self, channel: bytes, new: NewInvite, now: int) -> Refused | None:
        found = self._channels.get(channel)
        if found is None:
            return Refused.UNKNOWN
        if len(self.invites(channel, now)) >= self._bounds.invites:
            return Refused.TOO_MANY
        dead = [one.id for one in found.invites.values() if one.refused(now) is not None]
        for one in dead[: -self._bounds.invites]:
            del found.invites[one]
        found.invites[new.id] = _Invite(*new)
        return None

    def invites(self, channel: bytes, now: int) -> list[HeldInvite]:
        found = self._channels.get(channel)
        return [
            HeldInvite(one.id, one.uses - one.used if one.uses else 0, one.expires, one.made_by)
            for one in (found.invites.values() if found is not None else ())
            if one.refused(now) is None
        ]

    def revoke_invite(self, channel: bytes, invite: bytes) -> bool:
        found = self._channels.get(channel)
        return found is not None and found.invites.pop(invite, None) is not None
