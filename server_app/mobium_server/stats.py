"""What the server counts about itself, and the two forms in which it says so. No figure speaks of a person.

Not its concern: who may read it (`mobium_server.http`), and which figures there are
(`mobium_server.figures`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

__all__ = ["Counters", "Durations", "Figure", "as_dict", "prometheus"]

# Upper ends in seconds: from a fast disk's sync to a card that makes people wait.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
RECENT = 512  # durations from which the recent figures are taken


@dataclass(slots=True)
class Counters:
    """Events since the start."""

    accepted: int = 0
    """Connections that came."""
    refused: int = 0
    """Connections that a limit or a rule turned away."""
    logins: int = 0
    login_failures: int = 0
    messages: int = 0
    """Direct messages that came from senders."""
    posts: int = 0
    """Channel messages that came from senders."""
    signals: int = 0
    """Signals of calls and rooms that came from senders."""
    media_in: int = 0
    """Media frames that came from senders."""
    media_out: int = 0
    """Copies of them that went to sockets."""
    media_slow: int = 0
    """Copies that were dropped because a socket was slow."""
    media_outside: int = 0
    """Frames that were dropped because their sender is not in the room."""
    media_limited: int = 0
    """Frames that were dropped because they were over the rate."""
    malformed: int = 0
    limited: int = 0
    """What was refused as too many: requests (answered `rate_limited`), new identities, bytes to keep for who
    is away, TURN credentials, TLS handshakes; and connections that were closed as floods.
    """
    bundles: int = 0
    """Prekey bundles handed out."""
    internal: int = 0
    """Requests that failed by a fault of the server."""


class Durations:
    """How long something took, each time: a histogram since the start, and the newest ones themselves."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._recent: deque[float] = deque(maxlen=RECENT)

    def add(self, seconds: float) -> None:
        """It took so long this time."""
        self.count += 1
        self.sum += seconds
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._recent.append(seconds)

    def recent(self, part: float) -> float:
        """The duration, in seconds, that `part` (0 to 1) of the newest ones did not exceed; 0 if there is
        none.
        """
        found = sorted(self._recent)
        return found[min(len(found) - 1, int(part * len(found)))] if found else 0.0

    def buckets(self) -> list[tuple[str, int]]:
        """Upper ends, and how many lie below each, as Prometheus counts them."""
        ends = [*(str(bound) for bound in BOUNDS), "+Inf"]
        return list(zip(ends, accumulate(self._buckets), strict=True))


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure at one moment. `counter`: it only grows."""

    name: str
    about: str
    counter: bool
    read: Callable[[], float]


def prometheus(figures: list[Figure], commits: Durations) -> bytes:
    """The figures in Prometheus' text format, and the histogram of the commits."""
    # Imported when it is first asked for: most servers never are, and it costs memory.
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

    class Collector:
        def collect(self) -> list[Metric]:
            families: list[Metric] = []
            for figure in figures:
                family = CounterMetricFamily if figure.counter else GaugeMetricFamily
                families.append(family(f"mobium_{figure.name}", figure.about, value=figure.read()))
            about = "Time from the end of a tick until what waited was durable."
            families.append(
                HistogramMetricFamily("mobium_commit_seconds", about, commits.buckets(), commits.sum)
            )
            return families

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)


def as_dict(figures: list[Figure]) -> dict[str, Any]:
    """The figures by name."""
    return {figure.name: figure.read() for figure in figures}
