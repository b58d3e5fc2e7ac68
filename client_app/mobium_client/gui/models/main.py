"""The main screen: who one is, the list, the conversation that is open, and the pane beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mobium.client import Channel
from mobium_client.gui.models.channel_pane import ChannelPane
from mobium_client.gui.models.connection import ConnectionDialog
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.conversation import Conversation
from mobium_client.gui.models.conversations import Conversations, Row
from mobium_client.gui.models.join_channel import JoinChannel
from mobium_client.gui.models.new_channel import NewChannel
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.settings_dialog import Section, SettingsDialog
from mobium_client.gui.models.status import Status
from mobium_client.gui.models.talk import HeadActions, Talk
from mobium_client.plain import one_line

__all__ = ["Main", "MainState"]


@dataclass(frozen=True, slots=True)
class MainState:
    """`pane` is the presenter of what stands on the right, None while it is folded."""

    conversation: Conversation | None = None
    pane: Presenter[Any] | None = None


class Main(Presenter[MainState]):
    """What is shown while a profile is open."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened.context.bridge, MainState())
        self.opened = opened
        self.status = Status(opened)
        self.list = Conversations(opened, self.open)
        self.talk = Talk(opened)
        self._until_closed(self.status.close)
        self._until_closed(self.list.close)
        self._until_closed(self.talk.close)

    def open(self, row: Row) -> None:
        """Open a conversation in the middle; the pane of the one before goes."""
        before = self.state.conversation
        if before is not None and before.state.target == row.target:
            return
        about = self.about_channel if row.kind == "channel" else None
        actions = HeadActions(self.talk, row.target, row.title, about)
        opened = Conversation(self.opened, row.target, row.kind, row.title, row.key, actions)
        self.fold()
        self.talk.voice.look_away()
        self._show(replace(self.state, conversation=opened))
        self.list.select(row.target)
        if before is not None:
            before.close()

    def unfold(self, pane: Presenter[Any]) -> None:
        """Show something on the right."""
        before = self.state.pane
        self._show(replace(self.state, pane=pane))
        if before is not None:
            before.close()

    def fold(self) -> None:
        """Show nothing on the right."""
        before = self.state.pane
        self._show(replace(self.state, pane=None))
        if before is not None:
            before.close()

    def show_connection(self) -> None:
        """Lay the connection dialog over everything."""
        if not self.opened.context.overlays.state:
            self.opened.context.overlays.open(ConnectionDialog(self.opened, self.status))

    def show_settings(self, section: Section = "profile") -> None:
        """Lay the settings over everything."""
        if not self.opened.context.overlays.state:
            self.opened.context.overlays.open(SettingsDialog(self.opened, self.status, section))

    # ------------------------------------------------------------ channels

    def new_channel(self) -> None:
        """Ask for a channel to be made."""
        self.opened.context.overlays.open(NewChannel(self.opened, self._came_in))

    def join_channel(self, link: str = "") -> None:
        """Ask for an invite link, which somebody may have clicked already."""
        self.opened.context.overlays.open(JoinChannel(self.opened, self._came_in, link))

    def about_channel(self) -> None:
        """Show the pane of the channel that is open, or fold it."""
        open_one = self.state.conversation
        if isinstance(self.state.pane, ChannelPane):
            self.fold()
        elif open_one is not None and open_one.state.kind == "channel":
            self.unfold(ChannelPane(self.opened, open_one.state.key, open_one.state.title, self))

    def write_to(self, key: str, name: str) -> None:
        """Open the conversation with a person."""
        self.open(Row(key, "person", name, key))

    def gone(self, channel: str) -> None:
        """A channel was forgotten, so nothing of it can be shown."""
        before = self.state.conversation
        if before is not None and before.state.key == channel:
            self.fold()
            self._show(replace(self.state, conversation=None))
            self.list.select(None)
            before.close()
        self.list.refresh()

    def _came_in(self, channel: Channel) -> None:
        self.list.refresh()
        self.open(Row(f"#{channel.id}", "channel", one_line(channel.label), channel.id))

    def lock(self) -> None:
        """Wipe the keys and show the unlock screen."""
        self.opened.lock()

    def close(self) -> None:
        """The end of this screen and of everything on it."""
        for one in (self.state.conversation, self.state.pane):
            if one is not None:
                one.close()
        super().close()
