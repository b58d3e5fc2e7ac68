"""What a channel is by the server's own rows: who was in when, and which message has which number.

A test holds what members show against this, never against each other. Not its concern: what was in the
messages, which only senders know.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from mobium.protocol.roster import LEAVES, Kind, Roster, parse

__all__ = ["Post", "Sequence", "Stay", "read", "waiting"]


@dataclass(frozen=True)
class Post:
    """A numbered message."""

    number: int
    sender: str
    delivery: str


@dataclass(frozen=True)
class Stay:
    """One membership: the numbers of the statements that began and ended it."""

    start: int
    end: int | None = None

    def holds(self, number: int) -> bool:
        """Whether a message with this number was for somebody who was in."""
        return self.start < number and (self.end is None or number < self.end)


@dataclass
class Sequence:
    """A channel. Identities are hex."""

    roster: Roster
    next: int
    posts: list[Post]
    numbers: list[int]
    """All that are taken, in order."""
    stays: dict[str, list[Stay]] = field(default_factory=dict)

    def wrong(self) -> list[str]:
        """What an honest server would never have in its rows."""
        found = []
        if self.numbers != sorted(set(self.numbers)) or (self.numbers and self.numbers[-1] >= self.next):
            found.append("a number was given twice")
        found += [
            f"number {post.number} was given to {post.sender[:8]}, who was not in"
            for post in self.posts
            if not any(stay.holds(post.number) for stay in self.stays.get(post.sender, ()))
        ]
        return found


def read(database: Path, channel: str) -> Sequence:
    """The channel with this id (hex), from the server's database."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.execute("BEGIN")
        row, upto = connection.execute(
            "SELECT id, next FROM channels WHERE channel = ?", (bytes.fromhex(channel),)
        ).fetchone()
        statements = connection.execute(
            "SELECT number, statement FROM statements WHERE channel = ? ORDER BY position", (row,)
        ).fetchall()
        posts = connection.execute(
            "SELECT number, sender, delivery FROM posts WHERE channel = ? ORDER BY number", (row,)
        ).fetchall()
    found = Sequence(
        Roster.load(raw for _, raw in statements),
        upto,
        [Post(number, sender.hex(), delivery.hex()) for number, sender, delivery in posts],
        sorted([number for number, _ in statements] + [post[0] for post in posts]),
    )
    for number, raw in statements:
        statement = parse(raw)
        stays = found.stays.setdefault(statement.subject.hex(), [])
        if statement.kind in (Kind.CREATE, Kind.JOIN):
            found.stays.setdefault(statement.actor.hex(), []).append(Stay(number))
        elif statement.kind in LEAVES and stays and stays[-1].end is None:
            stays[-1] = Stay(stays[-1].start, number)
    return found


def waiting(database: Path) -> int:
    """How many messages lie in mailboxes."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM messages").fetchone()[0])
