"""What requests do: one function for each type of message, in one file for each subject. Not here: rates and
logins (`mobium_server.hub`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mobium.protocol.messages import (
    AckDeliveries,
    ChannelPost,
    CreateChannel,
    CreateInvite,
    Distribute,
    GetChannels,
    GetHistory,
    GetIceConfig,
    GetInfo,
    GetMembers,
    GetPrekeyBundle,
    GetPrekeyCount,
    JoinChannel,
    JoinVoice,
    LeaveChannel,
    LeaveVoice,
    ListInvites,
    Ping,
    Pong,
    PublishPrekeys,
    RevokeInvite,
    RosterAppend,
    SendMessage,
    SendSignal,
)
from mobium_server.handlers import channels, common, direct, ice, invites, prekeys, voice

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["HANDLERS"]

HANDLERS: dict[type, Callable[[Hub, Session, Any], None]] = {
    AckDeliveries: direct.acknowledge,
    ChannelPost: channels.post,
    CreateChannel: channels.create,
    CreateInvite: invites.create,
    Distribute: channels.distribute,
    GetChannels: channels.channels,
    GetHistory: channels.history,
    GetIceConfig: ice.config,
    GetInfo: common.info,
    GetMembers: channels.members,
    GetPrekeyBundle: prekeys.bundle,
    GetPrekeyCount: prekeys.count,
    JoinChannel: channels.join,
    JoinVoice: voice.join,
    LeaveChannel: channels.leave,
    LeaveVoice: voice.leave,
    ListInvites: invites.listed,
    Ping: common.ping,
    Pong: common.pong,
    PublishPrekeys: prekeys.publish,
    RevokeInvite: invites.revoke,
    RosterAppend: channels.append,
    SendMessage: direct.send,
    SendSignal: voice.signal,
}
