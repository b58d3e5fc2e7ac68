"""Rosters against a small model of the rules: random schedules, and everybody about everybody."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from functools import partial
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mobium.protocol.roster import Access, Kind, Role, Roster
from tests.protocol.rosters import ED, NAMES, TARGETED, WHO, create, populated, refused, roles, say

SCHEDULES = int(os.environ.get("MOBIUM_SCHEDULES") or 20)


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
