"""The servers that help two machines to reach each other: those that our own server names, and no others.

Not its concern: using them (`mobium.media.peer`).
"""

from __future__ import annotations

from typing import Final

from mobium.client.online import Online
from mobium.errors import ProtocolError, ServerRefused
from mobium.media.link import IceServer
from mobium.protocol.messages import GetIceConfig, IceConfig

__all__ = ["IceServers"]

_SCHEMES: Final = ("stun:", "turn:", "turns:")
_WITHOUT_END: Final = 600.0  # seconds for which an answer without credentials is believed


class IceServers:
    """What the server has named, kept while its credentials work for half of their time still: it gives ten
    an hour.
    """

    def __init__(self) -> None:
        self._host = ""
        self._servers: tuple[IceServer, ...] = ()
        self._fresh_until = 0.0
        self._until = 0.0

    async def ask(self, online: Online, now: float) -> tuple[IceServer, ...]:
        """The servers, as of `now` (seconds of any clock that only goes forward).

        Raises ServerRefused, NotConnected, ProtocolError.
        """
        if online.address.host == self._host and now < self._fresh_until:
            return self._servers
        try:
            answer = await online.request(GetIceConfig())
        except ServerRefused:
            if online.address.host == self._host and now < self._until:
                return self._servers
            raise
        if not isinstance(answer, IceConfig):
            raise ProtocolError("The server answered a question about calls with something else.")
        self._host = online.address.host
        self._servers = tuple(
            IceServer(url, one.username, one.credential)
            for one in answer.servers
            for url in one.urls
            if url.startswith(_SCHEMES)
        )
        life = float(answer.ttl) if answer.ttl else _WITHOUT_END
        self._fresh_until, self._until = now + life / 2, now + life
        return self._servers
