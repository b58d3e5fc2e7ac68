"""The window of a conversation on a terminal: lines scroll above, one line of input stays below.

Every write goes through here, so nothing garbles what is being typed. The marks of one's own messages change
in place while they are on the screen. Not its concern: where messages come from (`mobium_client.cli.chat`).
"""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from datetime import datetime

from rich.text import Text

from mobium_client.cli.editor import Editor
from mobium_client.cli.lines import MARK_CELLS, NAME_CELLS, Marks, message_line, notice_line, remark_line
from mobium_client.cli.screen import Screen
from mobium_client.plain import cells, one_line, shorten

__all__ = ["Window"]

_REMEMBERED = 500  # own messages whose mark may still change; far more than any screen has rows
_CLEAR = "\r\x1b[K"
_PASTE_ON, _PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"


class Window:
    """A terminal of which the last row is the input."""

    def __init__(self, screen: Screen, prompt: str, editor: Editor) -> None:
        self._screen = screen
        self._editor = editor
        self._prompt = shorten(one_line(prompt), NAME_CELLS)
        self._note = ""
        self._marks = Marks(screen.can_draw)
        self._rows = 0  # printed so far
        self._own: OrderedDict[str, int] = OrderedDict()  # content id -> row of its first line

    def open(self) -> None:
        """Begin; `close` must follow."""
        self._screen.write(_PASTE_ON)
        self.draw()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._screen.write(_CLEAR + _PASTE_OFF)

    def title(self, prompt: str) -> None:
        """Show another name in front of the input."""
        self._prompt = shorten(one_line(prompt), NAME_CELLS)
        self.draw()

    def note(self, note: str) -> None:
        """Show a word beside the prompt, or none."""
        if note != self._note:
            self._note = note
            self.draw()

    def resized(self) -> None:
        """The terminal has other dimensions, and has folded what stood there: no row is where it was."""
        self._own.clear()
        self.draw()

    def message(self, at: datetime, name: str, text: str, *, dated: bool = False) -> None:
        """Show somebody's message."""
        self._print(
            message_line(Text(" " * MARK_CELLS), at, name, "bold cyan", text, self._width, dated=dated)
        )

    def notice(self, at: datetime, text: str, *, dated: bool = False) -> None:
        """Show a change of the channel."""
        self._print(notice_line(at, text, self._width, dated=dated))

    def own(self, content_id: str, state: str, at: datetime, text: str, *, dated: bool = False) -> None:
        """Show a message of one's own; its mark follows `state`."""
        self._own[content_id] = self._rows
        while len(self._own) > _REMEMBERED:
            self._own.popitem(last=False)
        self._print(message_line(self._marks[state], at, "you", "bold", text, self._width, dated=dated))

    def state(self, content_id: str, state: str) -> None:
        """Change the mark of an own message, if its row can still be reached."""
        row = self._own.get(content_id)
        if row is None:
            return
        up = self._rows - row
        if up >= self._screen.height:
            del self._own[content_id]
            return
        self._screen.write(f"\x1b[{up}A\r{self._screen.styled(self._marks[state])}\x1b[{up}B")
        self.draw()

    def remark(self, text: str, style: str = "dim") -> None:
        """A sentence of the program; it may hold text from outside."""
        self._print(remark_line(text, self._width, style))

    def draw(self) -> None:
        """Draw the row of input anew."""
        head = Text.assemble(
            (self._prompt, "bold cyan"), (f" {self._note}" if self._note else "", "red"), "> "
        )
        shown, cursor = self._editor.view(self._screen_width - cells(head.plain))
        self._screen.write(f"{_CLEAR}{self._screen.styled(head)}{shown}\r\x1b[{cells(head.plain) + cursor}C")

    def _print(self, lines: list[Text]) -> None:
        self._screen.write(_CLEAR + "".join(self._screen.styled(line) + "\n" for line in lines))
        self._rows += len(lines)
        self.draw()

    @property
    def _screen_width(self) -> int:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80

    @property
    def _width(self) -> int:
        # One column stays free: terminals differ in what they do after the last one.
        return self._screen_width - 1
