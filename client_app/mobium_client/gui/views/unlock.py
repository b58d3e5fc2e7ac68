"""The unlock screen."""

from __future__ import annotations

from mobium_client.gui.models.unlock import Unlock
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.card import Card
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["UnlockView"]


class UnlockView(View[Unlock]):
    """Asks for a password."""

    def _build(self) -> None:
        self._tries = 0
        name = self.presenter.state.profile
        self._card = Card(self, self.kit, "Welcome back", f"The profile “{name}” is locked.", "lock_outline")
        body = self._card.body
        self.password = Field(body, self.kit, "Password", secret=True, done=lambda _: self._open(), width=400)
        self.password.pack(fill="x")
        self._said = Sentence(body, self.kit)
        self._said.pack(fill="x", pady=(8, 0))
        self.button = Button(body, self.kit, "Unlock", self._open, look="primary")
        self.button.pack(fill="x", pady=(16, 0))
        if self.presenter.state.several:
            Button(body, self.kit, "Another profile", self.presenter.choose_another, look="plain").pack(
                fill="x", pady=(8, 0)
            )

    def _connect(self) -> None:
        self.after(50, self.password.focus_set)

    def render(self) -> None:
        """Show how it went."""
        state = self.presenter.state
        self.password.enable(enabled=not state.busy)
        self.button.change(text="Unlocking …" if state.busy else "Unlock", enabled=not state.busy)
        if state.tries != self._tries:
            self._tries = state.tries
            self.password.clear()
            self.password.focus_set()
        self._said.say(state.problem or state.notice, "danger" if state.problem else "muted")

    def destroy(self) -> None:
        """The screen goes, and the typed password with it."""
        super().destroy()

    def _open(self) -> None:
        self.presenter.open(self.password.text)
