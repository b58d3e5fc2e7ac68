"""Invites into private channels: made, listed, revoked. Not here: joining with one
(`mobium_server.handlers.channels`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mobium.protocol.messages import CreateInvite, Invite, InviteRow, Invites, ListInvites, RevokeInvite
from mobium_server.rooms import Denied
from mobium_server.storage.base import HeldInvite, NewInvite

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["create", "listed", "revoke"]


def create(hub: Hub, session: Session, message: CreateInvite) -> None:
    """Make an invite."""

    def done(made: NewInvite | Denied) -> None:
        if isinstance(made, Denied):
            session.refuse(made.code, rid=message.rid, retry_after=made.retry_after)
        else:
            session.reply(Invite(message.channel_id, made.id, made.uses, made.expires, message.rid))

    hub.invites.make(session.desk, message.channel_id, message.uses, message.ttl, done)


def listed(hub: Hub, session: Session, message: ListInvites) -> None:
    """Say which invites are in force."""
    hub.invites.listed(session.desk, message.channel_id, _answer(session, message))


def revoke(hub: Hub, session: Session, message: RevokeInvite) -> None:
    """End an invite."""
    hub.invites.revoke(session.desk, message.channel_id, message.id, _answer(session, message))


def _answer(
    session: Session, message: ListInvites | RevokeInvite
) -> Callable[[list[HeldInvite] | Denied], None]:
    def done(held: list[HeldInvite] | Denied) -> None:
        if isinstance(held, Denied):
            session.refuse(held.code, rid=message.rid, retry_after=held.retry_after)
        else:
            rows = [InviteRow(*one) for one in held]
            session.reply(Invites(message.channel_id, rows, message.rid))

    return done
