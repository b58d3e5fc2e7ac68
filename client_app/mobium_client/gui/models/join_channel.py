"""The dialog in which an invite link leads into a channel.

Not its concern: what a link says (`mobium.client.join_links`), and who may come in (the engine).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mobium.client import Channel
from mobium.client.join_links import JoinLink, parse_join
from mobium.errors import InvalidInput
from mobium_client.gui.models.channel_words import access_words
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter

__all__ = ["JoinChannel", "JoinState"]

_EMPTY = "Paste the link that somebody gave you; it begins with mobium://join/."


@dataclass(frozen=True, slots=True)
class JoinState:
    """`meaning` says what kind of channel the link leads to, once it is a link; `server` where that is."""

    link: str = ""
    good: bool = False
    meaning: str = ""
    server: str = ""
    busy: bool = False
    problem: str = ""


class JoinChannel(Presenter[JoinState]):
    """Comes into a channel; `joined` is called with it. `found`: the link stood in a message."""

    def __init__(self, opened: Opened, joined: Callable[[Channel], object], link: str = "") -> None:
        super().__init__(opened.context.bridge, JoinState())
        self.found = bool(link)
        self._opened = opened
        self._joined = joined
        if link:
            self.type(link)

    def type(self, text: str) -> None:
        """The link is now another one; what it says is shown at once."""
        if text.strip() == self.state.link and (self.state.good or self.state.problem):
            return
        link = text.strip()
        try:
            parsed = parse_join(link) if link else None
        except InvalidInput as error:
            begun = "mobium://join/".startswith(link) or link.startswith("mobium://join/")
            self._show(JoinState(link, problem="" if begun and len(link) < 20 else _said(error)))
            return
        if parsed is None:
            self._show(JoinState())
            return
        private = parsed.secret is not None
        kind = "A private channel. " if private else "An open channel. "
        self._show(
            JoinState(link, good=True, meaning=kind + access_words(private=private), server=_host(parsed))
        )

    def join(self) -> None:
        """Use the link."""
        if self.state.busy:
            return
        if not self.state.good:
            self._show(replace(self.state, problem=self.state.problem or _EMPTY))
            return
        self._show(replace(self.state, busy=True, problem=""))
        self._run(self._join(self.state.link), self._finish, self._refused)

    def cancel(self) -> None:
        """Stay outside."""
        self._opened.context.overlays.dismiss(self)

    async def _join(self, link: str) -> Channel:
        engine = self._opened.engine
        parsed = parse_join(link)
        known = await engine.server()
        if parsed.server is not None and known is None:
            await engine.connect(parsed.server)
        elif parsed.server is not None and known is not None and known.url != parsed.server:
            here = known.url.removesuffix("/ws")
            raise InvalidInput(
                f"This channel is on the server {_host(parsed)}, and you are using {here}: "
                "connect there first, by a click on your name."
            )
        return await engine.join(link)

    def _finish(self, channel: Channel) -> None:
        self._opened.context.overlays.dismiss(self)
        self._joined(channel)

    def _refused(self, problem: str) -> None:
        self._show(replace(self.state, busy=False, problem=problem))


def _said(error: InvalidInput) -> str:
    """Without the advice for whoever types into a shell."""
    return str(error).replace(", in quotes", "")


def _host(link: JoinLink) -> str:
    return "" if link.server is None else link.server.removesuffix("/ws")
