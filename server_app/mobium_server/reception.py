"""What an HTTP request gets: who asks, over what, whether there is a place, and whether a socket may be
opened.

Not its concern: what paths answer (`mobium_server.http`) and bytes (`mobium_server.gateway`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from mobium.protocol.codes import ErrorCode, sentence
from mobium_server.config import Settings
from mobium_server.door import Door, Guest
from mobium_server.http import Asked, Reply, Routes, plain
from mobium_server.limits import Address, Network, address_key, in_networks, parse_address
from mobium_server.stats import Counters

__all__ = ["Entry", "Reception", "Visitor", "forwarded_for"]


class Entry(Enum):
    """A WebSocket is opened: to log in, or only to be told that there is no room."""

    ADMITTED = 1
    NO_ROOM = 2


class Visitor(Guest, Protocol):
    """A connection, as the reception sees it."""

    peer: Address | None
    """The address at the other end of the socket."""


class Reception:
    """Decides on requests. `admission` counts one for an address: 0.0, or the seconds to wait."""

    def __init__(
        self,
        settings: Settings,
        routes: Routes,
        door: Door,
        admission: Callable[[str], float],
        counters: Counters,
    ) -> None:
        self._settings = settings
        self._routes = routes
        self._admission = admission
        self._counters = counters
        self.door = door

    def consider(self, visitor: Visitor, asked: Asked, *, encrypted: bool) -> Reply | Entry:
        """What `asked` comes to on a connection that is encrypted to this server or not."""
        place = self.door.has_place(visitor)
        if visitor.behind_proxy:
            encrypted = encrypted or _last(asked.forwarded_proto).lower() == "https"
            address = forwarded_for(asked.forwarded_for, self._settings.trusted_proxies)
            if address is not None:
                visitor.address = address_key(address)
            place = place and self.door.count(visitor)
        # Whether it is up may be asked in clear from nearby: what watches a container comes over a bridge.
        near = visitor.behind_proxy or (
            visitor.peer is not None and (visitor.peer.is_loopback or visitor.peer.is_private)
        )
        if self._settings.require_tls and not encrypted and not (asked.path == "/health" and near):
            self._counters.refused += 1
            return plain(403, sentence(ErrorCode.TLS_REQUIRED))
        wait = self._admission(visitor.address)
        if wait:
            return plain(429, sentence(ErrorCode.RATE_LIMITED), Retry_After=str(int(wait) + 1))
        opening = asked.path == "/ws" and asked.method == "GET"
        if opening and not self._routes.may_open_socket(asked.origin, asked.host):
            self._counters.refused += 1
            return plain(
                403, "This web origin may not use this server; its operator can add it to SC_CORS_ORIGINS."
            )
        if opening:
            return Entry.ADMITTED if place else Entry.NO_ROOM
        if not place:
            return plain(503, sentence(ErrorCode.TOO_MANY_CONNECTIONS), Retry_After="10")
        return self._routes.answer(asked)


def forwarded_for(headers: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """The nearest address of X-Forwarded-For that no trusted proxy has; a client only writes further left."""
    for part in reversed(",".join(headers).split(",")):
        text = part.strip()
        bare = text.removeprefix("[").partition("]")[0]
        address = parse_address(bare) or parse_address(text.partition(":")[0])
        if address is None or not in_networks(address, trusted):
            return address
    return None


def _last(headers: Sequence[str]) -> str:
    """The last of a list of values: the one that the nearest proxy wrote."""
    return ",".join(headers).rpartition(",")[2].strip()
