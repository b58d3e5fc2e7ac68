"""Calls and voice rooms of an open profile, and where they are shown: one call, one room, one pair of ears.

Not its concern: what a call is (`mobium_client.gui.models.calling`) and a room
(`mobium_client.gui.models.voice_bar`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mobium_client.gui.models.call_overlay import CallOverlay
from mobium_client.gui.models.calling import Calling
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.screen_pane import ScreenPane
from mobium_client.gui.models.sound import Sound
from mobium_client.gui.models.voice_bar import VoiceBar

__all__ = ["HeadActions", "Talk", "TalkState"]


@dataclass(frozen=True, slots=True)
class TalkState:
    """`stage` is the pane of a screen that stands in the middle, in place of the conversation; `large` says
    that the call is a dialog now.
    """

    stage: ScreenPane | None = None
    large: bool = False


class Talk(Presenter[TalkState]):
    """What one talks in."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened.context.bridge, TalkState())
        self._overlays = opened.context.overlays
        self.sound = Sound(opened)
        self.calling = Calling(opened, self.sound)
        self.voice = VoiceBar(opened, self.sound, self.calling, self._stage)
        self._overlay: CallOverlay | None = None
        self._before = self.calling.state.phase
        self.calling.watch(self._follow)
        for one in (self.voice, self.calling, self.sound):
            self._until_closed(one.close)

    @property
    def busy(self) -> bool:
        """Whether somebody talks here, so that idling is no reason to lock."""
        return self.calling.state.going or self.voice.state.phase != "out"

    def enlarge(self) -> None:
        """Show the call as a dialog."""
        if self._overlay is None and self.calling.state.phase != "none":
            self._overlay = CallOverlay(self.calling, self.shrink, self._gone)
            self._overlays.open(self._overlay)
            self._show(replace(self.state, large=True))

    def shrink(self) -> None:
        """Show the call as a bar; one that is over is not shown any more."""
        if self._overlay is not None:
            self._overlays.dismiss(self._overlay)

    def close(self) -> None:
        """The profile is locked."""
        if (pane := self.state.stage) is not None:
            pane.close()
        super().close()

    def _gone(self) -> None:
        self._overlay = None
        self._show(replace(self.state, large=False))
        if self.calling.state.phase == "ended":
            self.calling.forget()

    def _follow(self) -> None:
        before, self._before = self._before, self.calling.state.phase
        if before == self._before:
            return
        if before in {"none", "ended"} and self.calling.state.going:
            self.enlarge()
        elif self._before == "none":
            self.shrink()

    def _stage(self, pane: ScreenPane | None) -> None:
        before = self.state.stage
        self._show(replace(self.state, stage=pane))
        if before is not None:
            before.close()


class HeadActions(Presenter[None]):
    """What the head of a conversation offers besides its title: a call, or the voice room of a channel."""

    def __init__(
        self, talk: Talk, target: str, title: str, about: Callable[[], object] | None = None
    ) -> None:
        """`target` is what the engine takes for the conversation; `about` unfolds the pane beside it."""
        super().__init__(talk.bridge, None)
        self.talk = talk
        self.channel = target.removeprefix("#") if target.startswith("#") else ""
        self._target = target
        self._title = title
        self._about = about

    @property
    def others(self) -> int:
        """How many are in the channel's voice room."""
        return self.talk.voice.state.others_in(self.channel)

    @property
    def inside(self) -> bool:
        """Whether one is in the channel's voice room, or about to be."""
        state = self.talk.voice.state
        return state.channel == self.channel and state.phase != "out"

    def call(self) -> None:
        """Call the contact."""
        self.talk.calling.call(self._target, self._title)

    def enter(self) -> None:
        """Enter the channel's voice room, or leave it."""
        if self.inside:
            self.talk.voice.leave()
        else:
            self.talk.voice.enter(self.channel, self._title)

    def about(self) -> None:
        """Show or fold the pane beside it."""
        if self._about is not None:
            self._about()
