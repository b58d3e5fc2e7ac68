"""What is shown where there is no profile yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mobium_client.gui.models.context import Context
from mobium_client.gui.models.presenter import Presenter

__all__ = ["FirstRun", "FirstRunState"]


@dataclass(frozen=True, slots=True)
class FirstRunState:
    """`problem` is a sentence about what keeps profiles from being read."""

    problem: str = ""


class FirstRun(Presenter[FirstRunState]):
    """No profile yet; `again` looks once more."""

    def __init__(self, context: Context, again: Callable[[], object], problem: str = "") -> None:
        super().__init__(context.bridge, FirstRunState(problem))
        self._again = again

    def look_again(self) -> None:
        """Look for profiles once more."""
        self._again()
