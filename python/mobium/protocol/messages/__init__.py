"""The typed messages of the wire: one frozen struct for each type and direction.

A struct's tag is the frame's `type`; a field that holds its default is left out of the frame. Not its
concern: bytes (`mobium.protocol.codec`) and the order in which messages may come
(`mobium.protocol.connection`).
"""

from __future__ import annotations

from mobium.protocol.messages.auth import Auth, AuthChallenge, AuthSuccess, Limits
from mobium.protocol.messages.common import Error, GetInfo, Info, Ping, Pong
from mobium.protocol.messages.direct import Accepted, AckDeliveries, Delivery, SendMessage
from mobium.protocol.messages.prekeys import (
    GetPrekeyBundle,
    GetPrekeyCount,
    PrekeyBundle,
    PrekeyCount,
    PublishPrekeys,
    WirePrekey,
)

__all__ = [
    "Accepted",
    "AckDeliveries",
    "Auth",
    "AuthChallenge",
    "AuthSuccess",
    "ClientMessage",
    "Delivery",
    "Error",
    "GetInfo",
    "GetPrekeyBundle",
    "GetPrekeyCount",
    "Info",
    "Limits",
    "Ping",
    "Pong",
    "PrekeyBundle",
    "PrekeyCount",
    "PublishPrekeys",
    "SendMessage",
    "ServerMessage",
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
    | Info
    | Error
    | Ping
    | Pong
)
