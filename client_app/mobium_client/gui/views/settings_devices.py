"""Settings: microphone and speaker."""

from __future__ import annotations

import customtkinter as ctk

from mobium_client.gui.models.device_settings import DeviceSettings
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.choices import Choices
from mobium_client.gui.widgets.section import Section
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["DevicesSection"]

_DEFAULT = "What the system uses"


class DevicesSection(Section[DeviceSettings]):
    """Draws the devices, a meter and what is missing."""

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        self._problems = [Sentence(self, self.kit, self.room) for _ in range(4)]
        for sentence in self._problems:
            sentence.pack(fill="x", pady=(0, 4))
        self.title("Microphone", first=True)
        self.microphones: Choices[str | None] = Choices(self, self.kit, self.presenter.choose_microphone)
        self.microphones.pack(fill="x")
        row = ctk.CTkFrame(self, fg_color="transparent")
        row.pack(fill="x", pady=(8, 0))
        self.listen = Button(row, self.kit, "Try it", self._listen, icon="microphone_outline")
        self.listen.pack(side="left")
        self.meter = ctk.CTkProgressBar(
            row, height=10, corner_radius=5, fg_color=colors.field, progress_color=colors.good, border_width=0
        )
        self.meter.pack(side="left", fill="x", expand=True, padx=(16, 8))
        self._level = ctk.CTkLabel(
            row, text="", width=theme.grown(56), anchor="e", font=theme.font("small"), text_color=colors.muted
        )
        self._level.pack(side="left")
        self.title("Speaker")
        self.speakers: Choices[str | None] = Choices(self, self.kit, self.presenter.choose_speaker)
        self.speakers.pack(fill="x")
        self.play = Button(self, self.kit, "Play a tone", self.presenter.play, icon="volume_high")
        self.play.pack(anchor="w", pady=(8, 0))
        Button(self, self.kit, "Look again for devices", self.presenter.look, look="plain",
               icon="refresh").pack(anchor="w", pady=(20, 0))  # fmt: skip

    def render(self) -> None:
        """Show how it is."""
        state = self.presenter.state
        said = (state.problem, *state.found.problems) if state.problem else state.found.problems
        for place, sentence in enumerate(self._problems):
            sentence.say(said[place] if place < len(said) else "", "danger")
        self.microphones.show(_options(state.found.microphones, state.microphone), state.microphone)
        self.speakers.show(_options(state.found.speakers, state.speaker), state.speaker)
        words = "Enough" if state.listening else "Try it"
        self.listen.change(text=words, enabled=not state.busy and bool(state.found.microphones))
        self.play.change(enabled=bool(state.found.speakers))
        self.meter.set(state.level / 100)
        colors = self.kit.theme.colors
        self.meter.configure(progress_color=colors.good if state.level else colors.field)
        self._level.configure(text=f"{state.level} %" if state.listening else "")

    def destroy(self) -> None:
        """The section goes, and the microphone with it."""
        self.presenter.stop()
        super().destroy()

    def _listen(self) -> None:
        if self.presenter.state.listening:
            self.presenter.stop()
        else:
            self.presenter.listen()


def _options(names: tuple[str, ...], chosen: str | None) -> list[tuple[str | None, str]]:
    options: list[tuple[str | None, str]] = [(None, _DEFAULT), *((name, name) for name in names)]
    if chosen is not None and chosen not in names:
        options.append((chosen, f"{chosen} (not plugged in)"))
    return options
