"""What is shown where there is no profile yet."""

from __future__ import annotations

from mobium_client.gui.models.first_run import FirstRun
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.card import Card
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["FirstRunView"]


class FirstRunView(View[FirstRun]):
    """Says how a profile is made."""

    def _build(self) -> None:
        text = "There is no profile on this machine yet. Make one in a terminal: mobium profile create"
        card = Card(self, self.kit, "Welcome to mobium", text, "message_lock_outline")
        said = Sentence(card.body, self.kit)
        said.pack(fill="x")
        said.say(self.presenter.state.problem)
        Button(card.body, self.kit, "Look again", self.presenter.look_again, look="primary", width=400).pack(
            fill="x"
        )
