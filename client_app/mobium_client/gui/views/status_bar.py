"""Why there is no connection, as a bar over the conversation, where that is no short break."""

from __future__ import annotations

from collections.abc import Callable

from mobium_client.gui.models.status import Status
from mobium_client.gui.view import Kit, View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.rule import Rule
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["StatusBar"]


class StatusBar(View[Status]):
    """Shown while there is something to say; `look` opens the connection dialog."""

    def __init__(self, parent: object, kit: Kit, presenter: Status, look: Callable[[], object]) -> None:
        self._look = look
        super().__init__(parent, kit, presenter, kit.theme.colors.raised)

    def _build(self) -> None:
        Rule(self, self.kit).pack(side="bottom", fill="x")
        self.button = Button(self, self.kit, "", self._look)
        self.button.pack(side="right", padx=(8, 12), pady=6)
        self.said = Sentence(self, self.kit, 900, fills=True)
        self.said.pack(side="left", fill="x", expand=True, padx=(20, 0), pady=6)

    def render(self) -> None:
        """Show why, and the way to what can be done."""
        state = self.presenter.state
        if not state.lasting:
            self.grid_remove()
            return
        self.said.say(state.lasting, "danger" if state.tone == "off" else "warning")
        self.button.change(text="Compare the keys" if state.key_changed else "Connection")
        self.grid()
