"""The pane in which somebody's shared screen is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.pictures import Feed, Picture
from mobium_client.gui.models.presenter import Presenter

__all__ = ["ScreenPane", "ScreenPaneState"]

_AGAIN = 1.0  # seconds after a picture that could not be shown


@dataclass(frozen=True, slots=True)
class ScreenPaneState:
    """`count` says how many pictures have come, so that a view knows whether it has seen this one."""

    title: str
    key: str
    picture: Picture | None = None
    count: int = 0


class ScreenPane(Presenter[ScreenPaneState]):
    """Takes pictures from a feed, one at a time: the next is asked for when the last one was drawn."""

    def __init__(
        self, opened: Opened, feed: Feed, title: str, key: str, leave: Callable[[], object] | None = None
    ) -> None:
        """`leave` is what the button that closes the pane does."""
        super().__init__(opened.context.bridge, ScreenPaneState(title, key))
        self._feed = feed
        self._leave = leave
        self._later = opened.context.later
        self._size = (0, 0)
        self._asking = False

    @property
    def can_leave(self) -> bool:
        """Whether the pane has a button that closes it."""
        return self._leave is not None

    def leave(self) -> None:
        """Look no more."""
        if self._leave is not None:
            self._leave()

    def fit(self, width: int, height: int) -> None:
        """There is room for so many pixels of the screen."""
        self._size = (width, height)
        self.taken()

    def taken(self) -> None:
        """The last picture was drawn."""
        if self._asking or self._closed or min(self._size) < 2:
            return
        self._asking = True
        self._run(self._feed.next(*self._size), self._come, self._failed)

    def _come(self, picture: Picture | None) -> None:
        self._asking = False
        if picture is None:
            self.taken()
        else:
            self._show(replace(self.state, picture=picture, count=self.state.count + 1))

    def _failed(self, _: str) -> None:
        self._asking = False
        self._until_closed(self._later(_AGAIN, self.taken))
