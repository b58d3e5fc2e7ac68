"""Which screen is shown, and what lies over it.

A screen, a dialog and a pane are each named by their presenter; `mobium_client.gui.registry` knows the view
of each type. Not its concern: which follows on which (`mobium_client.gui.models.desktop`).
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from mobium_client.gui.models.presenter import Bridge, Presenter

__all__ = ["Overlays", "Router"]

AnyPresenter = Presenter[Any]


class Router(Presenter[AnyPresenter | None]):
    """The presenter of the screen that fills the window."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge, None)

    def go(self, screen: AnyPresenter) -> None:
        """Show another screen; the one before it ends."""
        before = self.state
        with ExitStack() as ending:  # whatever is raised where it is drawn
            if before is not None and before is not screen:
                ending.callback(before.close)
            self._show(screen)


class Overlays(Presenter[tuple[AnyPresenter, ...]]):
    """The dialogs that lie over the screen, the last one on top; Escape closes it."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge, ())

    def open(self, dialog: AnyPresenter) -> None:
        """Lay a dialog over everything."""
        self._show((*self.state, dialog))

    def dismiss(self, dialog: AnyPresenter | None = None) -> None:
        """Take one dialog away, or the top one; it ends."""
        gone = dialog or (self.state[-1] if self.state else None)
        if gone in self.state:
            self._show(tuple(one for one in self.state if one is not gone))
            assert gone is not None
            gone.close()

    def clear(self) -> None:
        """Take all away."""
        gone = self.state
        with ExitStack() as endings:  # each of them, whatever another raises
            for dialog in reversed(gone):
                endings.callback(dialog.close)
            self._show(())
