"""One line of input, edited: keys come in as text, and what to show comes out. Knows no terminal.

Not its concern: reading keys and drawing (`mobium_client.cli.keys`, `mobium_client.cli.screen`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mobium_client.plain import cells, harmless

__all__ = ["Closed", "Editor", "Entered", "Redraw"]

# Characters: above every server's limit, so that a pasted file ends in a clear sentence, not a full memory.
_LONGEST = 1 << 20
_SIGNS_A_COLUMN = 16  # looked at; most characters take a column or two, and some none
_HISTORY = 100  # own lines that the up arrow brings back; they are in memory only

# A whole sequence, or the beginning of one that ends with the chunk.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[@-~]|\[?[0-?]*\Z|O?\Z)?")
_TYPED = re.compile(r"[^\x00-\x1f\x7f]+")  # what is no key of its own
_WORD = re.compile(r"\w")
_PASTE_BEGIN, _PASTE_END = "\x1b[200~", "\x1b[201~"
_NAMES = {
    "\x1b[D": "left", "\x1bOD": "left", "\x02": "left",
    "\x1b[C": "right", "\x1bOC": "right", "\x06": "right",
    "\x1b[1;5D": "word left", "\x1bb": "word left",
    "\x1b[1;5C": "word right", "\x1bf": "word right",
    "\x1b[H": "home", "\x1bOH": "home", "\x1b[1~": "home", "\x1b[7~": "home", "\x01": "home",
    "\x1b[F": "end", "\x1bOF": "end", "\x1b[4~": "end", "\x1b[8~": "end", "\x05": "end",
    "\x1b[A": "up", "\x1bOA": "up", "\x10": "up",
    "\x1b[B": "down", "\x1bOB": "down", "\x0e": "down",
    "\x1b[3~": "delete", "\x7f": "backspace", "\x08": "backspace",
    "\x15": "cut to start", "\x0b": "cut to end", "\x17": "cut word",
    "\x04": "leave", "\x0c": "redraw", "\r": "enter", "\n": "enter",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entered:
    """Enter was pressed on this text, which is not empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Closed:
    """Ctrl-D was pressed on an empty line."""


@dataclass(frozen=True, slots=True)
class Redraw:
    """Ctrl-L was pressed."""


