"""Rosters: every rule with its code, in words; the machine has a file of its own."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from itertools import product

import pytest

from mobium.protocol.limits import MAX_MEMBERS
from mobium.protocol.roster import (
    ZEROS,
    Access,
    Kind,
    Role,
    Roster,
    RosterError,
    build,
    channel_id_of,
    join_input,
    parse,
    peek_input,
)
from mobium.signing import SigningKey
from tests.protocol.rosters import (
    ED,
    KEYED,
    NAMES,
    NOW,
    TARGETED,
    after,
    create,
    populated,
    refused,
    roles,
    say,
    secret_key,
)


def test_a_channel_begins_with_its_owner() -> None:
    raw = create()
    roster = Roster.begin(raw)
    assert roles(roster) == {"owner": 3}
    assert roster.channel_id == channel_id_of(raw) == sha256(b"mobium/1 channel\0" + raw).digest()
    assert list(roster.heads) == [roster.head] == [sha256(b"mobium/1 roster head\0" + raw).digest()]
    assert (roster.key, roster.sealed, roster.sealed_by) == (secret_key(0).public, bytes(540), ED["owner"])
    assert roster.last_departure == roster.member_index == roster.secret_index == roster.sealed_index == 0
    assert parse(raw).channel_id == ZEROS


def test_nothing_else_begins_a_channel() -> None:
    roster = Roster.begin(create())
    refused("bad_statement", lambda: Roster.begin(say(roster, Kind.JOIN, "member")))
    refused("bad_statement", lambda: Roster.load([]))
    refused("bad_statement", lambda: roster.append(create()))
    refused("bad_statement", lambda: roster.append(create(owner="admin")))


@pytest.mark.parametrize("kind", [Kind.REMOVE, Kind.BAN])
def test_who_may_remove_and_ban_whom(kind: Kind) -> None:
    roster = populated()
    allowed = {
        (actor, subject)
        for actor, subject in product(NAMES, NAMES)
        if actor != subject and accepts(roster, say(roster, kind, actor, subject))
    }
    below = ["member", "other member"] + (["stranger"] if kind is Kind.BAN else [])
    assert allowed == {
        *(("owner", subject) for subject in ("admin", "other admin", *below)),
        *((actor, subject) for actor in ("admin", "other admin") for subject in below),
    }


def accepts(roster: Roster, raw: bytes) -> bool:
    try:
        roster.append(raw)
    except RosterError:
        return False
    return True


def test_an_owner_hands_over_before_leaving() -> None:
    roster = populated()
    refused("forbidden", lambda: after(roster, (Kind.LEAVE, "owner")))
    handed = roster.append(say(roster, Kind.ROLE, "owner", "member", role=Role.OWNER))
    assert roles(handed)["owner"] == Role.ADMIN
    assert roles(handed)["member"] == Role.OWNER
    left = after(handed, (Kind.LEAVE, "owner"))
    assert "owner" not in roles(left)
    refused("forbidden", lambda: left.append(say(left, Kind.ROLE, "admin", "member", role=Role.ADMIN)))


@pytest.mark.parametrize("access", Access)
def test_the_last_one_leaves_and_a_channel_without_owner_lives_on(access: Access) -> None:
    empty = after(Roster.begin(create(access)), (Kind.LEAVE, "owner"))
    assert (empty.size, dict(empty.members)) == (0, {})
    refused("not_a_member", lambda: after(empty, (Kind.NAMES, "owner")))
    revived = after(empty, (Kind.JOIN, "member"), (Kind.JOIN, "owner"))
    assert roles(revived) == {"member": 1, "owner": 1}
    refused("forbidden", lambda: after(revived, (Kind.SECRET, "owner")))
    assert after(revived, (Kind.LEAVE, "owner"), (Kind.LEAVE, "member")).size == 0


def test_a_removed_one_comes_back_only_with_the_new_secret() -> None:
    roster = after(populated(), (Kind.REMOVE, "admin", "member"))
    old = roster.secret_index - 1
    refused("wrong_secret", lambda: roster.append(say(roster, Kind.JOIN, "member", secret=old)))
    assert roles(roster.append(say(roster, Kind.JOIN, "member")))["member"] == 1


def test_a_banned_one_comes_back_after_the_ban_is_lifted() -> None:
    roster = populated()
    refused("banned", lambda: after(roster, (Kind.JOIN, "banned")))
    lifted = after(roster, (Kind.UNBAN, "other admin", "banned"))
    assert lifted.banned == frozenset()
    assert "banned" not in roles(lifted)
    assert roles(after(lifted, (Kind.JOIN, "banned")))["banned"] == 1


def test_where_somebody_left_is_remembered() -> None:
    """Chains of before stay closed, whatever comes later."""
    removed = after(populated(), (Kind.REMOVE, "admin", "member"))
    left = removed.index
    back = after(removed, (Kind.JOIN, "member"))
    banned = after(back, (Kind.BAN, "admin", "member"))
    assert [one.departed(ED["member"]) for one in (removed, back, banned)] == [left, left, left + 2]
    lifted = after(banned, (Kind.UNBAN, "admin", "member"))
    assert (lifted.departed(ED["member"]), lifted.joined(ED["member"])) == (left + 2, left + 1)
    was = [lifted.was_member(ED["member"], index) for index in range(left - 1, left + 4)]
    assert was == [True, False, True, False, False]


@pytest.mark.parametrize("kind", [*KEYED, Kind.NAMES])
def test_names_are_those_of_the_newest_statement_that_has_some(kind: Kind) -> None:
    start = populated()
    said = say(start, kind, "other admin", *(("member",) if kind in TARGETED else ()))
    roster = after(start.append(said), (Kind.LEAVE, "other member"))
    assert (roster.sealed, roster.sealed_by) == (parse(said).sealed, ED["other admin"])
    assert roster.sealed_index == roster.index - 1
    assert roster.secret_index == (start.secret_index if kind is Kind.NAMES else roster.index - 1)


def test_a_ban_before_the_first_join_is_no_departure() -> None:
    roster = after(populated(), (Kind.BAN, "admin", "stranger"))
    assert roster.departed(ED["stranger"]) is None
    assert roster.last_departure == roster.secret_index == roster.index
    refused("banned", lambda: after(roster, (Kind.JOIN, "stranger")))


@pytest.mark.parametrize("kind", KEYED)
@pytest.mark.parametrize("access", Access)
def test_a_new_secret_is_new(kind: Kind, access: Access) -> None:
    roster = populated(access)
    for number in (0, roster.secret_index):
        raw = say(roster, kind, "owner", *about(kind), new=number)
        refused("bad_statement", partial(roster.append, raw))
    following = roster.append(say(roster, kind, "owner", *about(kind)))
    assert following.key == secret_key(following.index).public != roster.key


def about(kind: Kind) -> tuple[str, ...]:
    return () if kind is Kind.SECRET else ("member",)


@pytest.mark.parametrize("kind", KEYED)
def test_an_open_channel_s_secret_is_no_key(kind: Kind) -> None:
    """Any 32 bytes are a secret; an invite key is a point of the curve."""
    data = ZEROS + bytes(540)
    roster = populated(Access.OPEN)
    assert roster.append(say(roster, kind, "owner", *about(kind), data=data)).key == ZEROS
    private = populated()
    refused("bad_statement", lambda: private.append(say(private, kind, "owner", *about(kind), data=data)))


def test_a_join_is_signed_with_the_secret_only_where_it_is_one() -> None:
    private, public = populated(), populated(Access.OPEN)
    refused("bad_statement", lambda: private.append(say(private, Kind.JOIN, "stranger", data=b"")))
    refused("bad_statement", lambda: public.append(say(public, Kind.JOIN, "stranger", data=bytes(64))))
    refused("wrong_secret", lambda: private.append(say(private, Kind.JOIN, "stranger", data=b"x" * 64)))


def test_a_join_s_invite_is_for_this_joiner_here_and_now() -> None:
    roster = populated()
    here, now, joiner, key = (roster.channel_id, roster.head, ED["stranger"], secret_key(roster.secret_index))
    for signed in (
        join_input(here, now, ED["banned"]),
        join_input(here, roster.heads[-2], joiner),
        join_input(bytes(32), now, joiner),
        peek_input(here, joiner, now),
    ):
        raw = say(roster, Kind.JOIN, "stranger", data=key.sign(signed))
        refused("wrong_secret", partial(roster.append, raw))
        roster.append(raw, verify=False)


def test_a_channel_is_full() -> None:
    roster = Roster.begin(create(Access.OPEN))
    for number in range(MAX_MEMBERS - 1):
        key = SigningKey.from_seed(number.to_bytes(32, "big"))
        index = roster.index + 1
        raw = build(key, Kind.JOIN, roster.channel_id, index, roster.head, key.public, NOW)
        roster = roster.append(raw, verify=False)
    assert roster.size == len(roster.members) == MAX_MEMBERS
    refused("channel_full", lambda: after(roster, (Kind.JOIN, "stranger")))
    assert after(roster, (Kind.BAN, "owner", "stranger")).size == MAX_MEMBERS
