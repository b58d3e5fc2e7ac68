"""Who may stand in the door: places in all and for each address, strangers who make way, and the few who are
told that there is no room.

Not its concern: sockets (`mobium_server.gateway`) and rates (`mobium_server.limits`).
"""

from __future__ import annotations

from typing import Protocol

from mobium_server.limits import site_key
from mobium_server.stats import Counters

__all__ = ["Door", "Guest"]

COURTESY = 64  # connections over a limit that are told so at the same time; others are just closed


class Guest(Protocol):
    """A connection, as the door sees it."""

    address: str
    """What its address counts as."""
    behind_proxy: bool
    """Its own address is only known from the proxy's headers, later."""

    def drop(self) -> None:
        """End at once; `Door.leave` follows, now or later."""


class Door:
    """The places. 0 for a limit is unlimited."""

    def __init__(self, most: int, most_of_one: int, counters: Counters) -> None:
        self.most = most
        """How many there are; 0 is unlimited."""
        self._most_of_one = most_of_one
        # One /48 may take a quarter of the house, so that whoever holds one keeps nobody out.
        self._most_of_site = max(most_of_one, most // 4) if most_of_one else 0
        self._counters = counters
        self._places: dict[Guest, None] = {}
        self._strangers: dict[Guest, None] = {}  # those that have not logged in, oldest first
        self._counted: dict[Guest, tuple[str, ...]] = {}
        self._by_address: dict[str, int] = {}
        self._courtesies: dict[Guest, None] = {}

    @property
    def places(self) -> int:
        """How many are taken."""
        return len(self._places)

    def enter(self, guest: Guest) -> bool:
        """Give a new connection a place. False: there is none, and it may only be told so, if it was not
        dropped.
        """
        self._counters.accepted += 1
        # The address first: nobody makes way for a connection that is refused all the same.
        if (guest.behind_proxy or self.count(guest)) and self._make_room():
            self._places[guest] = None
            self._strangers[guest] = None
            return True
        self._counters.refused += 1
        self.leave(guest)  # what has no place counts for no address
        if len(self._courtesies) >= COURTESY:
            guest.drop()
        else:
            self._courtesies[guest] = None
        return False

    def _make_room(self) -> bool:
        if not self.most or len(self._places) < self.most:
            return True
        # Whoever says nothing for longest makes way, so that idle strangers cannot keep people out.
        oldest = next(iter(self._strangers), None)
        if oldest is not None:
            self.leave(oldest)
            oldest.drop()
        return len(self._places) < self.most

    def has_place(self, guest: Guest) -> bool:
        """Whether a connection was given a place."""
        return guest in self._places

    def count(self, guest: Guest) -> bool:
        """Count a connection for its address and that one's /48; False if either has enough."""
        site = site_key(guest.address)
        keys = (guest.address,) if site is None else (guest.address, site)
        numbers = [self._by_address.get(key, 0) for key in keys]
        most = (self._most_of_one, self._most_of_site)
        if any(limit and number >= limit for number, limit in zip(numbers, most, strict=False)):
            return False
        for key, number in zip(keys, numbers, strict=True):
            self._by_address[key] = number + 1
        self._counted[guest] = keys
        return True

    def known(self, guest: Guest) -> None:
        """A connection has logged in: it is no stranger any more."""
        self._strangers.pop(guest, None)

    def leave(self, guest: Guest) -> None:
        """A connection ended. Leaving twice is allowed."""
        self._places.pop(guest, None)
        self._strangers.pop(guest, None)
        self._courtesies.pop(guest, None)
        for key in self._counted.pop(guest, ()):
            left = self._by_address[key] - 1
            if left:
                self._by_address[key] = left
            else:
                del self._by_address[key]
