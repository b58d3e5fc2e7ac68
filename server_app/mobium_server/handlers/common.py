"""Ping, pong, and what the server says about itself. Not here: the same over HTTP (`mobium_server.http`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mobium.protocol.messages import GetInfo, Info, Ping, Pong
from mobium.protocol.version import VERSIONS
from mobium_server import __version__

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["CAPABILITIES", "NAME", "info", "ping", "pong"]

NAME = "mobium-server"
CAPABILITIES = ("direct", "prekeys", "channels", "voice", "ice")


def ping(_hub: Hub, session: Session, message: Ping) -> None:
    """Answer a ping."""
    session.reply(Pong(message.rid))


def pong(_hub: Hub, _session: Session, _message: Pong) -> None:
    """A pong needs nothing: that bytes came was noted by the gateway."""


def info(hub: Hub, session: Session, message: GetInfo) -> None:
    """Say what this server is."""
    session.reply(
        Info(
            name=NAME,
            version=__version__,
            versions=list(VERSIONS),
            capabilities=list(CAPABILITIES),
            limits=hub.limits,
            rid=message.rid,
        )
    )
