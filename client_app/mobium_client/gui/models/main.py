"""The main screen: who one is, the list, the conversation that is open, and the pane beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mobium.client import Channel
from mobium_client.gui.models.channel_pane import ChannelPane
from mobium_client.gui.models.connection import ConnectionDialog
from mobium_client.gui.models.contact import ContactPane
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.conversation import Conversation
from mobium_client.gui.models.conversations import Conversations, Row
from mobium_client.gui.models.day import Day
from mobium_client.gui.models.first_steps import FirstSteps
from mobium_client.gui.models.join_channel import JoinChannel
from mobium_client.gui.models.new_channel import NewChannel
from mobium_client.gui.models.new_message import NewMessage
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.search import Search
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
        self.steps = FirstSteps(opened)
        self._until_closed(self.steps.close)
        self.list = Conversations(opened, self.open)
        self.talk = Talk(opened)
        self.search = Search(opened, self.list, self._found)
        self._day = Day(opened.context)
        self._covered = False
        for one in (self.status, self.list, self.talk, self.search, self._day):
            self._until_closed(one.close)
        self._until_closed(self.list.watch(self._retitle))
        self._until_closed(self.talk.watch(self._seen))
        self._until_closed(self._day.watch(self._changed))

    # ------------------------------------------------------------ people

    def new_message(self) -> None:
        """Ask whom to write to."""
        if not self.opened.context.overlays.state:
            self.opened.context.overlays.open(NewMessage(self.opened, self.write_to))

    def write_to(self, key: str, name: str) -> None:
        """Open the conversation with somebody, who need not be in the list yet."""
        known = [row for row in self.list.state.rows if row.target == key]
        self.open(known[0] if known else Row(key, "person", name, key))
        self.list.refresh()

    def about_contact(self) -> None:
        """Show the pane of the contact whose conversation is open, or fold it."""
        conversation = self.state.conversation
        if isinstance(self.state.pane, ContactPane):
            self.fold()
        elif conversation is not None and conversation.state.kind == "person":
            self.unfold(ContactPane(self.opened, conversation.state.target, self._changed, self.fold))

    # ------------------------------------------------------------ what is open

    def open(self, row: Row) -> None:
        """Open a conversation in the middle; the pane of the one before goes."""
        before = self.state.conversation
        if before is not None and before.state.target == row.target:
            return
        about = self.about_channel if row.kind == "channel" else self.about_contact
        opened = Conversation(
            self.opened, row.target, row.kind, row.title, row.key,
            HeadActions(self.talk, row.target, row.title, about),
            unread=row.unread, changed=self.list.refresh, gone=self.leave, about=about,
            join=self.join_channel, hidden=lambda: self.hidden,
        )  # fmt: skip
        self._fold()
        self.talk.voice.look_away()
        self._show(replace(self.state, conversation=opened))
        self.list.select(row.target)
        if before is not None:
            before.close()
            self.list.refresh()  # its draft

    def show(self, target: str) -> None:
        """Open the conversation with a key (hex), or of a channel by what it is called, if there is one."""
        for row in self.list.state.rows:
            if target == row.target or (row.kind == "channel" and row.title == one_line(target)):
                self.open(row)
                return

    @property
    def hidden(self) -> bool:
        """Whether something stands in the place of the conversation: a shared screen, or the pane."""
        return self.talk.state.stage is not None or (self._covered and self.state.pane is not None)

    def cover(self, covered: bool) -> None:
        """Whether there is no room for the conversation beside a pane."""
        self._covered = covered
        self._seen()

    def leave(self) -> None:
        """Show no conversation."""
        before = self.state.conversation
        self._fold()
        self._show(replace(self.state, conversation=None))
        self.list.select(None)
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
        self._fold()
        self._seen()

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
        self.opened.context.overlays.open(NewChannel(self.opened, self._made))

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

    def gone(self, channel: str) -> None:
        """A channel was forgotten, so nothing of it can be shown."""
        before = self.state.conversation
        if before is not None and before.state.key == channel:
            self.leave()
        self.list.refresh()

    def _made(self, channel: Channel) -> None:
        """Nobody else is in it yet: the pane has the way to invite."""
        self._came_in(channel)
        self.about_channel()

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

    def _fold(self) -> None:
        before = self.state.pane
        self._show(replace(self.state, pane=None))
        if before is not None:
            before.close()

    def _found(self, row: Row, position: int | None) -> None:
        self.open(row)
        if position is not None and self.state.conversation is not None:
            self.state.conversation.reveal(position)

    def _changed(self) -> None:
        """Something that no event tells, of the open conversation too."""
        self.list.refresh()
        if self.state.conversation is not None:
            self.state.conversation.refresh()

    def _seen(self) -> None:
        """What stood in place of the conversation is gone, perhaps."""
        if self.state.conversation is not None:
            self.state.conversation.note_read()

    def _retitle(self) -> None:
        conversation = self.state.conversation
        if conversation is not None:
            for row in self.list.state.rows:
                if row.target == conversation.state.target:
                    conversation.retitle(row.title)
