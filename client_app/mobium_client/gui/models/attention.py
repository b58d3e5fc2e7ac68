"""Whether somebody looks at the window. What comes meanwhile is unread, and may be told by a notification.

Not its concern: how the window knows (`mobium_client.gui.app`).
"""

from __future__ import annotations

from mobium_client.gui.models.presenter import Bridge, Presenter

__all__ = ["Attention"]


class Attention(Presenter[bool]):
    """True while the window has the focus."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge, True)

    def change(self, *, there: bool) -> None:
        """Somebody looks, or does not any more."""
        self._show(there)
