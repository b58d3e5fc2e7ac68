"""What clients need to reach each other in calls: the operator's STUN server, and credentials for the TURN
server that work for a while.

The credentials are those that coturn takes with `use-auth-secret`: it recomputes them from the shared secret,
so the two servers never talk. Not its concern: how often one may ask (`mobium_server.handlers.ice`).
"""

from __future__ import annotations

import base64
import hmac

from mobium.protocol.messages import IceServer
from mobium_server.config import Settings

__all__ = ["SALT_SIZE", "ice_servers", "turn_credentials"]

SALT_SIZE = 12  # random bytes in a user name: no two are alike, and none says whose it is


def ice_servers(settings: Settings, now: float, salt: bytes) -> list[IceServer]:
    """The servers that the settings name, as of `now` (seconds since 1970), with `SALT_SIZE` random bytes."""
    servers = []
    if settings.ice_stun_url:
        servers.append(IceServer([settings.ice_stun_url]))
    if settings.ice_turn_url:
        expires = int(now) + settings.ice_ttl
        username, credential = turn_credentials(settings.ice_turn_secret, expires, salt)
        servers.append(IceServer([settings.ice_turn_url], username, credential))
    return servers


def turn_credentials(secret: str, expires: int, salt: bytes) -> tuple[str, str]:
    """User name and credential that a TURN server with this secret takes until `expires`, seconds since 1970.

    HMAC-SHA-1 is what that scheme has; nothing here depends on its collisions.
    """
    username = f"{expires}:{base64.urlsafe_b64encode(salt).decode()}"
    mac = hmac.digest(secret.encode(), username.encode(), "sha1")
    return username, base64.b64encode(mac).decode()
