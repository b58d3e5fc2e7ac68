"""Invites into private channels, made and ended in the turns of their rooms.

Not its concern: joins, which take their uses (`mobium_server.channels`), and frames
(`mobium_server.handlers.invites`).
"""

from __future__ import annotations

import os
from collections.abc import Callable

from mobium.protocol.codes import ErrorCode
from mobium.protocol.roster import Access, Role
from mobium_server.envelope import Desk
from mobium_server.rooms import Denied, Room, Rooms, denied
from mobium_server.storage.base import HeldInvite, NewInvite, Refused, Storage

__all__ = ["Invites"]

SIZE = 16  # bytes of an invite's id
LATEST = 2**53  # the last second that an invite may end in


class Invites:
    """The invites of all channels. `wall` is the time in seconds since 1970, by which they end."""

    def __init__(
        self,
        storage: Storage,
        rooms: Rooms,
        wall: Callable[[], int],
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._storage = storage
        self._rooms = rooms
        self._wall = wall
        self._entropy = entropy

    def make(
        self, desk: Desk, channel: bytes, uses: int, ttl: int, done: Callable[[NewInvite | Denied], None]
    ) -> None:
        """Make an invite, if the identity may."""
        now = self._wall()
        new = NewInvite(self._entropy(SIZE), uses, min(now + ttl, LATEST) if ttl else 0, desk.identity)

        def turn(room: Room) -> None:
            def made(refused: Refused | None, error: Exception | None) -> None:
                if refused is Refused.TOO_MANY:
                    done(Denied(ErrorCode.TOO_MANY_INVITES))
                else:
                    done(new if refused is None and error is None else denied(refused))

            self._rooms.do(room, lambda: self._storage.make_invite(channel, new, now), made)

        self._govern(desk, channel, turn, done)

    def listed(self, desk: Desk, channel: bytes, done: Callable[[list[HeldInvite] | Denied], None]) -> None:
        """The invites in force, if the identity may see them."""
        now = self._wall()

        def turn(room: Room) -> None:
            def found(held: list[HeldInvite] | None, _error: Exception | None) -> None:
                done(held if held is not None else denied(None))

            self._rooms.do(room, lambda: self._storage.invites(channel, now), found)

        self._govern(desk, channel, turn, done)

    def revoke(
        self, desk: Desk, channel: bytes, invite: bytes, done: Callable[[list[HeldInvite] | Denied], None]
    ) -> None:
        """End an invite, if the identity may; the others come back."""
        now = self._wall()

        def turn(room: Room) -> None:
            def end() -> list[HeldInvite] | Refused:
                if not self._storage.revoke_invite(channel, invite):
                    return Refused.BAD_INVITE
                return self._storage.invites(channel, now)

            def revoked(held: list[HeldInvite] | Refused | None, _error: Exception | None) -> None:
                done(held if isinstance(held, list) else denied(held))

            self._rooms.do(room, end, revoked)

        self._govern(desk, channel, turn, done)

    def _govern(
        self, desk: Desk, channel: bytes, turn: Callable[[Room], None], deny: Callable[[Denied], None]
    ) -> None:
        """Give somebody a turn who has the role for invites, when it comes to it."""

        def begin(room: Room) -> bool:
            role = room.roster.role(desk.identity)
            allowed = role is not None and role >= Role.ADMIN and room.roster.access is Access.PRIVATE
            if allowed:
                turn(room)
            else:
                deny(Denied(ErrorCode.NOT_A_MEMBER if role is None else ErrorCode.FORBIDDEN))
            return allowed

        def found(room: Room | Denied) -> None:
            if isinstance(room, Denied):
                deny(room)
            else:
                self._rooms.take_turn(room, lambda: begin(room))

        self._rooms.find(channel, found)
