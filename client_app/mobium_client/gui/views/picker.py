"""The choice of a profile."""

from __future__ import annotations

from mobium_client.gui.models.picker import Picker
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.sheet import Sheet

__all__ = ["PickerView"]

_LONGEST = 40  # characters that fit into a button


class PickerView(View[Picker]):
    """A button for each profile."""

    def _build(self) -> None:
        sheet = Sheet(
            self,
            self.kit,
            "Who are you?",
            "Each profile has a password of its own.",
            "account_multiple_outline",
        )
        self.buttons = [self._button(sheet, name) for name in self.presenter.state.profiles]
        Button(
            sheet.inside, self.kit, "Another profile", self.presenter.make, look="plain", icon="plus"
        ).pack(fill="x", pady=(16, 0))
        sheet.adopt()

    def _connect(self) -> None:
        self.soon(self.buttons[0], self.buttons[0].focus_set)

    def _button(self, sheet: Sheet, name: str) -> Button:
        words = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        button = Button(sheet.inside, self.kit, words, lambda: self.presenter.choose(name))
        button.configure(anchor="w")
        button.pack(fill="x", pady=4)
        return button
