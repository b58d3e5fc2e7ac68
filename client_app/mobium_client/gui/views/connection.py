"""The connection dialog."""

from __future__ import annotations

from mobium_client.gui.models.connection import ConnectionDialog
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.connection_panel import ConnectionPanel
from mobium_client.gui.widgets.sheet import Sheet

__all__ = ["ConnectionView"]


class ConnectionView(View[ConnectionDialog]):
    """A card with the connection."""

    def _build(self) -> None:
        self._sheet = Sheet(self, self.kit, "Connection")
        inside = self._sheet.inside
        self.panel = ConnectionPanel(
            inside, self.kit, self.presenter, self.kit.theme.colors.raised, self._sheet.room
        )
        self.panel.pack(fill="x")
        self.done = Button(inside, self.kit, "Close", self.presenter.dismiss, look="plain")
        self.done.pack(fill="x", pady=(20, 0))
        self._sheet.adopt()

    def _connect(self) -> None:
        self.soon(self.panel.address, self.panel.address.focus_set)
