"""What requests do: one function for each type of message, in one file for each subject. Not here: rates and
logins (`mobium_server.hub`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mobium.protocol.messages import (
    AckDeliveries,
    GetInfo,
    GetPrekeyBundle,
    GetPrekeyCount,
    Ping,
    Pong,
    PublishPrekeys,
    SendMessage,
)
from mobium_server.handlers import common, direct, prekeys

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["HANDLERS"]

HANDLERS: dict[type, Callable[[Hub, Session, Any], None]] = {
    AckDeliveries: direct.acknowledge,
    GetInfo: common.info,
    GetPrekeyBundle: prekeys.bundle,
    GetPrekeyCount: prekeys.count,
    Ping: common.ping,
    Pong: common.pong,
    PublishPrekeys: prekeys.publish,
    SendMessage: direct.send,
}
