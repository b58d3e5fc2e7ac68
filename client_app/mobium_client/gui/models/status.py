"""Who one is here, and how the connection is, in words.

Not its concern: the dialog in which it is changed (`mobium_client.gui.models.connection`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from mobium.client import ConnectionChanged
from mobium.errors import InvalidInput, ServerKeyChanged
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Cancel, Presenter
from mobium_client.plain import one_line

__all__ = ["Status", "StatusState"]

Tone = Literal["good", "waiting", "off"]

_WORDS: dict[str, tuple[str, Tone]] = {
    "online": ("Connected", "good"),
    "connecting": ("Connecting …", "waiting"),
    "waiting": ("Reconnecting …", "waiting"),
    "offline": ("Offline", "off"),
}
_ANOTHER_KEY: Final = "Another server key"
_LASTING: Final = 2  # breaks in a row; the first one is mostly over before anybody has read why


@dataclass(frozen=True, slots=True)
class StatusState:
    """`words` and `tone` say how the connection is, `reason` is a sentence about what went wrong.
    `key_changed`: the server shows another key than the pinned one. `lasting` is the reason once it is no
    short break: what only a person can mend, or what the second try in a row has met with.
    """

    name: str
    me: str
    words: str = "Offline"
    tone: Tone = "off"
    reason: str = ""
    server: str = ""
    key_changed: bool = False
    lasting: str = ""


class Status(Presenter[StatusState]):
    """Connects to the server of the last login, and says how it is."""

    def __init__(self, opened: Opened) -> None:
        engine = opened.engine
        super().__init__(opened.context.bridge, StatusState(opened.profile.name, engine.me))
        self._opened = opened
        self._left = 0  # seconds until the next try
        self._breaks = 0  # in a row
        self._tick: Cancel | None = None
        self._until_closed(opened.context.events.on(ConnectionChanged, self._on_connection))
        self._until_closed(self._stop_counting)
        self._run(self._begin(), self._known)

    async def _begin(self) -> tuple[str, str]:
        """Be connected from now on, if there is a server; its host and the state at once are returned."""
        engine = self._opened.engine
        server = await engine.server()
        if server is None:
            return "", engine.connection
        try:
            await engine.connect(wait=False)
        except InvalidInput:
            return "", engine.connection
        return server.host, engine.connection

    def _known(self, found: tuple[str, str]) -> None:
        host, state = found
        words, tone = _WORDS[state]
        self._show(replace(self.state, server=host, words=words, tone=tone))

    def _on_connection(self, event: ConnectionChanged) -> None:
        self._stop_counting()
        words, tone = _WORDS[event.state]
        changed = isinstance(self._opened.engine.failure, ServerKeyChanged) and event.state == "offline"
        if event.state == "waiting":
            self._breaks += 1
        elif event.state != "connecting":
            self._breaks = 0
        lasting = self.state.lasting if event.state == "connecting" else event.reason
        if event.state == "waiting" and self._breaks < _LASTING:
            lasting = ""
        self._show(
            replace(
                self.state,
                words=_ANOTHER_KEY if changed else words,
                tone=tone,
                reason=event.reason,
                key_changed=changed,
                lasting=one_line(lasting),
            )
        )
        if event.state == "waiting" and event.retry_in is not None:
            self._left = math.ceil(event.retry_in)
            self._count()
        elif event.state == "online":
            self._run(self._opened.engine.server(), self._reached)

    def _reached(self, server: object) -> None:
        self._show(replace(self.state, server=getattr(server, "host", "")))

    def _count(self) -> None:
        """Say how long it takes until the next try, second by second."""
        if self._left <= 0:
            self._show(replace(self.state, words="Reconnecting …"))
            return
        self._show(replace(self.state, words=f"Next try in {self._left} s"))
        self._left -= 1
        self._tick = self._opened.context.later(1.0, self._count)

    def _stop_counting(self) -> None:
        if self._tick is not None:
            self._tick()
            self._tick = None
