"""Which view shows which presenter: screens, dialogs and panes alike.

Whoever adds one adds its line here. Not its concern: when it is shown (`mobium_client.gui.models`).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from mobium_client.gui.models.presenter import Presenter

__all__ = ["VIEWS", "view_of"]

VIEWS: Final[dict[str, str]] = {
    "first_run:FirstRun": "first_run:FirstRunView",
    "confirm_words:ConfirmWords": "confirm_words:ConfirmWordsView",
    "choose_server:ChooseServer": "choose_server:ChooseServerView",
    "connection:ConnectionDialog": "connection:ConnectionView",
    "settings_dialog:SettingsDialog": "settings_dialog:SettingsView",
    "help:Help": "help:HelpView",
    "unopened:Unopened": "unopened:UnopenedView",
    "picker:Picker": "picker:PickerView",
    "unlock:Unlock": "unlock:UnlockView",
    "main:Main": "main:MainView",
    "contact:ContactPane": "contact:ContactView",
    "new_message:NewMessage": "new_message:NewMessageView",
    "conversation:Conversation": "conversation:ConversationView",
    "talk:HeadActions": "head_actions:HeadActionsView",
    "channel_pane:ChannelPane": "channel_pane:ChannelPaneView",
    "new_channel:NewChannel": "new_channel:NewChannelView",
    "join_channel:JoinChannel": "join_channel:JoinChannelView",
    "invites:Invites": "invites:InvitesView",
    "call_overlay:CallOverlay": "call_overlay:CallOverlayView",
    "voice_bar:VoiceBar": "voice_bar:VoiceBarView",
    "screen_pane:ScreenPane": "screen_pane:ScreenPaneView",
}
"""module:class of `mobium_client.gui.models`, and of `mobium_client.gui.views`, which is imported when it is
used.
"""


def view_of(presenter: Presenter[Any]) -> Any:
    """The class of the view of a presenter. Raises KeyError for one that has none."""
    kind = type(presenter)
    module, _, name = VIEWS[f"{kind.__module__.rpartition('.')[2]}:{kind.__qualname__}"].partition(":")
    return getattr(import_module(f"mobium_client.gui.views.{module}"), name)
