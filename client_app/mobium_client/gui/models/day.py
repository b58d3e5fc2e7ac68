"""Which day it is, so that "Today" does not stay for longer.

Not its concern: what is said of days (`mobium_client.gui.models.words`).
"""

from __future__ import annotations

from datetime import date

from mobium_client.gui.models.context import Context
from mobium_client.gui.models.presenter import Presenter

__all__ = ["Day"]

# A timer until midnight would stand still while the machine sleeps, and miss a clock or a place that changes.
_LOOK = 20.0  # seconds between two looks


class Day(Presenter[date]):
    """The day of the local clock."""

    def __init__(self, context: Context) -> None:
        super().__init__(context.bridge, context.now().date())
        self._context = context
        self._next = context.later(_LOOK, self._look)

    def close(self) -> None:
        """The end."""
        self._next()
        super().close()

    def _look(self) -> None:
        self._next = self._context.later(_LOOK, self._look)
        self._show(self._context.now().date())
