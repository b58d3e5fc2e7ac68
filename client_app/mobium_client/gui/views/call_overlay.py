"""The call over everything: who it is, how it is, what can be done, and the screen of the other side."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.call_overlay import CallOverlay
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.hint import Hint
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.sizes import ScreenButton

__all__ = ["CallOverlayView"]

_PICTURE = 96
_WIDE = 440


class CallOverlayView(View[CallOverlay]):
    """Draws a call: in the middle, or below the screen that is shown."""

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        self._stage = ctk.CTkFrame(self, corner_radius=0, fg_color=colors.base)
        self._screen: tuple[Any, Any] = (None, None)
        self._alone: bool | None = None
        self.small = Button(
            self, self.kit, "", self.presenter.shrink, look="plain", icon="arrow_collapse", tone=colors.muted
        )
        Hint(self.small, self.kit, "Show it as a bar (Escape)")
        self._middle = ctk.CTkFrame(self, fg_color="transparent")
        self._picture = ctk.CTkLabel(self._middle, text="")
        self._picture.pack()
        self._who = ctk.CTkLabel(
            self._middle, text="", font=theme.font("display"), text_color=colors.text, wraplength=_WIDE
        )
        self._who.pack(pady=(16, 0))
        self._words = ctk.CTkLabel(self._middle, text="", font=theme.font("title"), text_color=colors.muted)
        self._words.pack(pady=(4, 0))
        self._way = ctk.CTkLabel(
            self._middle, text="", font=theme.font("small"), text_color=colors.muted, wraplength=_WIDE
        )
        self._way.pack(pady=(8, 0))
        self._said = Sentence(self._middle, self.kit)
        self._said.pack(pady=(12, 0))
        self._rows = ctk.CTkFrame(self._middle, fg_color="transparent")
        self._rows.pack(pady=(16, 0))
        self._build_buttons()

    def _build_buttons(self) -> None:
        calling, rows, kit = self.presenter.calling, self._rows, self.kit
        self.answer = Button(rows, kit, "Answer", calling.answer, look="primary", icon="phone", width=140)
        self.decline = Button(
            rows, kit, "Decline", calling.decline, look="danger", icon="phone_hangup", width=140
        )
        self.mute = Button(rows, kit, "Mute", calling.mute, icon="microphone")
        self.screen = ScreenButton(rows, kit, calling.share, calling.stop_sharing)
        self.hang_up = Button(rows, kit, "Hang up", calling.hang_up, look="danger", icon="phone_hangup")
        self.again = Button(rows, kit, "Call again", self._again, icon="phone")
        self.done = Button(rows, kit, "Close", self.presenter.shrink, look="primary", width=140)
        self._buttons = (
            self.answer, self.decline, self.mute, self.screen, self.hang_up, self.again, self.done,
        )  # fmt: skip
        self._shown: tuple[Any, ...] = ()

    def _connect(self) -> None:
        self.follow(self.presenter.calling, self.render)

    def render(self) -> None:
        """Show how the call is."""
        state = self.presenter.calling.state
        self._picture.configure(image=self.kit.avatars.image(state.peer, self.kit.theme.grown(_PICTURE)))
        self._who.configure(text=state.name if len(state.name) <= 60 else f"{state.name[:59]}…")
        self._words.configure(text=state.clock if state.phase == "active" else state.words)
        if state.way and state.going:
            self._way.configure(text=state.way)
            self._way.pack(pady=(8, 0), after=self._words)
        else:
            self._way.pack_forget()
        self._say()
        self._render_buttons()
        self._render_screen()

    def destroy(self) -> None:
        """The dialog goes."""
        super().destroy()

    def _say(self) -> None:
        state = self.presenter.calling.state
        if state.problem or state.phase == "ended":
            self._said.say(state.problem or state.reason, "danger")
        else:
            self._said.say(state.said, "muted")

    def _render_buttons(self) -> None:
        state = self.presenter.calling.state
        if state.phase == "incoming":
            shown: tuple[Any, ...] = (self.answer, self.decline)
        elif state.phase == "ended":
            shown = (self.again, self.done)
        elif state.talking:
            shown = (self.mute, self.screen, self.hang_up)
        else:
            shown = (self.hang_up,)
        if shown != self._shown:
            self._shown = shown
            for button in self._buttons:
                button.pack_forget()
            for button in shown:
                button.pack(side="left", padx=6)
            # whoever is typing when somebody calls answers nothing by it, nor hangs up
            (self.done if state.phase == "ended" else self).focus_set()
        self.answer.change(text="Answering …" if state.busy else "Answer", enabled=not state.busy)
        self.mute.change(
            text="Speak again" if state.muted else "Mute",
            icon="microphone_off" if state.muted else "microphone",
        )
        self.screen.show(state.sharing)

    def _render_screen(self) -> None:
        """The screen of the other side on top, the call below it; or the call alone in the middle."""
        pane = self.presenter.calling.screen
        before, view = self._screen
        if pane is not before:
            if view is not None:
                view.destroy()
            made = None if pane is None else self.kit.make(self._stage, pane)
            if made is not None:
                made.pack(fill="both", expand=True)
            self._screen = (pane, made)
        if (pane is None) is self._alone:
            return
        self._alone = pane is None
        if pane is None:
            self._stage.pack_forget()
            self._middle.pack_forget()
            self._picture.pack(before=self._who)
            self._middle.place(relx=0.5, rely=0.46, anchor="center")
        else:
            self._picture.pack_forget()
            self._middle.place_forget()
            self._middle.pack(side="bottom", pady=12)
            self._stage.pack(fill="both", expand=True)
        self.small.place(relx=1.0, x=-8, y=4, anchor="ne")
        self.small.lift()

    def _again(self) -> None:
        calling = self.presenter.calling
        calling.call(calling.state.peer, calling.state.name)
