"""Two fields for a new password, with its strength below the first.

Not its concern: what the password is for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mobium_client.gui.models.new_password import NewPassword
from mobium_client.gui.view import Kit, View
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.strength_bar import StrengthBar

__all__ = ["NewPasswordFields"]


class NewPasswordFields(View[NewPassword]):
    """Draws the judgement of what is typed; `done` is called on Enter in the second field."""

    def __init__(
        self, parent: Any, kit: Kit, presenter: NewPassword, done: Callable[[], object], width: int
    ) -> None:
        self._done = done
        self._room = width
        super().__init__(parent, kit, presenter, kit.theme.colors.raised)

    def _build(self) -> None:
        kit, room = self.kit, self._room
        self.first = Field(self, kit, "New password", secret=True, changed=self.presenter.type, width=room,
                           done=lambda _: self.second.focus_set())  # fmt: skip
        self.first.pack(fill="x")
        self._bar = StrengthBar(self, kit, room)
        self._bar.pack(fill="x")
        self.second = Field(self, kit, "The same again", secret=True, done=lambda _: self._done(), width=room)
        self.second.pack(fill="x", pady=(12, 0))
        self._said = Sentence(self, kit, room)
        self._said.pack(fill="x", pady=(8, 0))

    def render(self) -> None:
        """Show the judgement."""
        state = self.presenter.state
        self._bar.show(state.score, state.words)
        self._said.say(state.problem)

    def destroy(self) -> None:
        """What was typed goes."""
        self.clear()
        super().destroy()

    def clear(self) -> None:
        """Empty both fields."""
        self.first.clear()
        self.second.clear()

    def focus_set(self) -> None:
        """Begin to type."""
        self.first.focus_set()
