"""How much anyone may do: rates by identity and address, connections by address, one-time prekeys by target.

Everything is in memory, bounded, and forgets. Not its concern: what is refused and how that is said
(`mobium_server.gateway`, the handlers).
"""

from __future__ import annotations

import ipaddress
import os
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "Address",
    "AddressRates",
    "Allowance",
    "HandOuts",
    "Network",
    "Rate",
    "Rates",
    "address_key",
    "in_networks",
    "parse_address",
    "site_key",
    "spend",
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SWEEP = 4_096  # entries after which those that say nothing any more are thrown away
MINUTE = 60.0
HOUR = 3_600.0
DAY = 86_400.0
TARGET_MINUTE = 10  # one-time prekeys of one target, over all requesters
TARGET_DAY = 100
TARGETS_MOST = 20_000  # targets remembered; the oldest go first
OF_SITE = 4  # an IPv6 /48 may have so many times as much as a /64


def parse_address(text: str) -> Address | None:
    """The address that `text` is, an IPv4 address mapped into IPv6 as IPv4; None if it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def address_key(address: Address) -> str:
    """What an address counts as: itself, or for IPv6 its /64, since one household holds all of that."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return str(address)


@lru_cache(SWEEP)  # it is asked for every request and every media frame
def site_key(key: str) -> str | None:
    """What the key of an address counts as beside itself: for IPv6 its /48, which is easily had as a whole;
    for others nothing.
    """
    return str(ipaddress.IPv6Network(key).supernet(new_prefix=48)) if ":" in key else None


