"""How much waits in the mailboxes, kept as a running sum, so that nobody who asks makes the storage count.

What was there at the start is counted in small steps; what comes and goes meanwhile is counted with it. Rows
are numbered in order and no number is given twice, so a row behind the place that the count has reached is
either counted already or not there. Not its concern: the limit of a mailbox (`mobium_server.storage.sqlite`).
"""

from __future__ import annotations

import sqlite3

__all__ = ["STEP", "Tally"]

STEP = 1_000  # rows counted at once: some ten milliseconds on a slow card


class Tally:
    """Messages and their bytes, in all and the most of one mailbox."""

    def __init__(self, newest: int) -> None:
        """`newest`: the highest number that a row was given so far."""
        self.messages = 0
        self.size = 0
        self._mailboxes: dict[int, int] = {}
        self._reached = 0
        self._goal = self._newest = newest
        self._staged: list[tuple[int, int, int, int]] = []  # number of the row, mailbox, messages, bytes

    @property
    def complete(self) -> bool:
        """Whether everything that was there at the start is counted."""
        return self._reached >= self._goal

    @property
    def mailboxes(self) -> int:
        """In how many something waits."""
        return len(self._mailboxes)

    @property
    def deepest(self) -> int:
        """The messages of the mailbox that holds most."""
        return max(self._mailboxes.values(), default=0)

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> Tally:
        """The tally of a database, to be counted in steps."""
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
        return cls(0 if row is None else int(row[0]))

    def step(self, connection: sqlite3.Connection) -> None:
        """Count some more of what was there at the start."""
        if self.complete:
            return
        rows = connection.execute(
            "SELECT mailbox, count(*), sum(length(payload)), max(seq), sum(count(*)) OVER () FROM"
            " (SELECT seq, mailbox, payload FROM messages WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)"
            " GROUP BY mailbox",
            (self._reached, self._goal, STEP),
        ).fetchall()
        for mailbox, number, size, _, _ in rows:
            self._count(mailbox, number, size)
        whole = bool(rows) and rows[0][4] == STEP
        self._reached = max(row[3] for row in rows) if whole else self._goal

    def add(self, seq: int, mailbox: int, size: int) -> None:
        """A row is stored, if the transaction succeeds, unless it was there before it."""
        if seq > self._newest:
            self._staged.append((seq, mailbox, 1, size))

    def take(self, seq: int, mailbox: int, size: int) -> None:
        """A row is deleted, if the transaction succeeds."""
        if seq <= self._reached or seq > self._goal:
            self._staged.append((seq, mailbox, -1, -size))

    def keep(self) -> None:
        """The transaction succeeded."""
        for seq, mailbox, number, size in self._staged:
            self._newest = max(self._newest, seq)
            self._count(mailbox, number, size)
        self._staged.clear()

    def drop(self) -> None:
        """It did not."""
        self._staged.clear()

    def _count(self, mailbox: int, number: int, size: int) -> None:
        self.messages += number
        self.size += size
        held = self._mailboxes.get(mailbox, 0) + number
        if held > 0:
            self._mailboxes[mailbox] = held
        else:
            self._mailboxes.pop(mailbox, None)
