"""The call as a bar over the conversation, and the calls that were missed."""

from __future__ import annotations

import customtkinter as ctk

from mobium_client.gui.models.calling import Calling, CallingState, MissedCall
from mobium_client.gui.models.talk import Talk
from mobium_client.gui.view import Kit, View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.hint import Hint
from mobium_client.gui.widgets.rule import Rule

__all__ = ["CallBar"]


class CallBar(View[Calling]):
    """Shown while there is something to show; `talk` knows whether the call is a dialog."""

    def __init__(self, parent: object, kit: Kit, talk: Talk) -> None:
        self._talk = talk
        super().__init__(parent, kit, talk.calling, kit.theme.colors.raised)

    def _build(self) -> None:
        theme, calling = self.kit.theme, self.presenter
        colors = theme.colors
        self.call = ctk.CTkFrame(self, fg_color="transparent")
        self._icon = ctk.CTkLabel(self.call, text="", image=self.kit.icons.image("phone", 18, colors.good))
        self._icon.pack(side="left", padx=(20, 8), pady=6)
        self._words = ctk.CTkLabel(
            self.call, text="", font=theme.font("body"), text_color=colors.text, anchor="w"
        )
        self.hang_up = Button(
            self.call, self.kit, "Hang up", calling.hang_up, look="danger", icon="phone_hangup"
        )
        self.close = Button(self.call, self.kit, "Close", calling.forget)
        self.answer = Button(self.call, self.kit, "Answer", calling.answer, look="primary", icon="phone")
        self.mute = Button(self.call, self.kit, "", calling.mute, look="plain", icon="microphone")
        self.enlarge = Button(
            self.call, self.kit, "", self._talk.enlarge, look="plain", icon="arrow_expand", tone=colors.muted
        )
        Hint(self.mute, self.kit, "Mute, or speak again")
        Hint(self.enlarge, self.kit, "Show the call")
        self._words.pack(side="left", fill="x", expand=True)
        self._shown: tuple[Button, ...] = ()
        self.missed = ctk.CTkFrame(self, fg_color="transparent")
        ctk.CTkLabel(
            self.missed, text="", image=self.kit.icons.image("phone_missed", 18, colors.danger)
        ).pack(side="left", padx=(20, 8), pady=6)
        self._whom = ctk.CTkLabel(
            self.missed, text="", font=theme.font("body"), text_color=colors.text, anchor="w"
        )
        self.seen = Button(
            self.missed, self.kit, "", calling.forget_missed, look="plain", icon="close", tone=colors.muted
        )
        self.seen.pack(side="right", padx=(4, 12), pady=6)
        Hint(self.seen, self.kit, "Do not show it any more")
        self.back = Button(self.missed, self.kit, "Call back", self._call_back, icon="phone_outline")
        self.back.pack(side="right", pady=6)
        self._whom.pack(side="left", fill="x", expand=True)
        Rule(self, self.kit).pack(side="bottom", fill="x")

    def _connect(self) -> None:
        self.follow(self._talk, self.render)

    def render(self) -> None:
        """Show the call, and whom one has missed."""
        state = self.presenter.state
        shrunk = not self._talk.state.large and state.phase != "none"
        if shrunk:
            over = state.phase == "ended"
            how = (state.reason or state.words) if over else (state.clock or state.words)
            self._words.configure(text=_short(f"{state.name} · {how}"))
            self.hang_up.change(text="Decline" if state.phase == "incoming" else "Hang up")
            self.mute.change(icon="microphone_off" if state.muted else "microphone")
            self._offer(state)
            self.call.pack(fill="x")
        else:
            self.call.pack_forget()
        if state.missed:
            self._whom.configure(text=_short(_words(state.missed)))
            self.back.change(enabled=not state.going)
            self.missed.pack(fill="x")
        else:
            self.missed.pack_forget()
        if shrunk or state.missed:
            self.grid()
        else:
            self.grid_remove()

    def _offer(self, state: CallingState) -> None:
        """The buttons, from the right; packed again only if they are others, as the clock draws all anew."""
        if state.phase == "ended":
            shown: tuple[Button, ...] = (self.close,)
        elif state.phase == "incoming":
            shown = (self.hang_up, self.enlarge, self.answer)
        else:
            shown = (self.hang_up, self.enlarge, *([self.mute] if state.talking else []))
        if shown != self._shown:
            for button in self._shown:
                button.pack_forget()
            for place, button in enumerate(shown):
                button.pack(side="right", padx=0 if place else (4, 12), pady=6, before=self._words)
            self._shown = shown

    def _call_back(self) -> None:
        last = self.presenter.state.missed[-1]
        self.presenter.forget_missed()
        self.presenter.call(last.peer, last.name)


def _words(missed: tuple[MissedCall, ...]) -> str:
    last = missed[-1]
    others = f", and {len(missed) - 1} more" if len(missed) > 1 else ""
    return f"Missed at {last.time}, {last.why}: {last.name}{others}"


def _short(text: str) -> str:
    return text if len(text) <= 90 else f"{text[:89]}…"
