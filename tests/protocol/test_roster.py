"""Rosters: every rule with its code, against a small model that knows nothing of the code under test."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import product
from threading import Thread
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mobium.errors import ProtocolError
from mobium.protocol import statement as layout
from mobium.protocol.codes import ErrorCode
from mobium.protocol.limits import MAX_MEMBERS
from mobium.protocol.roster import (
    LEAVES,
    LONGEST_STATEMENT,
    MEMBERSHIP,
    ZEROS,
    Access,
    Kind,
    Role,
    Roster,
    RosterError,
    build,
    channel_id_of,
    join_input,
    names_ad,
    parse,
    peek_input,
)
from mobium.signing import SigningKey

SCHEDULES = int(os.environ.get("MOBIUM_SCHEDULES") or 20)
NAMES = ("owner", "admin", "other admin", "member", "other member", "stranger", "banned")
KEYS = {name: SigningKey.from_seed(sha256(name.encode()).digest()) for name in NAMES}
ED = {name: key.public for name, key in KEYS.items()}
WHO = {ed: name for name, ed in ED.items()}
KEYED = (Kind.REMOVE, Kind.SECRET, Kind.BAN)
TARGETED = (Kind.REMOVE, Kind.ROLE, Kind.BAN, Kind.UNBAN)
NOW = 1_800_000_000_000


def secret_key(number: int) -> SigningKey:
    """The invite key that the statement `number` brought; an open channel takes its bytes as the secret."""
    return SigningKey.from_seed(sha256(b"%d" % number).digest())


def create(access: Access = Access.PRIVATE, owner: str = "owner") -> bytes:
    data = bytes((access,)) + secret_key(0).public + bytes(540)
    return build(KEYS[owner], Kind.CREATE, ZEROS, 0, ZEROS, ED[owner], NOW, data)


def say(
    roster: Roster,
    kind: Kind,
    actor: str,
    subject: str | None = None,
    *,
    data: bytes | None = None,
    role: Role = Role.ADMIN,
    new: int = -1,
    secret: int | None = None,
) -> bytes:
    """A statement that follows on the head; `new` is the number of the key that it brings, `secret` of the
    one that a join is signed with.
    """
    index = roster.index + 1
    if data is None:
        data = b""
        if kind in KEYED:
            data = secret_key(index if new < 0 else new).public
        if kind in (*KEYED, Kind.NAMES):
            data += index.to_bytes(540, "big")
        if kind is Kind.ROLE:
            data = bytes((role,))
        if kind is Kind.JOIN and roster.access is Access.PRIVATE:
            invite = secret_key(roster.secret_index if secret is None else secret)
            data = invite.sign(join_input(roster.channel_id, roster.head, ED[actor]))
    about = ED[subject or actor]
    return build(KEYS[actor], kind, roster.channel_id, index, roster.head, about, NOW + index, data)


def after(roster: Roster, *said: tuple[Any, ...], **more: Any) -> Roster:
    for one in said:
        roster = roster.append(say(roster, *one, **more))
    return roster


def populated(access: Access = Access.PRIVATE) -> Roster:
    """Everybody is what the name says."""
    joins = [(Kind.JOIN, name) for name in ("admin", "member", "other admin", "other member", "banned")]
    roster = after(Roster.begin(create(access)), *joins)
    roster = after(roster, (Kind.ROLE, "owner", "admin"), (Kind.ROLE, "owner", "other admin"))
    return after(roster, (Kind.BAN, "admin", "banned"))


def refused(code: str, action: Callable[[], object]) -> RosterError:
    with pytest.raises(RosterError) as caught:
        action()
    assert caught.value.code == code, str(caught.value)
    assert isinstance(caught.value.code, ErrorCode)
    assert isinstance(caught.value, ProtocolError)
    return caught.value


def roles(roster: Roster) -> dict[str, int]:
    return {WHO[ed]: int(role) for ed, role in roster.members.items()}


# ---------------------------------------------------------------- the model


@dataclass
class Model:
    """The rules again, over names."""

    private: bool = True
    index: int = 0
    roles: dict[str, int] = field(default_factory=lambda: {"owner": 3})
    banned: set[str] = field(default_factory=set)
    used: dict[int, int] = field(default_factory=lambda: {0: 0})
    joined: dict[str, int] = field(default_factory=lambda: {"owner": 0})
    departed: dict[str, int] = field(default_factory=dict)
    history: list[frozenset[str]] = field(default_factory=lambda: [frozenset({"owner"})])
    member_index: int = 0
    last_departure: int = 0
    secret_index: int = 0
    sealed: tuple[str, int] = ("owner", 0)

    def code(self, kind: int, actor: str, subject: str, role: int, new: int, secret: int) -> str | None:
        """The code that refuses it, or None: the first that fits."""
        mine, theirs = self.roles.get(actor, 0), self.roles.get(subject, 0)
        join = kind == 2
        table: list[tuple[bool, str]] = [
            (join and mine > 0, "already_member"),
            (join and actor in self.banned, "banned"),
            (join and self.private and secret != self.secret_index, "wrong_secret"),
            (not join and not mine, "not_a_member"),
            (kind == 3 and mine == 3 and len(self.roles) > 1, "forbidden"),
            (kind == 5 and mine < 3, "forbidden"),
            (kind not in (2, 3) and mine < 2, "forbidden"),
            (kind in (4, 5) and not theirs, "not_a_member"),
            (kind == 5 and theirs == role, "bad_statement"),
            (kind in (4, 8) and theirs >= mine, "forbidden"),
            (kind == 8 and subject in self.banned, "bad_statement"),
            (kind == 9 and subject not in self.banned, "bad_statement"),
            (kind in (4, 6, 8) and new in self.used, "bad_statement"),
        ]
        return next((code for wrong, code in table if wrong), None)

    def apply(self, kind: int, actor: str, subject: str, role: int, new: int) -> None:
        self.index += 1
        if kind == 2:
            self.roles[actor], self.joined[actor] = 1, self.index
        if kind in (3, 4, 8) and self.roles.pop(subject, 0):
            self.departed[subject] = self.index
        if kind == 5:
            self.roles[subject] = role
            if role == 3:
                self.roles[actor] = 2
        if kind == 8:
            self.banned.add(subject)
        if kind == 9:
            self.banned.discard(subject)
        if kind in (4, 6, 8):
            self.used[new] = self.secret_index = self.index
        if kind in (4, 6, 7, 8):
            self.sealed = (actor, self.index)
        if kind in (2, 3, 4, 8):
            self.member_index = self.index
        if kind in (3, 4, 8):
            self.last_departure = self.index
        self.history.append(frozenset(self.roles))


def compare(roster: Roster, model: Model) -> None:
    assert roster.index == model.index
    assert list(roles(roster).items()) == list(model.roles.items())
    assert roster.size == len(model.roles)
    assert {WHO[ed] for ed in roster.banned} == model.banned
    assert roster.member_index == model.member_index
    assert roster.last_departure == model.last_departure
    assert roster.secret_index == model.secret_index
    assert (WHO[roster.sealed_by], roster.sealed_index) == model.sealed
    assert roster.sealed == model.sealed[1].to_bytes(540, "big")
    assert len(roster.heads) == model.index + 1
    assert roster.heads[-1] == roster.heads[model.index] == roster.head
    for name, ed in ED.items():
        assert roster.role(ed) == model.roles.get(name)
        assert roster.joined(ed) == model.joined.get(name)
        assert roster.departed(ed) == model.departed.get(name)
        was = [roster.was_member(ed, index) for index in range(model.index + 1)]
        assert was == [name in members for members in model.history]
        assert roster.was_member(ed, model.index + 5) == (name in model.roles)
        assert not roster.was_member(ed, -1)


class Machine(RuleBasedStateMachine):
    """Statements good and bad by anybody, on the newest roster or on an older one."""

    @initialize(access=st.sampled_from(Access))
    def begin(self, access: Access) -> None:
        first = create(access)
        self.kept = [(Roster.begin(first), Model(private=access is Access.PRIVATE), [first])]
        self.at = 0
        self.number = 0  # of the keys: two branches may use the same, one may not

    @rule(
        kind=st.sampled_from([kind for kind in Kind if kind is not Kind.CREATE]),
        actor=st.sampled_from(NAMES),
        subject=st.sampled_from(NAMES),
        role=st.sampled_from(Role),
        old_key=st.integers(0, 9).map(lambda n: n == 0),
        old_secret=st.integers(0, 9).map(lambda n: n == 0),
    )
    def speak(
        self, kind: Kind, actor: str, subject: str, role: Role, old_key: bool, old_secret: bool
    ) -> None:
        roster, model, raws = self.kept[self.at]
        if kind in TARGETED and actor == subject:
            refused("bad_statement", lambda: say(roster, kind, actor, subject, role=role))
            return
        subject = subject if kind in TARGETED else actor
        new = min(model.used) if old_key else roster.index + 1
        secret = min(model.used) if old_secret else model.secret_index
        raw = say(roster, kind, actor, subject, role=role, new=new, secret=secret)
        code = model.code(kind, actor, subject, role, new, secret)
        if code is not None:
            refused(code, lambda: roster.append(raw))
            return
        model = copy.deepcopy(model)
        model.apply(kind, actor, subject, role, new)
        self.kept.append((roster.append(raw), model, [*raws, raw]))
        self.at = len(self.kept) - 1

    @rule(name=st.sampled_from(NAMES[1:5]))
    def join(self, name: str) -> None:
        self.speak(Kind.JOIN, name, name, Role.MEMBER, False, False)

    @rule(name=st.sampled_from(NAMES[1:5]), role=st.sampled_from(Role))
    def appoint(self, name: str, role: Role) -> None:
        actor = next((one for one, mine in self.kept[self.at][1].roles.items() if mine == 3), "owner")
        self.speak(Kind.ROLE, actor, name, role, False, False)

    @rule(where=st.integers(0, 5))
    def go_back(self, where: int) -> None:
        self.at = max(0, len(self.kept) - 1 - where)

    @invariant()
    def nothing_was_disturbed(self) -> None:
        for roster, model, _ in getattr(self, "kept", [])[-4:]:
            compare(roster, model)

    def teardown(self) -> None:
        for roster, model, raws in getattr(self, "kept", []):
            compare(roster, model)
            for verify in (False, True):
                loaded = Roster.load(raws, verify=verify)
                compare(loaded, model)
                assert loaded == roster
                assert list(loaded.heads) == list(roster.heads)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=SCHEDULES, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("access", Access)
def test_everybody_says_everything_about_everybody(access: Access) -> None:
    roster = populated(access)
    model = Model(private=access is Access.PRIVATE, index=roster.index, secret_index=roster.secret_index)
    model.roles = {"owner": 3, "admin": 2, "other admin": 2, "member": 1, "other member": 1}
    model.banned = {"banned"}
    assert (roles(roster).keys(), set(roster.banned)) == (model.roles.keys(), {ED["banned"]})
    seen = set()
    for kind, actor, subject, role in product(list(Kind)[1:], NAMES, NAMES, Role):
        if (actor == subject) is (kind in TARGETED) or (kind is not Kind.ROLE and role is not Role.ADMIN):
            continue
        raw = say(roster, kind, actor, subject, role=role)
        code = model.code(kind, actor, subject, role, roster.index + 1, roster.secret_index)
        seen.add((kind, code))
        for verify in (False, True):
            if code is None:
                assert roster.append(raw, verify=verify).index == roster.index + 1
            else:
                refused(code, partial(roster.append, raw, verify=verify))
    assert {kind for kind, code in seen if code is None} == set(Kind) - {Kind.CREATE}
    assert {code for _, code in seen} == {
        None,
        "already_member",
        "banned",
        "not_a_member",
        "forbidden",
        "bad_statement",
    }


# ---------------------------------------------------------------- each rule, in words


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


# ---------------------------------------------------------------- bytes and places


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


# ---------------------------------------------------------------- a value


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
