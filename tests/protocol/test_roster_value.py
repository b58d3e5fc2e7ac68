"""A roster is a value: what is appended to one disturbs no other, and a refusal changes nothing."""

from __future__ import annotations

from functools import partial
from threading import Thread

import pytest

from mobium.protocol.roster import Kind, Role, Roster, parse
from tests.protocol.rosters import ED, after, populated, refused, roles, say


def test_two_appends_to_one_value_do_not_disturb_each_other() -> None:
    start = populated()
    heads = list(start.heads)
    leaving = after(start, (Kind.LEAVE, "member"), (Kind.JOIN, "stranger"), (Kind.REMOVE, "owner", "admin"))
    staying = after(start, (Kind.NAMES, "admin"), (Kind.UNBAN, "admin", "banned"), (Kind.JOIN, "banned"))
    assert list(start.heads) == heads == list(leaving.heads)[:-3] == list(staying.heads)[:-3]
    everybody = {"owner", "admin", "other admin", "member", "other member"}
    assert set(roles(start)) == everybody
    assert set(roles(leaving)) == everybody - {"member", "admin"} | {"stranger"}
    assert set(roles(staying)) == everybody | {"banned"}
    assert (len(start.banned), len(leaving.banned), len(staying.banned)) == (1, 1, 0)
    assert start.role(ED["stranger"]) is None
    assert start.joined(ED["stranger"]) is None


def test_a_key_that_another_branch_used_is_still_fresh() -> None:
    start = populated()
    leaving = start.append(say(start, Kind.SECRET, "owner", new=77))
    staying = after(start, (Kind.NAMES, "admin"))
    staying = staying.append(say(staying, Kind.SECRET, "owner", new=77))
    for branch in (leaving, staying):
        refused("bad_statement", partial(branch.append, say(branch, Kind.SECRET, "owner", new=77)))


def test_a_refusal_changes_nothing() -> None:
    roster = populated()
    before = (roster.index, roster.head, list(roster.heads), roles(roster), roster.banned)
    refused("forbidden", lambda: after(roster, (Kind.REMOVE, "member", "admin")))
    assert (roster.index, roster.head, list(roster.heads), roles(roster), roster.banned) == before
    with pytest.raises(AttributeError):
        roster.index = 0  # type: ignore[misc]
    with pytest.raises(TypeError):
        roster.members[ED["stranger"]] = Role.OWNER  # type: ignore[index]


def test_threads_may_append_to_one_value() -> None:
    start = populated()
    raws = [say(start, Kind.NAMES, name) for name in ("owner", "admin", "other admin")]
    raws += [say(start, Kind.LEAVE, name) for name in ("member", "other member", "admin")]
    found: dict[int, Roster] = {}

    def append(number: int) -> None:
        for _ in range(50):
            found[number] = start.append(raws[number], verify=False)

    threads = [Thread(target=append, args=(number,)) for number in range(len(raws))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, raw in enumerate(raws):
        assert found[number].head == parse(raw).head
        assert list(found[number].heads) == [*start.heads, found[number].head]
        assert found[number].size == start.size - (parse(raw).kind is Kind.LEAVE)


def test_an_append_shares_what_did_not_change() -> None:
    roster = populated()
    following = after(roster, (Kind.LEAVE, "member"))
    assert following._log is roster._log
    assert after(roster, (Kind.LEAVE, "other member"))._log is not roster._log


def test_heads_are_a_sequence() -> None:
    roster = populated()
    after(roster, (Kind.NAMES, "admin"))
    heads = roster.heads
    assert heads[1:3] == [heads[1], heads[2]]
    assert heads[-1] == roster.head
    assert heads.index(roster.head) == roster.index
    with pytest.raises(IndexError):
        heads[roster.index + 1]


def test_members_stand_in_the_order_of_joining() -> None:
    roster = after(populated(), (Kind.LEAVE, "member"), (Kind.JOIN, "member"))
    assert list(roles(roster)) == ["owner", "admin", "other admin", "other member", "member"]
