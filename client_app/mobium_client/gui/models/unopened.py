"""The dialog that says that no program opened an address, which can be copied there."""

from __future__ import annotations

from mobium_client.gui.models.context import Context
from mobium_client.gui.models.presenter import Presenter

__all__ = ["Unopened"]


class Unopened(Presenter[str]):
    """Shows the address until it is dismissed."""

    def __init__(self, context: Context, address: str) -> None:
        super().__init__(context.bridge, address)
        self._context = context

    def dismiss(self) -> None:
        """Close the dialog."""
        self._context.overlays.dismiss(self)
