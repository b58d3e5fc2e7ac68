"""One's part in a voice room as a bar over the conversation."""

from __future__ import annotations

import customtkinter as ctk

from mobium_client.gui.models.voice_bar import VoiceBar
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.hint import Hint
from mobium_client.gui.widgets.rule import Rule
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.sizes import ScreenButton
from mobium_client.gui.widgets.speakers import SpeakerChip, VolumeRow

__all__ = ["VoiceBarView"]

_MOST = 12  # people that are drawn at most; the rest is a number
_NARROW = 620  # pixels; below that the buttons have no words
_REST = 90  # pixels for that number
_SIDE = 16  # pixels beside the people


class VoiceBarView(View[VoiceBar]):
    """Who is in, who speaks, and what one can do there."""

    def _build(self) -> None:
        theme, bar = self.kit.theme, self.presenter
        self.chosen = ""
        self._inside: bool | None = None
        self._wide = 0
        self._narrow = False
        colors = theme.colors
        self.configure(fg_color=colors.raised)
        top = ctk.CTkFrame(self, fg_color="transparent")
        top.pack(fill="x", padx=(20, 12), pady=(6, 0))
        ctk.CTkLabel(top, text="", image=self.kit.icons.image("headphones", 18, colors.accent)).pack(
            side="left", padx=(0, 8)
        )
        self._label = ctk.CTkLabel(
            top, text="", font=theme.font("strong"), text_color=colors.text, anchor="w"
        )
        self.leave = Button(top, self.kit, "Leave", bar.leave, look="danger", icon="phone_hangup_outline")
        self.leave.pack(side="right")
        self.dismiss = Button(top, self.kit, "", bar.forget, look="plain", icon="close", tone=colors.muted)
        Hint(self.dismiss, self.kit, "Do not show it any more")
        self.screen = ScreenButton(top, self.kit, bar.share, bar.stop_sharing)
        self.screen.pack(side="right", padx=4)
        self.deafen = Button(top, self.kit, "Deafen", bar.deafen, look="plain", icon="volume_high")
        self.deafen.pack(side="right")
        self.mute = Button(top, self.kit, "Mute", bar.mute, look="plain", icon="microphone")
        self.mute.pack(side="right", padx=4)
        Hint(self.mute, self.kit, "Mute, or speak again")
        Hint(self.deafen, self.kit, "Hear nothing and say nothing, or hear again")
        self._people = ctk.CTkFrame(self, fg_color="transparent")
        self.chips: list[SpeakerChip] = []
        self._more = ctk.CTkLabel(self._people, text="", font=theme.font("small"), text_color=colors.muted)
        self.volume = VolumeRow(self, self.kit, self.presenter.set_volume)
        self._said = Sentence(self, self.kit)
        self._said.pack(fill="x", padx=20)
        Rule(self, self.kit).pack(side="bottom", fill="x")

    def _connect(self) -> None:
        self.bind("<Configure>", lambda event: self._resized(event.width), add=True)

    def render(self) -> None:
        """Show the room."""
        state = self.presenter.state
        inside = state.phase != "out"
        if not inside and not state.problem:
            self.grid_remove()
            return
        words = "entering …" if state.phase == "joining" else "voice"
        self._label.configure(text=f"{state.label[:40]} · {words}")
        self._render_buttons(inside)
        self.leave.change(text=self._words("Leave"))
        self.mute.change(
            text=self._words("Unmute" if state.muted else "Mute"),
            icon="microphone_off" if state.muted else "microphone",
            enabled=not state.held,
        )
        self.deafen.change(
            text=self._words("Hear again" if state.deafened else "Deafen"),
            icon="volume_off" if state.deafened else "volume_high",
            enabled=not state.held,
        )
        self.screen.show(state.sharing, enabled=state.phase == "in", narrow=self._narrow)
        self._render_people()
        self._said.say(state.problem or state.said, "danger" if state.problem else "muted")
        self.grid()

    def _words(self, text: str) -> str:
        return "" if self._narrow else text

    def _render_buttons(self, inside: bool) -> None:
        if inside is self._inside:
            return
        self._inside = inside
        for button in (self.leave, self.screen, self.deafen, self.mute, self.dismiss):
            button.pack_forget()
        if inside:
            self.leave.pack(side="right")
            self.screen.pack(side="right", padx=4)
            self.deafen.pack(side="right")
            self.mute.pack(side="right", padx=4)
        else:
            self.dismiss.pack(side="right")
        self._label.pack_forget()
        self._label.pack(side="left")  # last: where there is little room, the buttons have it

    def _render_people(self) -> None:
        """As many as there is room for: those first who speak or show a screen."""
        speakers = self.presenter.state.speakers
        if speakers:
            self._people.pack(fill="x", padx=_SIDE, pady=(2, 6), before=self._said)
        else:  # a frame that was emptied is as high as it was
            self._people.pack_forget()
        loud = sorted(speakers, key=lambda one: not (one.me or one.speaking or one.screen))[:_MOST]
        wanted = [one for one in speakers if one in loud]
        while len(self.chips) < len(wanted):
            self.chips.append(SpeakerChip(self._people, self.kit, self.choose, self.presenter.look))
        for chip in self.chips:
            chip.pack_forget()
        for chip, speaker in zip(self.chips, wanted, strict=False):
            chip.show(speaker)
        self.update_idletasks()
        px = self.kit.theme.raw
        room = self.winfo_width() - 2 * px(_SIDE) - px(self.kit.theme.grown(_REST))
        fit = 0
        while fit < len(wanted) and (not fit or room >= self.chips[fit].winfo_reqwidth()):
            room -= self.chips[fit].winfo_reqwidth() + px(4)
            fit += 1
        for chip in self.chips[:fit]:
            chip.pack(side="left", padx=(0, 4))
        self._more.pack_forget()
        if len(speakers) > fit:
            self._more.configure(text=f"and {len(speakers) - fit} more")
            self._more.pack(side="left", padx=8)
        chosen = next((one for one in speakers if one.key == self.chosen and not one.me), None)
        self.volume.show(chosen)

    def _resized(self, width: int) -> None:
        if width != self._wide:
            self._wide = width
            narrow = width < self.kit.theme.raw(self.kit.theme.grown(_NARROW) + 2 * _SIDE)
            if narrow is not self._narrow:
                self._narrow = narrow
                self.render()
            else:
                self._render_people()

    def choose(self, key: str) -> None:
        """Show the volume of somebody, or no one's."""
        self.chosen = "" if key == self.chosen else key
        self._render_people()
        if self.chosen:
            self.volume.focus_set()
