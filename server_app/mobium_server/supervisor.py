"""Tells whoever started the server, systemd most often, that it is ready (sd_notify(3)). Not its concern:
what is told to people (`mobium_server.start`).
"""

from __future__ import annotations

import logging
import os
import socket
import sys

__all__ = ["tell_ready"]

log = logging.getLogger(__name__)


def tell_ready() -> None:
    """Say that clients can connect, if somebody wants to know."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or sys.platform == "win32":
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(b"READY=1", address.replace("@", "\0", 1) if address[0] == "@" else address)
    except OSError as error:
        log.warning("NOTIFY_SOCKET cannot be told that the server is ready: %s.", error.strerror or error)
