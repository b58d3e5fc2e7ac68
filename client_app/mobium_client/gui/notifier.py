"""Notifications of the system, through `desktop-notifier`. Where nobody shows them, the log says so once.

Not its concern: what is told, and when (`mobium_client.gui.models.notifications`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Any, Final

__all__ = ["SystemNotifier"]

log = logging.getLogger(__name__)

_WAIT: Final = 5.0  # seconds that showing one may take
_NOBODY: Final = "There is no session bus, so notifications are not shown."
_FAILED: Final = "The system does not show notifications; no more are tried."


class _Complaints(logging.Handler):
    """What the package logs instead of raising it: tracebacks, which go nowhere else."""

    heard = False

    def emit(self, _record: logging.LogRecord) -> None:
        self.heard = True


class SystemNotifier:
    """Shows a title and a text. Belongs to one event loop; raises nothing."""

    def __init__(self) -> None:
        self._notifier: Any = None
        self._over = False
        self._complaints = _Complaints(logging.WARNING)

    async def __call__(self, title: str, text: str) -> None:
        """Show one."""
        if self._over:
            return
        if not _has_bus():
            self._give_up(_NOBODY)
            return
        try:
            async with asyncio.timeout(_WAIT):
                if self._notifier is None:
                    self._notifier = self._make()
                await self._notifier.send(title=title, message=text)
                failed = self._complaints.heard
        except Exception:  # noqa: BLE001 - what a desktop of somebody's raises is not known
            failed = True
        if failed:
            self._give_up(_FAILED)

    def _give_up(self, why: str) -> None:
        self._over = True
        log.warning(why)

    def _make(self) -> Any:
        from desktop_notifier import DesktopNotifier

        theirs = logging.getLogger("desktop_notifier")
        theirs.addHandler(self._complaints)
        theirs.propagate = False
        return DesktopNotifier(app_name="mobium")


def _has_bus() -> bool:
    """Whether anybody could show one: on Linux that takes the session's D-Bus."""
    if not sys.platform.startswith("linux"):
        return True
    if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return True
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return runtime is not None and (Path(runtime) / "bus").exists()