class Editor:
    """The line and its cursor."""

    def __init__(self) -> None:
        self._text = ""
        self._cursor = 0
        self._pending = ""  # the beginning of a sequence whose end has not come
        self._paste: str | None = None
        self._own: list[str] = []
        self._place = 0
        self._draft = ""

    @property
    def text(self) -> str:
        """What stands in the line."""
        return self._text

    def feed(self, chunk: str) -> list[Entered | Closed | Redraw]:
        """Take keys as they come from a terminal; returns what they amount to beyond editing, in order."""
        events: list[Entered | Closed | Redraw] = []
        chunk, self._pending = self._pending + chunk, ""
        at = 0
        while at < len(chunk):
            if self._paste is not None:
                at = self._take_paste(chunk, at)
                continue
            typed = _TYPED.match(chunk, at)
            if typed:
                self._insert("".join(c for c in typed.group() if harmless(c) == c))
                at = typed.end()
                continue
            key = self._next_key(chunk, at)
            if not key:
                self._pending = chunk[at:]
                break
            at += len(key)
            event = self._press(key)
            if event is not None:
                events.append(event)
        return events

    def view(self, width: int) -> tuple[str, int]:
        """What of the line is seen in `width` columns, harmless, and the cursor's column in it."""
        room = max(2, width - 1)  # the cursor may stand behind the last character
        before, cursor = self._seen(range(self._cursor - 1, -1, -1), room * 3 // 4)
        after, _ = self._seen(range(self._cursor, len(self._text)), room - cursor)
        return harmless("".join((*reversed(before), *after))), cursor

    def _seen(self, places: range, room: int) -> tuple[list[str], int]:
        """The signs at these places, as far as they fit, and their columns; what a person pastes may be a
        megabyte, so that nothing else is looked at.
        """
        signs: list[str] = []
        used = 0
        for place in places[: _SIGNS_A_COLUMN * room]:
            sign = _sign(self._text[place])
            used += cells(sign)
            if used > room:
                return signs, used - cells(sign)
            signs.append(sign)
        return signs, used

    def _next_key(self, chunk: str, at: int) -> str:
        """The key that begins at `at`; empty if its end has not come."""
        if chunk[at] != "\x1b":
            return chunk[at]
        if chunk[at + 1 : at + 2] in {"b", "f"}:
            return chunk[at : at + 2]
        match = _SEQUENCE.match(chunk, at)
        key = match.group() if match else chunk[at]
        return (
            ""
            if at + len(key) == len(chunk) and not re.fullmatch(r"\x1b(\[.*[@-~]|O.)", key, re.DOTALL)
            else key
        )

    def _take_paste(self, chunk: str, at: int) -> int:
        assert self._paste is not None
        begun = max(0, len(self._paste) - len(_PASTE_END))  # its end may have come in pieces
        before = len(self._paste) - at
        self._paste += chunk[at:]
        end = self._paste.find(_PASTE_END, begun)
        if end < 0:
            # What nobody can send is not kept, but for what may be the beginning of the end.
            if len(self._paste) > 2 * _LONGEST:  # two characters may be one line break
                self._paste = self._paste[: 2 * _LONGEST] + self._paste[-len(_PASTE_END) :]
            return len(chunk)
        self._insert(self._paste[:end].replace("\r\n", "\n").replace("\r", "\n").strip("\n"))
        self._paste = None
        return end + len(_PASTE_END) - before

    def _press(self, key: str) -> Entered | Closed | Redraw | None:
        if key == _PASTE_BEGIN:
            self._paste = ""
            return None
        match _NAMES.get(key):
            case "enter":
                return self._enter()
            case "leave":
                if not self._text:
                    return Closed()
                self._cut(self._cursor, self._after(self._cursor))
            case "redraw":
                return Redraw()
            case "up" | "down" as direction:
                self._recall(-1 if direction == "up" else 1)
            case None:
                pass
            case name:
                self._edit(name)
        return None

    def _edit(self, name: str) -> None:
        cursor = self._cursor
        match name:
            case "left":
                self._cursor = self._before(cursor)
            case "right":
                self._cursor = self._after(cursor)
            case "word left":
                self._cursor = self._word(cursor)
            case "word right":
                found = re.compile(r"\W*\w*").match(self._text, cursor)
                self._cursor = found.end() if found else cursor
            case "home":
                self._cursor = 0
            case "end":
                self._cursor = len(self._text)
            case "delete":
                self._cut(cursor, self._after(cursor))
            case "backspace":
                self._cut(self._before(cursor), cursor)
            case "cut to start":
                self._cut(0, cursor)
            case "cut to end":
                self._cut(cursor, len(self._text))
            case "cut word":
                self._cut(self._word(cursor), cursor)

    def _enter(self) -> Entered | None:
        text = self._text
        self._set("")
        self._place = 0
        if not text.strip():
            return None
        if not self._own or self._own[-1] != text:
            self._own = [*self._own, text][-_HISTORY:]
        return Entered(text)

    def _recall(self, step: int) -> None:
        place = min(0, max(-len(self._own), self._place + step))
        if place == self._place:
            return
        if self._place == 0:
            self._draft = self._text
        self._place = place
        self._set(self._own[place] if place else self._draft)

    def _set(self, text: str) -> None:
        self._text, self._cursor = text, len(text)

    def _insert(self, text: str) -> None:
        text = text[: _LONGEST - len(self._text)]
        self._text = self._text[: self._cursor] + text + self._text[self._cursor :]
        self._cursor += len(text)

    def _cut(self, start: int, end: int) -> None:
        self._text = self._text[:start] + self._text[end:]
        self._cursor = start

    def _before(self, at: int) -> int:
        at = max(0, at - 1)
        while at > 0 and cells(_sign(self._text[at])) == 0:
            at -= 1
        return at

    def _after(self, at: int) -> int:
        at = min(len(self._text), at + 1)
        while at < len(self._text) and cells(_sign(self._text[at])) == 0:
            at += 1
        return at

    def _word(self, at: int) -> int:
        # From the end: a pattern would be tried at each place of a long line.
        while at and not _WORD.match(self._text, at - 1):
            at -= 1
        while at and _WORD.match(self._text, at - 1):
            at -= 1
        return at


def _sign(c: str) -> str:
    if c == "\n":
        return "␊"
    return " " if c == "\t" else harmless(c)
