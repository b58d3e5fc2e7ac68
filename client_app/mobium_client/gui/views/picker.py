"""The choice of a profile."""

from __future__ import annotations

from mobium_client.gui.models.picker import Picker
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.card import Card

__all__ = ["PickerView"]


class PickerView(View[Picker]):
    """A button for each profile."""

    def _build(self) -> None:
        card = Card(self, self.kit, "Who are you?", "Choose a profile.", "account_multiple_outline")
        for name in self.presenter.state.profiles:
            Button(card.body, self.kit, name, lambda name=name: self.presenter.choose(name), width=400).pack(  # type: ignore[misc]
                fill="x", pady=4
            )
