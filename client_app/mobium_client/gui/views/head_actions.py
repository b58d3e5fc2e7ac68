"""Buttons in the head of a conversation: a call, or the voice room of a channel; and whom it is with."""

from __future__ import annotations

from mobium_client.gui.models.talk import HeadActions
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.hint import Hint

__all__ = ["HeadActionsView"]


class HeadActionsView(View[HeadActions]):
    """Draws them side by side."""

    def _build(self) -> None:
        presenter, muted = self.presenter, self.kit.theme.colors.muted
        if presenter.channel:
            self.voice = Button(self, self.kit, "Voice", presenter.enter, icon="headphones")
            self.voice.pack(side="left")
        else:
            self.call = Button(self, self.kit, "Call", presenter.call, icon="phone_outline")
            self.call.pack(side="left")
        self.about = Button(
            self, self.kit, "", presenter.about, look="plain", icon="information_outline", tone=muted
        )
        self.about.pack(side="left", padx=(8, 0))
        Hint(self.about, self.kit, "About this channel" if presenter.channel else "About this contact")

    def _connect(self) -> None:
        if self.presenter.channel:
            self.follow(self.presenter.talk.voice, self._render_voice)
        else:
            self.follow(self.presenter.talk.calling, self._render_call)

    def _render_voice(self) -> None:
        if self.presenter.inside:
            self.voice.change(text="Leave voice", icon="phone_hangup_outline")
        else:
            others = self.presenter.others
            self.voice.change(text=f"Voice · {others}" if others else "Voice", icon="headphones")

    def _render_call(self) -> None:
        self.call.change(enabled=not self.presenter.talk.calling.state.going)
