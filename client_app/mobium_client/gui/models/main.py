"""The main screen: who one is, the list, the conversation that is open, and the pane beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mobium_client.gui.models.connection import ConnectionDialog
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.conversation import Conversation
from mobium_client.gui.models.conversations import Conversations, Row
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.settings_dialog import Section, SettingsDialog
from mobium_client.gui.models.status import Status

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
        self._until_closed(self.status.close)
        self._until_closed(self.list.close)

    def open(self, row: Row) -> None:
        """Open a conversation in the middle; the pane of the one before goes."""
        before = self.state.conversation
        if before is not None and before.state.target == row.target:
            return
        opened = Conversation(self.opened, row.target, row.kind, row.title, row.key)
        self.fold()
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

    def lock(self) -> None:
        """Wipe the keys and show the unlock screen."""
        self.opened.lock()

    def close(self) -> None:
        """The end of this screen and of everything on it."""
        for one in (self.state.conversation, self.state.pane):
            if one is not None:
                one.close()
        super().close()
