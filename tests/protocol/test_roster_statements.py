"""Statements of a roster: their bytes, their places in the chain, and what is refused of both."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from mobium.protocol import statement as layout
from mobium.protocol.roster import (
    LEAVES,
    LONGEST_STATEMENT,
    MEMBERSHIP,
    Access,
    Kind,
    Role,
    Roster,
    RosterError,
    build,
    join_input,
    names_ad,
    parse,
    peek_input,
)
from mobium.signing import SigningKey
from tests.protocol.rosters import ED, KEYS, NOW, WHO, after, create, populated, refused, say, secret_key


def one_of_each() -> dict[str, tuple[Roster | None, bytes]]:
    """A good statement of each kind, and the roster that it follows on."""
    roster = populated()
    said: dict[str, tuple[Roster | None, bytes]] = {"CREATE": (None, create())}
    for kind, actor, subject in (
        (Kind.JOIN, "stranger", None),
        (Kind.LEAVE, "member", None),
        (Kind.REMOVE, "admin", "member"),
        (Kind.ROLE, "owner", "member"),
        (Kind.SECRET, "admin", None),
        (Kind.NAMES, "admin", None),
        (Kind.BAN, "admin", "stranger"),
        (Kind.UNBAN, "admin", "banned"),
    ):
        said[kind.name] = (roster, say(roster, kind, actor, subject))
    return said


EACH = one_of_each()
SIZES = {
    "CREATE": 573,
    "JOIN": 64,
    "LEAVE": 0,
    "REMOVE": 572,
    "ROLE": 1,
    "SECRET": 572,
    "NAMES": 540,
    "BAN": 572,
    "UNBAN": 0,
}


def take(name: str, raw: bytes) -> Roster:
    roster = EACH[name][0]
    return Roster.begin(raw) if roster is None else roster.append(raw)


@pytest.mark.parametrize("name", EACH)
def test_lengths(name: str) -> None:
    raw = EACH[name][1]
    said = parse(raw)
    assert len(raw) == 208 + SIZES[name] <= LONGEST_STATEMENT
    assert (said.kind.name, len(said.data), said.raw, said.signature) == (name, SIZES[name], raw, raw[-64:])
    assert said.head == take(name, raw).head
    assert said.key == (said.data[-572:-540] if SIZES[name] > 540 else None)
    assert said.sealed == (said.data[-540:] if SIZES[name] >= 540 else None)
    assert said.role == (Role.ADMIN if name == "ROLE" else None)


@pytest.mark.parametrize("name", EACH)
def test_a_statement_is_refused_at_every_other_length(name: str) -> None:
    raw = EACH[name][1]
    for size in range(len(raw)):
        refused("bad_statement", partial(parse, raw[:size]))
    refused("bad_statement", lambda: parse(raw + b"\0"))
    refused("bad_statement", lambda: parse(raw + raw))
    refused("bad_statement", lambda: parse(bytes(LONGEST_STATEMENT)))


@pytest.mark.parametrize("name", EACH)
def test_every_bit_counts(name: str) -> None:
    """Whatever bit is turned, nothing is taken; and without signatures, nothing but a refusal is raised."""
    roster, raw = EACH[name]
    take(name, raw)
    small = len(raw) < 300
    for place in range(len(raw)):
        for bit in range(8) if small else (place % 8,):
            flipped = bytearray(raw)
            flipped[place] ^= 1 << bit
            with pytest.raises(RosterError):
                take(name, bytes(flipped))
            if roster is not None:
                try:
                    roster.append(bytes(flipped), verify=False)
                except RosterError:
                    continue


def changed(raw: bytes, place: int, value: bytes, key: SigningKey) -> bytes:
    """`raw` with other bytes at `place`, signed again."""
    text = raw[:place] + value + raw[place + len(value) : -64]
    return text + key.sign(b"mobium/1 roster\0" + text)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("LEAVE", 0, b"\0"),
        ("LEAVE", 0, b"\2"),
        ("LEAVE", 1, b"\0"),
        ("LEAVE", 1, b"\x0a"),
        ("LEAVE", 1, b"\xff"),
        ("LEAVE", 34, bytes(4)),  # an index that is the creation's
        ("LEAVE", 134, b"\0\x20\0\0\0\0\0\1"),  # 2**53 + 1 ms
        ("LEAVE", 134, b"\xff" * 8),
        ("LEAVE", 142, b"\0\1"),
        ("LEAVE", 1, b"\x09"),  # of oneself
        ("ROLE", 144, b"\0"),
        ("ROLE", 144, b"\4"),
        ("CREATE", 2, b"\1"),
        ("CREATE", 34, b"\0\0\0\1"),
        ("CREATE", 38, b"\1"),
        ("CREATE", 102, ED["member"]),
        ("CREATE", 144, b"\2"),
        ("CREATE", 145, bytes(32)),
        ("JOIN", 102, ED["member"]),
        ("NAMES", 102, ED["member"]),
        ("SECRET", 102, ED["member"]),
        ("REMOVE", 102, ED["admin"]),
        ("ROLE", 102, ED["owner"]),
        ("BAN", 102, ED["admin"]),
        ("UNBAN", 102, ED["admin"]),
    ],
)
def test_what_is_malformed_stays_so_though_it_is_signed(name: str, place: int, value: bytes) -> None:
    raw = EACH[name][1]
    signer = KEYS[WHO[parse(raw).actor]]
    assert changed(raw, place, raw[place : place + 1], signer) == raw
    refused("bad_statement", lambda: parse(changed(raw, place, value, signer)))


def test_times_up_to_2_53_are_taken() -> None:
    roster = populated()
    index, head, me = roster.index + 1, roster.head, ED["member"]
    for time_ms in (0, 2**53):
        raw = build(KEYS["member"], Kind.LEAVE, roster.channel_id, index, head, me, time_ms)
        assert roster.append(raw).head == parse(raw).head
        assert parse(raw).time_ms == time_ms


@pytest.mark.parametrize(
    "values",
    [
        {"index": 2**32},
        {"index": -1},
        {"index": 0},
        {"time_ms": 2**64},
        {"time_ms": 2**53 + 1},
        {"time_ms": -1},
        {"channel_id": bytes(31)},
        {"prev": bytes(33)},
        {"subject": b""},
        {"subject": ED["owner"]},
        {"subject": bytes(32)},
        {"data": b"x"},
        {"data": bytes(70_000)},
        {"kind": 10},
        {"kind": 256},
    ],
)
def test_nothing_malformed_is_built(values: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "kind": Kind.LEAVE,
        "channel_id": b"c" * 32,
        "index": 2**32 - 1,
        "prev": b"p" * 32,
    }
    good |= {"subject": ED["member"], "time_ms": NOW, "data": b""}
    assert parse(build(KEYS["member"], **good)).index == 2**32 - 1
    refused("bad_statement", lambda: build(KEYS["member"], **{**good, **values}))


@pytest.mark.parametrize("name", EACH)
def test_a_statement_by_another_s_hand_is_refused(name: str) -> None:
    raw = EACH[name][1]
    forged = raw[:-64] + KEYS["other member"].sign(b"mobium/1 roster\0" + raw[:-64])
    refused("bad_statement", lambda: take(name, forged))
    refused("bad_statement", lambda: take(name, raw[:-64] + bytes(64)))
    unlabelled = raw[:-64] + KEYS[WHO[parse(raw).actor]].sign(raw[:-64])
    refused("bad_statement", lambda: take(name, unlabelled))


@pytest.mark.parametrize("name", [name for name in EACH if name != "CREATE"])
def test_a_statement_belongs_to_one_channel(name: str) -> None:
    elsewhere = Roster.begin(create(owner="other member"))
    raw = EACH[name][1]
    refused("bad_statement", lambda: elsewhere.append(raw))
    refused("bad_statement", lambda: elsewhere.append(raw, verify=False))


def test_a_replay_is_stale() -> None:
    start = populated()
    raw = say(start, Kind.NAMES, "admin")
    roster = start.append(raw)
    refused("stale_roster", lambda: roster.append(raw))
    following = after(roster, (Kind.NAMES, "admin"))
    refused("stale_roster", lambda: following.append(raw))
    refused("stale_roster", lambda: following.append(raw, verify=False))


@pytest.mark.parametrize(("step", "prev"), [(0, True), (2, True), (1, False)])
def test_index_and_head_must_both_follow(step: int, prev: bool) -> None:
    roster = populated()
    head = roster.head if prev else roster.heads[-2]
    index = roster.index + step
    raw = build(KEYS["member"], Kind.LEAVE, roster.channel_id, index, head, ED["member"], NOW)
    refused("stale_roster", lambda: roster.append(raw))


def test_two_statements_at_one_index_make_two_chains() -> None:
    start = populated()
    one, other = after(start, (Kind.LEAVE, "member")), after(start, (Kind.NAMES, "admin"))
    assert one.index == other.index
    assert one.head != other.head
    assert one != other
    refused("stale_roster", lambda: one.append(say(other, Kind.NAMES, "admin")))


def test_nothing_secret_is_shown() -> None:
    """In an open channel the key is the secret."""
    raw = create(Access.OPEN)
    shown = f"{parse(raw)!r} {Roster.begin(raw)!r} {Roster.begin(raw)}"
    assert secret_key(0).public.hex() not in shown
    assert repr(secret_key(0).public)[2:-1] not in shown
    for name in EACH:
        error = refused("bad_statement", partial(take, name, EACH[name][1][:-1]))
        assert str(error).endswith(".")


def test_lists_of_kinds() -> None:
    assert {1, 2, 3, 4, 8} == MEMBERSHIP
    assert {3, 4, 8} == LEAVES
    assert layout.names_ad is names_ad
    assert names_ad(b"a" * 32, 7) == b"mobium/1 channel names\0" + b"a" * 32 + b"\0\0\0\x07"
    assert peek_input(b"c", b"e", b"n") == b"mobium/1 peek\0cen"
    assert join_input(b"c", b"p", b"j") == b"mobium/1 join\0cpj"
