"""Which presenter hears which event: a registry by the type of the event.

Not its concern: where events come from (`mobium_client.gui.models.session`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

from mobium_client.gui.models.presenter import Cancel

__all__ = ["Dispatcher"]

E = TypeVar("E")


class Dispatcher:
    """Hands each event to those who asked for its type, in the order in which they asked."""

    def __init__(self) -> None:
        self._heard: dict[type[Any], list[Callable[[Any], object]]] = {}

    def on(self, kind: type[E], hear: Callable[[E], object]) -> Cancel:
        """Call `hear` with every event of exactly this type, until the returned function is called."""
        listeners = self._heard.setdefault(kind, [])
        listeners.append(hear)

        def leave() -> None:
            if hear in listeners:
                listeners.remove(hear)

        return leave

    def tell(self, event: object) -> None:
        """Hand out one event. What one listener raises, the last one's if several do, is raised once all have
        heard it.
        """
        listeners = self._heard.get(type(event), [])
        with ExitStack() as all_of_them:
            for hear in reversed(tuple(listeners)):
                all_of_them.callback(self._tell, listeners, hear, event)

    @staticmethod
    def _tell(listeners: list[Callable[[Any], object]], hear: Callable[[Any], object], event: object) -> None:
        if hear in listeners:  # and has not left for what one before it did
            hear(event)
