"""What is asked between opening a profile and the main screen: words that nobody has confirmed, a server that
was never reached.

Not its concern: how a profile is opened (`mobium_client.gui.models.session`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mobium.client import Engine
from mobium_client.gui.models.choose_server import ChooseServer
from mobium_client.gui.models.confirm_words import ConfirmWords
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.main import Main
from mobium_client.gui.models.presenter import Presenter

__all__ = ["Entry"]


class Entry:
    """Shows one screen after the other; `still` is whether the profile has not been locked meanwhile."""

    def __init__(
        self, opened: Opened, show: Callable[[Presenter[Any]], object], still: Callable[[], bool]
    ) -> None:
        self._opened = opened
        self._show = show
        self._still = still
        self._address: str | None = None

    def begin(self) -> None:
        """Show what follows on the opening."""

        def known(found: tuple[str | None, str | None]) -> None:
            words, self._address = found
            if not self._still():
                return
            if words is None:
                self._choose_server()
            else:
                self._show(ConfirmWords(self._opened, words, self._choose_server))

        # a store that cannot be read says so again on the main screen
        self._opened.context.bridge.submit(_missing(self._opened.engine), known, lambda _: self._finish())

    def _choose_server(self) -> None:
        if self._address is None:
            self._finish()
        else:
            self._show(ChooseServer(self._opened, self._finish, self._address))

    def _finish(self) -> None:
        if self._still():
            self._show(Main(self._opened))


async def _missing(engine: Engine) -> tuple[str | None, str | None]:
    """The words that nobody has confirmed, if there are any, and the address that was typed for a server that
    was never reached: "" if none was, None once one has been.
    """
    words, server = await engine.recovery.words(), await engine.server()
    if server is None:
        return words, ""
    return words, None if server.key else server.url
