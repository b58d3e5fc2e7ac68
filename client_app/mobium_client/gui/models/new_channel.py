"""The dialog in which a channel is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mobium.client import Channel
from mobium.client.labels import name_key
from mobium.errors import InvalidInput
from mobium_client.gui.models.channel_words import access_words
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter

__all__ = ["NewChannel", "NewChannelState"]


@dataclass(frozen=True, slots=True)
class NewChannelState:
    """`meaning` says what private or open means; `alike` that there is a channel of that name already."""

    private: bool = True
    meaning: str = access_words(private=True)
    busy: bool = False
    problem: str = ""
    alike: str = ""


class NewChannel(Presenter[NewChannelState]):
    """Makes a channel; `made` is called with it."""

    def __init__(self, opened: Opened, made: Callable[[Channel], object]) -> None:
        super().__init__(opened.context.bridge, NewChannelState())
        self._opened = opened
        self._made = made
        self._labels: dict[str, str] = {}
        self._run(opened.engine.channels.list(), self._known)

    def choose(self, *, private: bool) -> None:
        """Private or open."""
        self._show(replace(self.state, private=private, meaning=access_words(private=private), problem=""))

    def name(self, text: str) -> None:
        """The name is being typed."""
        label = self._labels.get(name_key(text.strip().removeprefix("#")), "")
        alike = f"There is {label} already; the two will be told apart by digits." if label else ""
        self._show(replace(self.state, alike=alike, problem=""))

    def create(self, name: str, topic: str) -> None:
        """Make it."""
        if self.state.busy:
            return
        self._show(replace(self.state, busy=True, problem=""))
        self._run(self._create(name, topic, self.state.private), self._finish, self._refused)

    def cancel(self) -> None:
        """Make none."""
        self._opened.context.overlays.dismiss(self)

    async def _create(self, name: str, topic: str, private: bool) -> Channel:
        name = name.strip().removeprefix("#")
        if not name:
            raise InvalidInput("Give the channel a name, such as garden.")
        return await self._opened.engine.create_channel(name, private, topic.strip())

    def _known(self, found: list[Channel]) -> None:
        self._labels = {name_key(channel.name): channel.label for channel in found if channel.name}

    def _finish(self, channel: Channel) -> None:
        self._opened.context.overlays.dismiss(self)
        self._made(channel)

    def _refused(self, problem: str) -> None:
        self._show(replace(self.state, busy=False, problem=problem))
