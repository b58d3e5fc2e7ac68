"""ICE: which servers help a call, with credentials that work for a while. Not here: how they are made
(`mobium_server.ice`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mobium.protocol.codes import ErrorCode
from mobium.protocol.messages import GetIceConfig, IceConfig
from mobium_server.ice import SALT_SIZE, ice_servers

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["config"]


def config(hub: Hub, session: Session, message: GetIceConfig) -> None:
    """Name the servers. New credentials are for the relay's operator to pay, so there are few."""
    settings = hub.settings
    if settings.ice_turn_url:
        wait = hub.turn_user(session)
        if wait:
            hub.counters.limited += 1
            session.refuse(ErrorCode.RATE_LIMITED, rid=message.rid, retry_after=wait)
            return
    servers = ice_servers(settings, hub.clock.wall(), os.urandom(SALT_SIZE))
    session.reply(IceConfig(servers, settings.ice_ttl if settings.ice_turn_url else 0, message.rid))
