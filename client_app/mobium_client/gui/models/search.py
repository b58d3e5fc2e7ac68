"""Search: conversations by their names, and messages by their words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mobium.client import Message
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.conversations import Conversations, Row
from mobium_client.gui.models.presenter import Cancel, Presenter
from mobium_client.gui.models.words import preview, short_time

__all__ = ["Search", "SearchState"]

_PAUSE = 0.12  # seconds without a key before the store is asked
_MOST = 100  # messages that are shown


@dataclass(frozen=True, slots=True)
class SearchState:
    """`rows` are what was found for `text`: conversations first, then messages, whose place in `positions` is
    not None. `problem` is a sentence about why nothing can be found.
    """

    text: str = ""
    rows: tuple[Row, ...] = ()
    positions: tuple[int | None, ...] = ()
    searched: bool = False
    problem: str = ""


class Search(Presenter[SearchState]):
    """Looks for what is typed; `chosen` is called with a row, and the position of a message in it or None."""

    def __init__(
        self, opened: Opened, listed: Conversations, chosen: Callable[[Row, int | None], object]
    ) -> None:
        super().__init__(opened.context.bridge, SearchState())
        self._opened = opened
        self._listed = listed
        self._chosen = chosen
        self._pause: Cancel | None = None

    def type(self, text: str) -> None:
        """The text is now another one; without any there is no search."""
        if text.strip() == self.state.text:
            return
        if self._pause is not None:
            self._pause()
            self._pause = None
        if not text.strip():
            self._show(SearchState())
            return
        self._show(replace(self.state, text=text.strip()))
        self._pause = self._opened.context.later(_PAUSE, self._look)

    def open(self, place: int) -> None:
        """Open what was found, by its place in the list."""
        if 0 <= place < len(self.state.rows):
            self._chosen(self.state.rows[place], self.state.positions[place])

    def close(self) -> None:
        """The end."""
        if self._pause is not None:
            self._pause()
        super().close()

    def _look(self) -> None:
        self._pause = None
        text = self.state.text

        def found(messages: list[Message]) -> None:
            if text == self.state.text:  # else another one is under way
                self._found(text, messages)

        def failed(problem: str) -> None:
            if text == self.state.text:
                self._show(SearchState(text, searched=True, problem=problem))

        self._run(self._opened.engine.search(text, _MOST), found, failed)

    def _found(self, text: str, messages: list[Message]) -> None:
        known = {row.target: row for row in self._listed.state.rows}
        rows: list[tuple[Row, int | None]] = [
            (row, None) for row in known.values() if text.casefold() in row.title.casefold()
        ]
        now = self._opened.context.now()
        for message in messages:
            row = known.get(f"#{message.channel}" if message.channel is not None else message.peer)
            if row is not None:
                rows.append((_hit(row, message, short_time(message.at, now)), message.position))
        self._show(
            SearchState(text, tuple(row for row, _ in rows), tuple(position for _, position in rows), True)
        )


def _hit(row: Row, message: Message, time: str) -> Row:
    return replace(
        row, preview=preview(message), time=time, unread=0, state="", draft="", request=False, changed=False
    )
