"""Who one is here, and how the connection is, in words.

Not its concern: the dialog in which it is changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from mobium.client import ConnectionChanged
from mobium.errors import InvalidInput
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter

__all__ = ["Status", "StatusState"]

Tone = Literal["good", "waiting", "off"]

_WORDS: dict[str, tuple[str, Tone]] = {
    "online": ("Connected", "good"),
    "connecting": ("Connecting …", "waiting"),
    "waiting": ("Reconnecting …", "waiting"),
    "offline": ("Offline", "off"),
}


@dataclass(frozen=True, slots=True)
class StatusState:
    """`words` and `tone` say how the connection is, `reason` is a sentence about what went wrong."""

    name: str
    me: str
    words: str = "Offline"
    tone: Tone = "off"
    reason: str = ""
    server: str = ""


class Status(Presenter[StatusState]):
    """Connects to the server of the last login, and says how it is."""

    def __init__(self, opened: Opened) -> None:
        engine = opened.engine
        super().__init__(opened.context.bridge, StatusState(opened.profile.name, engine.me))
        self._opened = opened
        self._until_closed(opened.context.events.on(ConnectionChanged, self._on_connection))
        self._run(self._begin(), self._known)

    async def _begin(self) -> str:
        """Be connected from now on, if there is a server; its host is returned."""
        server = await self._opened.engine.server()
        if server is None:
            return ""
        try:
            await self._opened.engine.connect(wait=False)
        except InvalidInput:
            return ""
        return server.host

    def _known(self, host: str) -> None:
        self._show(replace(self.state, server=host))

    def _on_connection(self, event: ConnectionChanged) -> None:
        words, tone = _WORDS[event.state]
        self._show(replace(self.state, words=words, tone=tone, reason=event.reason))
