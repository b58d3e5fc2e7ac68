"""The unlock screen."""

from __future__ import annotations

from mobium_client.gui.models.unlock import Unlock
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.sheet import Sheet

__all__ = ["UnlockView"]


class UnlockView(View[Unlock]):
    """Asks for a password."""

    def _build(self) -> None:
        self._tries = 0
        self._closed = True
        name = self.presenter.state.profile
        sheet = Sheet(self, self.kit, "Welcome back", f"The profile “{name}” is locked.", "lock_outline", 400)
        body = sheet.inside
        self.password = Field(
            body, self.kit, "Password", secret=True, done=lambda _: self._open(), width=sheet.room
        )
        self.password.pack(fill="x")
        self._said = Sentence(body, self.kit, sheet.room)
        self._said.pack(fill="x", pady=(8, 0))
        self.button = Button(body, self.kit, "Unlock", self._open, look="primary")
        self.button.pack(fill="x", pady=(16, 0))
        if self.presenter.state.others:
            Button(body, self.kit, "Another profile", self.presenter.choose_another, look="plain").pack(
                fill="x", pady=(8, 0)
            )
        sheet.adopt()

    def render(self) -> None:
        """Show how it went."""
        state = self.presenter.state
        waiting = state.busy or state.locking
        self.password.enable(enabled=not waiting)
        words = "Locking …" if state.locking else "Unlocking …" if state.busy else "Unlock"
        self.button.change(text=words, enabled=not waiting)
        if state.tries != self._tries or (self._closed and not waiting):
            self._tries = state.tries
            self._closed = False
            self.soon(self.password, self.password.select)
        self._said.say(state.problem or state.notice, "danger" if state.problem else "muted")

    def destroy(self) -> None:
        """The typed password goes with the screen."""
        self.password.enable(enabled=True)
        self.password.clear()
        super().destroy()

    def _open(self) -> None:
        self.presenter.open(self.password.text)