def in_networks(address: Address | None, networks: Sequence[Network]) -> bool:
    """Whether the address lies in one of the networks."""
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second, and so many at once. 0 a second is unlimited."""

    per_second: float
    burst: int

    def times(self, factor: float) -> Rate:
        """The rate of `factor` such users."""
        return Rate(self.per_second * factor, int(self.burst * factor))


def spend(full_at: float, rate: Rate, now: float, cost: float) -> tuple[float, float]:
    """Take `cost` from a bucket that is kept as the moment at which it is full again.

    That moment, and 0.0 if it was there; else the seconds until it will be, and nothing was taken.
    """
    if not rate.per_second:
        return full_at, 0.0
    after = max(full_at, now) + cost / rate.per_second
    excess = after - now - max(rate.burst, cost) / rate.per_second
    return (full_at, excess) if excess > 1e-9 else (after, 0.0)


class Rates:
    """One token bucket for each key, kept as the moment at which it is full again."""

    def __init__(self, rate: Rate, steady: Callable[[], float]) -> None:
        self._rate = rate
        self._steady = steady
        self._full_at: dict[Hashable, float] = {}
        self._sweep_at = SWEEP

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Hashable, cost: float = 1.0) -> float:
        """Take `cost` from the bucket: 0.0 if it was there, else the seconds until it will be; then nothing
        was taken.
        """
        if not self._rate.per_second:
            return 0.0
        now = self._steady()
        full_at, excess = spend(self._full_at.get(key, now), self._rate, now, cost)
        if excess:
            return excess
        self._full_at[key] = full_at
        if len(self._full_at) > self._sweep_at:
            self._sweep(now)
        return 0.0

    def wait(self, key: Hashable, cost: float) -> float:
        """The seconds until `cost` will be there; nothing is taken."""
        if not self._rate.per_second:
            return 0.0
        now = self._steady()
        return spend(self._full_at.get(key, now), self._rate, now, cost)[1]

    def charge(self, key: Hashable, cost: float) -> None:
        """Take `cost` whether it is there or not; a debt is never more than a whole burst."""
        rate = self._rate.per_second
        if rate:
            now = self._steady()
            full_at = max(self._full_at.get(key, now), now)
            self._full_at[key] = max(full_at, min(full_at + cost / rate, now + 2 * self._rate.burst / rate))
            if len(self._full_at) > self._sweep_at:
                self._sweep(now)

    def give_back(self, key: Hashable, cost: float) -> None:
        """What was taken last did not happen."""
        full_at = self._full_at.get(key)
        if full_at is not None:
            self._full_at[key] = full_at - cost / self._rate.per_second

    def _sweep(self, now: float) -> None:
        self._full_at = {key: moment for key, moment in self._full_at.items() if moment > now}
        self._sweep_at = max(SWEEP, 2 * len(self._full_at))


class AddressRates:
    """A bucket for each address, and one of `OF_SITE` times its rate for each IPv6 /48."""

    def __init__(self, rate: Rate, steady: Callable[[], float]) -> None:
        self._addresses = Rates(rate, steady)
        self._sites = Rates(rate.times(OF_SITE), steady)

    def take(self, address: str, cost: float = 1.0) -> float:
        """Take `cost` from both: 0.0 if they had it, else the seconds until they will; then nothing was
        taken.
        """
        site = site_key(address)
        if site is None:
            return self._addresses.take(address, cost)
        wait = self.wait(address, cost)
        if not wait:
            self._addresses.take(address, cost)
            self._sites.take(site, cost)
        return wait

    def wait(self, address: str, cost: float = 1.0) -> float:
        """The seconds until both have `cost`; nothing is taken."""
        site = site_key(address)
        wait = self._addresses.wait(address, cost)
        return max(wait, self._sites.wait(site, cost)) if site is not None else wait

    def charge(self, address: str, cost: float = 1.0) -> None:
        """Take `cost` from both, whether it is there or not."""
        site = site_key(address)
        self._addresses.charge(address, cost)
        if site is not None:
            self._sites.charge(site, cost)


class Allowance:
    """So many times in a period, seconds, for each key; what was not used in the end is given back."""

    def __init__(self, most: int, period: float, steady: Callable[[], float]) -> None:
        self._most = most
        self._period = period
        self._steady = steady
        self._taken: dict[Hashable, deque[float]] = {}

    def take(self, key: Hashable) -> float:
        """Take one: 0.0 if there was one left, else the seconds until there will be; then nothing was
        taken.
        """
        now = self._steady()
        moments = self._taken.get(key)
        if moments is None:
            moments = self._taken[key] = deque()
            if len(self._taken) > TARGETS_MOST:
                del self._taken[next(iter(self._taken))]
        while moments and now - moments[0] >= self._period:
            moments.popleft()
        if len(moments) >= self._most:
            return self._period - (now - moments[0])
        moments.append(now)
        return 0.0

    def give_back(self, key: Hashable) -> None:
        """What was taken last did not happen."""
        moments = self._taken.get(key)
        if moments:
            moments.pop()
        if not moments:
            self._taken.pop(key, None)


class HandOuts:
    """Who gets one-time prekeys: 10 a minute and 100 a day of a target, one a day for the same requester.
    Pairs are kept as keyed hashes.
    """

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._secret = os.urandom(32)  # pairs cannot be read back from the hashes
        self._targets: dict[bytes, deque[tuple[float, bytes]]] = {}

    def take(self, requester: bytes, target: bytes) -> bool:
        """Whether `requester` gets one-time keys of `target` now; counted as handed out."""
        now = self._steady()
        given = self._targets.get(target)
        if given is None:
            given = self._targets[target] = deque()
            if len(self._targets) > TARGETS_MOST:
                del self._targets[next(iter(self._targets))]
        while given and now - given[0][0] >= DAY:
            given.popleft()
        who = self._who(requester, target)
        within_a_minute = sum(now - moment < MINUTE for moment, _ in given)
        if (
            within_a_minute >= TARGET_MINUTE
            or len(given) >= TARGET_DAY
            or any(one == who for _, one in given)
        ):
            return False
        given.append((now, who))
        return True

    def give_back(self, requester: bytes, target: bytes) -> None:
        """The hand-out that was counted did not happen."""
        given = self._targets.get(target)
        if given is None:
            return
        who = self._who(requester, target)
        kept = deque(one for one in given if one[1] != who)
        if kept:
            self._targets[target] = kept
        else:
            del self._targets[target]

    def _who(self, requester: bytes, target: bytes) -> bytes:
        return blake2b(requester + target, digest_size=16, key=self._secret).digest()
