"""What the server counts about itself, and the two forms in which it says so. No figure speaks of a person.

Not its concern: who may read it (`mobium_server.http`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Counters", "Figure", "prometheus"]


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
    malformed: int = 0
    limited: int = 0
    """Requests over the rate."""
    bundles: int = 0
    """Prekey bundles handed out."""
    internal: int = 0
    """Requests that failed by a fault of the server."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure at one moment. `counter`: it only grows."""

    name: str
    about: str
    counter: bool
    read: Callable[[], float]


def prometheus(figures: list[Figure]) -> bytes:
    """The figures in Prometheus' text format."""
    # Imported when it is first asked for: most servers never are, and it costs memory.
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

    class Collector:
        def collect(self) -> list[Metric]:
            families: list[Metric] = []
            for figure in figures:
                family = CounterMetricFamily if figure.counter else GaugeMetricFamily
                families.append(family(f"mobium_{figure.name}", figure.about, value=figure.read()))
            return families

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)


def as_dict(figures: list[Figure]) -> dict[str, Any]:
    """The figures by name."""
    return {figure.name: figure.read() for figure in figures}
