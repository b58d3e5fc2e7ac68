"""Statements and messages as a storage takes them."""

from __future__ import annotations

from mobium_server.storage.base import Bounds, HistoryPage, NewPost, NewStatement, Prekey, Refused, Storage

ANNA, BEN, CARL, NOBODY = (letter * 32 for letter in (b"a", b"b", b"c", b"n"))
ROOM, HALL, NOWHERE = (letter * 32 for letter in (b"R", b"H", b"N"))
TICKET, OTHER = b"t" * 16, b"o" * 16
BOUNDS = Bounds(memberships=3, posts=6, invites=3)
MOST = 40
NOW = 1_000
KEY = Prekey(1, 2**33, b"k" * 32, b"s" * 64)


def statement(channel: bytes, index: int) -> bytes:
    return channel[:1] + b"%d" % index


def create(storage: Storage, channel: bytes = ROOM, owner: bytes = ANNA) -> int | Refused:
    new = NewStatement(channel, 0, statement(channel, 0), joins=owner, membership=True)
    return storage.place(new, None, NOW)


def join(
    storage: Storage,
    index: int,
    who: bytes,
    channel: bytes = ROOM,
    invite: bytes | None = None,
    now: int = NOW,
) -> int | Refused:
    new = NewStatement(channel, index, statement(channel, index), joins=who, membership=True)
    return storage.place(new, invite, now)


def leave(storage: Storage, index: int, who: bytes, *, rekeys: bool = False) -> int | Refused:
    new = NewStatement(ROOM, index, statement(ROOM, index), leaves=who, membership=True, rekeys=rekeys)
    return storage.place(new, None, NOW)


def rename(storage: Storage, index: int) -> int | Refused:
    return storage.place(NewStatement(ROOM, index, statement(ROOM, index)), None, NOW)


def post(
    number: int, index: int = 9, who: bytes = ANNA, channel: bytes = ROOM, content: bytes = b"p"
) -> NewPost:
    return NewPost(channel, who, number.to_bytes(16, "big"), index, content)


def history(storage: Storage, who: bytes = ANNA, after: int = 0, channel: bytes = ROOM) -> HistoryPage:
    page = storage.history(channel, who, after, 1_000, 10**9)
    assert isinstance(page, HistoryPage)
    return page


def numbers(storage: Storage, who: bytes = ANNA, after: int = 0) -> list[int]:
    return [line.number for line in history(storage, who, after).lines]
