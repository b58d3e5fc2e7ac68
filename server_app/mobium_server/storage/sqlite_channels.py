"""The channels of the storage on SQLite: sequences, statements, members, messages, invites.

Not its concern: the database itself (`mobium_server.storage.database`), mailboxes and prekeys
(`mobium_server.storage.sqlite`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

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
from mobium_server.storage.database import Database, pieces

__all__ = ["SqliteChannels"]

_LIVE = "channel = ? AND (expires = 0 OR expires > ?) AND (uses = 0 OR used < uses)"


class _Channel:
    """A channel's row while a batch is numbered."""

    __slots__ = ("id", "kept", "kept_bytes", "member_index", "next")

    def __init__(self, row: tuple[int, int, int, int, int]) -> None:
        self.id, self.next, self.member_index, self.kept, self.kept_bytes = row

    def has_room(self, size: int, bounds: Bounds) -> bool:
        """Whether a payload of `size` bytes fits; the only one always does."""
        return self.kept < bounds.posts and (not self.kept or self.kept_bytes + size <= bounds.posts_bytes)

    def number(self, size: int) -> int:
        """The number of one more message."""
        self.next += 1
        self.kept += 1
        self.kept_bytes += size
        return self.next - 1


class SqliteChannels(Database):
    """The part of the storage that is about channels."""

    bounds: Bounds

    # ------------------------------------------------------------ statements

    def place(self, new: NewStatement, invite: bytes | None, now: int) -> int | Refused:
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT id, next, newest FROM channels WHERE channel = ?", (new.channel,)
            ).fetchone()
            if row is None and new.index:
                return Refused.UNKNOWN
            channel, number, newest = row or (0, 1, -1)
            if newest + 1 != new.index:
                return Refused.STALE
            if new.joins is not None and self._too_many(connection, new.joins):
                return Refused.TOO_MANY
            if row is None:
                channel = connection.execute(
                    "INSERT INTO channels (channel, next, newest, member_index, kept, kept_bytes)"
                    " VALUES (?, 1, -1, 0, 0, 0) RETURNING id",
                    (new.channel,),
                ).fetchone()[0]
            elif invite is not None:
                refused = self._invite(connection, channel, invite, now)
                if refused is not None:
                    return refused
                connection.execute(
                    "UPDATE invites SET used = used + 1 WHERE channel = ? AND id = ?", (channel, invite)
                )
            self._place(connection, channel, number, new)
            return int(number)

    @staticmethod
    def _place(connection: sqlite3.Connection, channel: int, number: int, new: NewStatement) -> None:
        connection.execute(
            "INSERT INTO statements (channel, position, number, statement) VALUES (?, ?, ?, ?)",
            (channel, new.index, number, new.statement),
        )
        connection.execute(
            "UPDATE channels SET next = ?, newest = ?, member_index = iif(?, ?, member_index) WHERE id = ?",
            (number + 1, new.index, new.membership, new.index, channel),
        )
        if new.joins is not None:
            connection.execute(
                "INSERT INTO members (channel, identity, joined) VALUES (?, ?, ?)"
                " ON CONFLICT (channel, identity) DO UPDATE SET joined = excluded.joined, gone = NULL",
                (channel, new.joins, number),
            )
        if new.leaves is not None:
            connection.execute(
                "UPDATE members SET gone = ? WHERE channel = ? AND identity = ?",
                (number, channel, new.leaves),
            )
        if new.rekeys:
            connection.execute("DELETE FROM invites WHERE channel = ?", (channel,))

    def _too_many(self, connection: sqlite3.Connection, identity: bytes) -> bool:
        (number,) = connection.execute(
            "SELECT count(*) FROM members WHERE identity = ? AND gone IS NULL", (identity,)
        ).fetchone()
        return bool(number >= self.bounds.memberships)

    def statements(
        self, channel: bytes, start: int, end: int, max_rows: int, max_bytes: int
    ) -> list[StatementRow]:
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT number, statement FROM statements"
                " WHERE channel = (SELECT id FROM channels WHERE channel = ?) AND position BETWEEN ? AND ?"
                " ORDER BY position LIMIT ?",
                (channel, start, end, max(max_rows, 1)),
            ).fetchall()
        page: list[StatementRow] = []
        size = 0
        for number, statement in rows:
            size += len(statement)
            if page and size > max_bytes:
                break
            page.append(StatementRow(number, statement))
        return page

    # ------------------------------------------------------------ messages

    def post(self, posts: Sequence[NewPost], now: int) -> list[Posted | Refused]:
        with self._transaction() as connection:
            channels = {name: self._channel(connection, name) for name in {post.channel for post in posts}}
            placed = [(channels[post.channel], post) for post in posts]
            stored = self._stored(connection, [(one.id, post) for one, post in placed if one is not None])
            members = self._members(
                connection, list({(one.id, post.sender) for one, post in placed if one is not None})
            )
            results: list[Posted | Refused] = []
            rows: list[tuple[int, int, NewPost]] = []
            for channel, post in placed:
                if channel is None:
                    results.append(Refused.UNKNOWN)
                    continue
                key = (channel.id, post.sender, post.delivery)
                if key in stored:
                    results.append(Posted(stored[key], new=False))
                elif (channel.id, post.sender) not in members:
                    results.append(Refused.NOT_MEMBER)
                elif post.index < channel.member_index:
                    results.append(Refused.STALE)
                elif not channel.has_room(len(post.payload), self.bounds):
                    results.append(Refused.FULL)
                else:
                    number = stored[key] = channel.number(len(post.payload))
                    results.append(Posted(number, new=True))
                    rows.append((channel.id, number, post))
            self._insert_posts(connection, rows, now)
            for channel in channels.values():
                if channel is not None:
                    connection.execute(
                        "UPDATE channels SET next = ?, kept = ?, kept_bytes = ? WHERE id = ? AND next <> ?",
                        (channel.next, channel.kept, channel.kept_bytes, channel.id, channel.next),
                    )
            return results

    @staticmethod
    def _channel(connection: sqlite3.Connection, name: bytes) -> _Channel | None:
        row = connection.execute(
            "SELECT id, next, member_index, kept, kept_bytes FROM channels WHERE channel = ?", (name,)
        ).fetchone()
        return None if row is None else _Channel(row)

    # Many rows in one statement, for the reason given in `mobium_server.storage.sqlite`. CROSS JOIN: what is
    # asked for comes first and is looked up in the index; SQLite would read the whole table otherwise.

    @staticmethod
    def _stored(
        connection: sqlite3.Connection, posts: Sequence[tuple[int, NewPost]]
    ) -> dict[tuple[int, bytes, bytes], int]:
        found: dict[tuple[int, bytes, bytes], int] = {}
        for start, end in pieces(len(posts)):
            values: list[int | bytes] = []
            for channel, post in posts[start:end]:
                values += (channel, post.sender, post.delivery)
            rows = connection.execute(
                "WITH asked (c, s, d) AS"  # noqa: S608 - marks only
                f" (VALUES {', '.join(['(?, ?, ?)'] * (end - start))})"
                " SELECT channel, sender, delivery, number FROM asked"
                " CROSS JOIN posts ON channel = c AND sender = s AND delivery = d",
                values,
            )
            found.update({(row[0], row[1], row[2]): row[3] for row in rows})
        return found

    @staticmethod
    def _members(
        connection: sqlite3.Connection, pairs: Sequence[tuple[int, bytes]]
    ) -> set[tuple[int, bytes]]:
        found: set[tuple[int, bytes]] = set()
        for start, end in pieces(len(pairs)):
            found.update(
                connection.execute(
                    "WITH asked (c, i) AS"  # noqa: S608 - marks only
                    f" (VALUES {', '.join(['(?, ?)'] * (end - start))})"
                    " SELECT channel, identity FROM asked"
                    " CROSS JOIN members ON channel = c AND identity = i AND gone IS NULL",
                    [value for pair in pairs[start:end] for value in pair],
                ).fetchall()
            )
        return found

    @staticmethod
    def _insert_posts(
        connection: sqlite3.Connection, rows: Sequence[tuple[int, int, NewPost]], now: int
    ) -> None:
        for start, end in pieces(len(rows)):
            values: list[int | bytes] = []
            for channel, number, post in rows[start:end]:
                values += (channel, number, post.sender, post.delivery, now, post.payload)
            connection.execute(
                "INSERT INTO posts (channel, number, sender, delivery, arrived, payload)"  # noqa: S608 - marks only
                f" VALUES {', '.join(['(?, ?, ?, ?, ?, ?)'] * (end - start))}",
                values,
            )

    def history(
        self, channel: bytes, identity: bytes, after: int, max_rows: int, max_bytes: int
    ) -> HistoryPage | Refused:
        with self._reading() as connection:
            row = connection.execute(
                "SELECT c.id, m.joined, ifnull(m.gone, c.next - 1) FROM channels c"
                " LEFT JOIN members m ON m.channel = c.id AND m.identity = ? WHERE c.channel = ?",
                (identity, channel),
            ).fetchone()
            if row is None:
                return Refused.UNKNOWN
            number, joined, head = row
            if joined is None:
                return Refused.NOT_MEMBER
            span = (number, max(after, joined - 1), head)
            cursor = connection.execute(
                "SELECT number, sender, payload FROM posts"
                " WHERE channel = ? AND number > ? AND number <= ?"
                " UNION ALL SELECT number, NULL, statement FROM statements"
                " WHERE channel = ? AND number > ? AND number <= ? ORDER BY 1",
                (*span, *span),
            )
            lines: list[Line] = []
            size = 0
            for found in cursor:
                size += len(found[2])
                if lines and (len(lines) >= max_rows or size > max_bytes):
                    cursor.close()
                    return HistoryPage(lines, lines[-1].number, head)
                lines.append(Line(*found))
            return HistoryPage(lines, head, head)

    def channels(self, identity: bytes, after: bytes, limit: int) -> list[State]:
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT c.channel, ifnull(m.gone, c.next - 1), CASE WHEN m.gone IS NULL THEN c.newest ELSE"
                " (SELECT position FROM statements s WHERE s.channel = c.id AND s.number = m.gone) END"
                " FROM members m JOIN channels c ON c.id = m.channel"
                " WHERE m.identity = ? AND c.channel > ? ORDER BY c.channel LIMIT ?",
                (identity, after, limit),
            ).fetchall()
        return [State(*row) for row in rows]

    @staticmethod
    def _memberships(connection: sqlite3.Connection, identity: bytes) -> tuple[bytes, ...]:
        rows = connection.execute(
            "SELECT c.channel FROM members m JOIN channels c ON c.id = m.channel"
            " WHERE m.identity = ? AND m.gone IS NULL",
            (identity,),
        ).fetchall()
        return tuple(row[0] for row in rows)

    def expire_posts(self, arrived: int, limit: int) -> list[GonePost]:
        with self._transaction() as connection:
            rows = connection.execute(
                "DELETE FROM posts WHERE seq IN (SELECT seq FROM posts ORDER BY seq LIMIT ?) AND arrived <= ?"
                " RETURNING channel, sender, delivery, length(payload)",
                (limit, arrived),
            ).fetchall()
            sizes: dict[int, list[int]] = {}
            for channel, _, _, size in rows:
                sizes.setdefault(channel, []).append(size)
            names: dict[int, bytes] = {}
            for channel, gone in sizes.items():
                (names[channel],) = connection.execute(
                    "UPDATE channels SET kept = kept - ?, kept_bytes = kept_bytes - ? WHERE id = ?"
                    " RETURNING channel",
                    (len(gone), sum(gone), channel),
                ).fetchone()
        return [GonePost(names[channel], sender, delivery) for channel, sender, delivery, _ in rows]

    # ------------------------------------------------------------ invites

    def invite(self, channel: bytes, invite: bytes, now: int) -> Refused | None:
        with self._reading() as connection:
            number = self._number(connection, channel)
            return Refused.BAD_INVITE if number is None else self._invite(connection, number, invite, now)

    @staticmethod
    def _number(connection: sqlite3.Connection, channel: bytes) -> int | None:
        row = connection.execute("SELECT id FROM channels WHERE channel = ?", (channel,)).fetchone()
        return None if row is None else int(row[0])

    @staticmethod
    def _invite(connection: sqlite3.Connection, channel: int, invite: bytes, now: int) -> Refused | None:
        row = connection.execute(
            "SELECT uses, used, expires FROM invites WHERE channel = ? AND id = ?", (channel, invite)
        ).fetchone()
        if row is None:
            return Refused.BAD_INVITE
        uses, used, expires = row
        if expires and expires <= now:
            return Refused.INVITE_EXPIRED
        return Refused.INVITE_USED if uses and used >= uses else None

    def make_invite(self, channel: bytes, new: NewInvite, now: int) -> Refused | None:
        with self._transaction() as connection:
            number = self._number(connection, channel)
            if number is None:
                return Refused.UNKNOWN
            live: int = connection.execute(
                f"SELECT count(*) FROM invites WHERE {_LIVE}",  # noqa: S608 - a constant
                (number, now),
            ).fetchone()[0]
            if live >= self.bounds.invites:
                return Refused.TOO_MANY
            # Those that are over stay for a while, so that whoever comes with one is told why.
            connection.execute(
                "DELETE FROM invites WHERE channel = ? AND number IN (SELECT number FROM invites"  # noqa: S608
                f" WHERE channel = ? AND NOT ({_LIVE}) ORDER BY number DESC LIMIT -1 OFFSET ?)",
                (number, number, number, now, self.bounds.invites),
            )
            connection.execute(
                "INSERT INTO invites (channel, id, uses, used, expires, made_by) VALUES (?, ?, ?, 0, ?, ?)",
                (number, *new),
            )
            return None

    def invites(self, channel: bytes, now: int) -> list[HeldInvite]:
        with self._reading() as connection:
            number = self._number(connection, channel)
            rows = connection.execute(
                "SELECT id, iif(uses, uses - used, 0), expires, made_by FROM invites"  # noqa: S608
                f" WHERE {_LIVE} ORDER BY number",
                (number, now),
            ).fetchall()
        return [HeldInvite(*row) for row in rows]

    def revoke_invite(self, channel: bytes, invite: bytes) -> bool:
        with self._transaction() as connection:
            cursor = connection.execute(
                "DELETE FROM invites WHERE channel = ? AND id = ?",
                (self._number(connection, channel), invite),
            )
            return cursor.rowcount > 0
