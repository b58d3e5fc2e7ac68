"""The call as a dialog over everything; Escape makes it a bar, and the call goes on."""

from __future__ import annotations

from collections.abc import Callable

from mobium_client.gui.models.calling import Calling
from mobium_client.gui.models.presenter import Presenter

__all__ = ["CallOverlay"]


class CallOverlay(Presenter[None]):
    """`calling` is the call; `shrink` takes the dialog away, and `gone` is called when it is."""

    def __init__(self, calling: Calling, shrink: Callable[[], object], gone: Callable[[], object]) -> None:
        super().__init__(calling.bridge, None)
        self.calling = calling
        self.shrink = shrink
        self._gone = gone

    def close(self) -> None:
        """The dialog goes, the call stays."""
        super().close()
        self._gone()
