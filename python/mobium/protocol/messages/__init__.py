"""The typed messages of the wire: one frozen struct for each type and direction.

A struct's tag is the frame's `type`; a field that holds its default is left out of the frame. Not its
concern: bytes (`mobium.protocol.codec`) and the order in which messages may come
(`mobium.protocol.connection`).
"""

from __future__ import annotations

from mobium.protocol.messages.auth import Auth, AuthChallenge, AuthSuccess, Limits
from mobium.protocol.messages.channels import (
    Appended,
    ChannelHead,
    ChannelMessage,
    ChannelPost,
    Channels,
    ChannelState,
    CreateChannel,
    CreateInvite,
    Distribute,
    Distribution,
    Entry,
    GetChannels,
    GetHistory,
    GetMembers,
    History,
    Invite,
    InviteRow,
    Invites,
    JoinChannel,
    LeaveChannel,
    ListInvites,
    RevokeInvite,
    RosterAppend,
    RosterPage,
)
from mobium.protocol.messages.common import Error, GetInfo, Info, Ping, Pong
from mobium.protocol.messages.direct import Accepted, AckDeliveries, Delivery, NotTaken, SendMessage
from mobium.protocol.messages.ice import GetIceConfig, IceConfig, IceServer
from mobium.protocol.messages.prekeys import (
    GetPrekeyBundle,
    GetPrekeyCount,
    PrekeyBundle,
    PrekeyCount,
    PublishPrekeys,
    WirePrekey,
)
from mobium.protocol.messages.voice import (
    Forwarded,
    JoinVoice,
    LeaveVoice,
    SendSignal,
    Signal,
    Speaker,
    VoiceState,
)

__all__ = [
    "Accepted",
    "AckDeliveries",
    "Appended",
    "Auth",
    "AuthChallenge",
    "AuthSuccess",
    "ChannelHead",
    "ChannelMessage",
    "ChannelPost",
    "ChannelState",
    "Channels",
    "ClientMessage",
    "CreateChannel",
    "CreateInvite",
    "Delivery",
    "Distribute",
    "Distribution",
    "Entry",
    "Error",
    "Forwarded",
    "GetChannels",
    "GetHistory",
    "GetIceConfig",
    "GetInfo",
    "GetMembers",
    "GetPrekeyBundle",
    "GetPrekeyCount",
    "History",
    "IceConfig",
    "IceServer",
    "Info",
    "Invite",
    "InviteRow",
    "Invites",
    "JoinChannel",
    "JoinVoice",
    "LeaveChannel",
    "LeaveVoice",
    "Limits",
    "ListInvites",
    "NotTaken",
    "Ping",
    "Pong",
    "PrekeyBundle",
    "PrekeyCount",
    "PublishPrekeys",
    "RevokeInvite",
    "RosterAppend",
    "RosterPage",
    "SendMessage",
    "SendSignal",
    "ServerMessage",
    "Signal",
    "Speaker",
    "VoiceState",
    "WirePrekey",
]

# What a client sends, and what a server sends.
ClientMessage = (
    Auth
    | SendMessage
    | AckDeliveries
    | PublishPrekeys
    | GetPrekeyBundle
    | GetPrekeyCount
    | CreateChannel
    | JoinChannel
    | LeaveChannel
    | RosterAppend
    | GetMembers
    | ChannelPost
    | GetHistory
    | GetChannels
    | Distribute
    | CreateInvite
    | ListInvites
    | RevokeInvite
    | SendSignal
    | JoinVoice
    | LeaveVoice
    | GetIceConfig
    | GetInfo
    | Ping
    | Pong
)
ServerMessage = (
    AuthChallenge
    | AuthSuccess
    | Delivery
    | Accepted
    | PrekeyBundle
    | PrekeyCount
    | Appended
    | RosterPage
    | ChannelMessage
    | ChannelHead
    | History
    | Channels
    | Invite
    | Invites
    | Signal
    | Forwarded
    | VoiceState
    | IceConfig
    | Info
    | Error
    | Ping
    | Pong
)
