"""Notifications of the system, through `desktop-notifier`. Where nobody shows them, the log says so once.

Not its concern: what is told, and when (`mobium_client.gui.models.notifications`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any, Final

__all__ = ["SystemNotifier"]

log = logging.getLogger(__name__)

_WAIT: Final = 5.0  # seconds that showing one may take
_LAST: Final = 1.0  # seconds that taking all away may take
_NOBODY: Final = "There is no session bus, so notifications are not shown."
_FAILED: Final = "The system does not show notifications; no more are tried."


class _Complaints(logging.Handler):
    """What the package logs instead of raising it: tracebacks, which go nowhere else."""

    heard = False

    def emit(self, _record: logging.LogRecord) -> None:
        self.heard = True


class SystemNotifier:
    """Shows a title and a text. Belongs to one event loop; raises nothing. `run` holds what it takes."""

    def __init__(self) -> None:
        self._notifier: Any = None
        self._over = False
        self._complaints = _Complaints(logging.WARNING)

    async def __call__(self, title: str, text: str, clicked: Callable[[], object] = lambda: None) -> None:
        """Show one; `clicked` is called in the loop when somebody clicks on it."""
        if self._over:
            return
        if not _has_bus():
            self._give_up(_NOBODY)
            return
        try:
            async with asyncio.timeout(_WAIT):
                if self._notifier is None:
                    self._notifier = self._make()
                message = escape(text, quote=False) if await self._reads_markup() else text
                await self._notifier.send(title=title, message=message, on_clicked=clicked)
                failed = self._complaints.heard
        except Exception:  # noqa: BLE001 - what a desktop of somebody's raises is not known
            failed = True
        if failed:
            self._give_up(_FAILED)
            await self._disconnect()

    async def run(self) -> None:
        """Until cancelled; then what is shown is taken away, and the connection to the system is closed."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.clear()
            await self._disconnect()

    async def clear(self) -> None:
        """Take away what is shown: a locked profile shows nothing, and nobody is there to be clicked for."""
        if self._notifier is not None and not self._over:
            with suppress(Exception):
                async with asyncio.timeout(_LAST):
                    await self._notifier.clear_all()

    def _give_up(self, why: str) -> None:
        self._over = True
        log.warning(why)

    def _make(self) -> Any:
        from desktop_notifier import DesktopNotifier

        theirs = logging.getLogger("desktop_notifier")
        theirs.addHandler(self._complaints)
        theirs.propagate = False
        return DesktopNotifier(app_name="mobium")

    async def _reads_markup(self) -> bool:
        """Whether texts are read as markup, with links and pictures: on Linux some desktops do, and tell."""
        await self._notifier.get_capabilities()  # connects
        interface = getattr(self._notifier._backend, "interface", None)
        return interface is not None and "body-markup" in await interface.call_get_capabilities()

    async def _disconnect(self) -> None:
        """The package offers no way to, and would keep the socket of the bus as long as the process lives."""
        logging.getLogger("desktop_notifier").removeHandler(self._complaints)
        bus = getattr(getattr(self._notifier, "_backend", None), "bus", None)
        self._notifier = None
        if bus is not None:
            with suppress(Exception):
                bus.disconnect()
                async with asyncio.timeout(_LAST):
                    await bus.wait_for_disconnect()


def _has_bus() -> bool:
    """Whether anybody could show one: on Linux that takes the session's D-Bus."""
    if not sys.platform.startswith("linux"):
        return True
    if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return True
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return runtime is not None and (Path(runtime) / "bus").exists()
