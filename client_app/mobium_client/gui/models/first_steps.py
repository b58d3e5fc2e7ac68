"""What to do first, where nobody was talked to yet: the server, one's own link, somebody to write to.

Not its concern: the dialogs that are opened from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mobium.client import ConnectionChanged, Engine, ServerInfo
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter

__all__ = ["FirstSteps", "FirstStepsState"]


@dataclass(frozen=True, slots=True)
class FirstStepsState:
    """`link` is what others need to write to this identity; `server` whether one has been reached."""

    link: str = ""
    server: bool = False
    loaded: bool = False


class FirstSteps(Presenter[FirstStepsState]):
    """Reads one's own link, again when a server has been reached, since the link names it."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened.context.bridge, FirstStepsState())
        self._engine = opened.engine
        self._until_closed(opened.context.events.on(ConnectionChanged, self._changed))
        self._read()

    def _changed(self, event: ConnectionChanged) -> None:
        if event.state == "online":
            self._read()

    def _read(self) -> None:
        def known(found: tuple[str, ServerInfo | None]) -> None:
            link, server = found
            reached = server is not None and bool(server.key)
            self._show(replace(self.state, link=link, server=reached, loaded=True))

        self._run(_both(self._engine), known)


async def _both(engine: Engine) -> tuple[str, ServerInfo | None]:
    return await engine.contact_link(), await engine.server()
