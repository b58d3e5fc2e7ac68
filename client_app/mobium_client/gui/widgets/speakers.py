"""Somebody in a voice room, and how loud he is heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.voice_bar import Speaker
from mobium_client.gui.view import Kit
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.hint import Hint

__all__ = ["SpeakerChip", "VolumeRow"]

_NAME = 16  # characters that are shown
_STEP = 20  # per cent


class SpeakerChip(ctk.CTkFrame):
    """One in the room: who speaks has another icon, a ground and a bright name. `chosen` and `look` are
    called with the key.
    """

    def __init__(
        self, parent: Any, kit: Kit, chosen: Callable[[str], object], look: Callable[[str], object]
    ) -> None:
        super().__init__(parent, fg_color="transparent")
        self._kit = kit
        self._chosen = chosen
        self._look = look
        self.speaker: Speaker | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        self.name = Button(self, self._kit, " ", self._choose, look="plain")
        self.name.configure(compound="left", height=self._kit.theme.grown(30))
        self.name.pack(side="left")
        self.screen = Button(self, self._kit, "Look", self._see, look="plain", icon="monitor_eye")
        self.screen.configure(height=self._kit.theme.grown(30))

    def _connect(self) -> None:
        """The buttons do it."""

    def show(self, speaker: Speaker) -> None:
        """Be this one."""
        if speaker != self.speaker:
            self.speaker = speaker
            self.render()

    def render(self) -> None:
        """Draw him."""
        one, colors = self.speaker, self._kit.theme.colors
        if one is None:
            return
        color = colors.good if one.speaking else colors.text
        icon = "account_voice" if one.speaking else "account_outline"
        name = one.name if len(one.name) <= _NAME else f"{one.name[: _NAME - 1]}…"
        loud = "" if one.volume == 100 else f" {one.volume} %"
        self.name.configure(
            text=f"{name}{loud}", text_color=color, fg_color=colors.field if one.speaking else "transparent",
            image=self._kit.icons.image(icon, self._kit.theme.grown(18), color),
        )  # fmt: skip
        if one.screen and not one.me:
            self.screen.pack(side="left")
        else:
            self.screen.pack_forget()

    def destroy(self) -> None:
        """He goes."""
        super().destroy()

    def _choose(self) -> None:
        if self.speaker is not None:
            self._chosen(self.speaker.key)

    def _see(self) -> None:
        if self.speaker is not None:
            self._look(self.speaker.key)


class VolumeRow(ctk.CTkFrame):
    """How loud somebody is heard, in steps; `change` is called with the key and the per cent."""

    def __init__(self, parent: Any, kit: Kit, change: Callable[[str, int], object]) -> None:
        super().__init__(parent, fg_color="transparent")
        self._kit = kit
        self._change = change
        self._speaker: Speaker | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        theme = self._kit.theme
        self._words = ctk.CTkLabel(
            self, text="", font=theme.font("body"), text_color=theme.colors.text, anchor="w"
        )
        self._words.pack(side="left", padx=(20, 8))
        self.less = Button(self, self._kit, "", lambda: self._by(-_STEP), icon="volume_minus")
        self.less.pack(side="left")
        self.more = Button(self, self._kit, "", lambda: self._by(_STEP), icon="volume_plus")
        self.more.pack(side="left", padx=4)
        Hint(self.less, self._kit, "Quieter")
        Hint(self.more, self._kit, "Louder")

    def _connect(self) -> None:
        """The buttons do it."""

    def show(self, speaker: Speaker | None) -> None:
        """Be about this one, or gone."""
        self._speaker = speaker
        self.render()

    def render(self) -> None:
        """Say how loud he is."""
        one = self._speaker
        if one is None:
            self.pack_forget()
            return
        name = one.name if len(one.name) <= 40 else f"{one.name[:39]}…"
        self._words.configure(text=f"Volume of {name}: {one.volume} %")
        self.less.change(enabled=one.volume > 0)
        self.more.change(enabled=one.volume < 200)
        self.pack(fill="x", pady=(0, 6))

    def destroy(self) -> None:
        """The row goes."""
        super().destroy()

    def focus_set(self) -> None:
        """Take the focus of the keyboard."""
        self.more.focus_set()

    def _by(self, percent: int) -> None:
        if self._speaker is not None:
            self._change(self._speaker.key, self._speaker.volume + percent)
