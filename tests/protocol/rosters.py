"""Members of a channel, in their roles, and what they say of it.

Not its concern: what is asserted, but for the code of a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from mobium.errors import ProtocolError
from mobium.protocol.codes import ErrorCode
from mobium.protocol.roster import ZEROS, Access, Kind, Role, Roster, RosterError, build, join_input
from mobium.signing import SigningKey

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
