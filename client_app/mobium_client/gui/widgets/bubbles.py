"""How a line of a conversation becomes rows of a text widget: tags, tabs and pictures.

    [picture: the upper end of the bubble]
    ⇥ text of the first row
    ⇥ text of the last row        ⇥ 14:05 · Read
    [picture: the lower end]

Not its concern: which rows change (`mobium_client.gui.widgets.message_text`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import customtkinter as ctk

from mobium_client.gui.models.lines import Bubble, Line, Remark
from mobium_client.gui.theme import Role
from mobium_client.gui.view import Kit
from mobium_client.gui.wrapping import Ruler, wrap
from mobium_client.gui.writers import writer_color

__all__ = ["Piece", "Shapes"]

_SIDE: Final = 24  # pixels between the widget's edge and a bubble
_PAD: Final = 14  # between a bubble's edge and its text
_CAP: Final = 9  # height of the picture above and below the text
_RADIUS: Final = 14
_WIDEST: Final = 560  # pixels of text: lines of more than about 80 characters are hard to follow
_FACE: Final = 18  # of the picture before a name
_STEP: Final = 4  # widths are rounded up to this, so that there are not too many tags
_EMOJI: Final = re.compile(
    "[\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2b55\u231a\u231b\u23e9-\u23fa]"
    "[\ufe0f\u200d\U0001f300-\U0001faff\u2600-\u27bf]*"
)
_ROLES: Final[tuple[Role, ...]] = ("body", "small", "strong")
_COLOUR_EMOJI: Final = "Noto Color Emoji"


@dataclass(slots=True)
class Piece:
    """The rows of one line: texts with their tags, where pictures go (`faces` stand behind the tab of a
    name), and which characters have more tags.
    """

    chunks: list[Any] = field(default_factory=list)
    pictures: list[tuple[int, Any, str]] = field(default_factory=list)
    faces: list[tuple[int, Any, tuple[str, ...]]] = field(default_factory=list)
    spans: list[tuple[int, int, int, tuple[str, ...]]] = field(default_factory=list)
    rows: int = 0

    def row(self, *chunks: object) -> None:
        """Add a row: text, tags, text, tags, ..., without its line break."""
        self.chunks += [*chunks]
        self.rows += 1


class Shapes:
    """Draws lines into a text widget."""

    def __init__(self, kit: Kit, text: Any) -> None:
        self._kit = kit
        self._text = text
        self._double = int(text.tk.call("string", "length", "\U0001f600")) == 2
        self._made: set[str] = set()
        self._actions: dict[str, tuple[str, str]] = {}
        self._acts: dict[tuple[str, str], str] = {}
        self._act: Callable[[str, str], object] = lambda *_: None
        theme = kit.theme
        self._rulers = {role: theme.ruler(role) for role in _ROLES}
        self._emoji: Ruler | None = None
        self._configure()

    def on_action(self, act: Callable[[str, str], object]) -> None:
        """Call `act` with the word and the value of what is clicked: ("link", url), ("retry", id)."""
        self._act = act

    def piece(self, line: Line, width: int) -> Piece:
        """The rows of a line in a widget of `width` pixels."""
        return self._remark(line) if isinstance(line, Remark) else self._bubble(line, width)

    def insert(self, row: int, pieces: list[Piece]) -> None:
        """Put rows before the row `row`, counted from 1."""
        chunks = [chunk for piece in pieces for chunk in piece.chunks]
        if not chunks:
            return
        self._text.insert(f"{row}.0", *chunks)
        name = str(self._text)
        script: list[str] = []
        for piece in pieces:
            for offset, picture, tag in piece.pictures:
                place = f"{row + offset}.0"
                script.append(f"{name} image create {place} -image {picture}; {name} tag add {tag} {place}")
            for offset, picture, tags in piece.faces:
                place = f"{row + offset}.1"  # behind the tab
                script.append(f"{name} image create {place} -image {picture}")
                script += [f"{name} tag add {tag} {place}" for tag in tags]
            for offset, begin, end, tags in piece.spans:
                place = f"{row + offset}"
                script += [f"{name} tag add {tag} {place}.{begin} {place}.{end}" for tag in tags]
            row += piece.rows
        # In one call, since each may wait for another thread. There are names of ours alone in it.
        self._text.tk.eval("\n".join(script))

    def written(self, first: str, last: str) -> str:
        """The text between two places as it was written."""
        parts: list[str] = []
        skipped = 0
        for kind, value, _ in self._text.dump(first, last, text=True, tag=True):
            if kind == "tagon" and value == "skip":
                skipped += 1
            elif kind == "tagoff" and value == "skip":
                skipped = max(0, skipped - 1)
            elif kind == "text" and not skipped:
                parts.append(value)
        return "".join(parts).strip("\n")

    # ------------------------------------------------------------ the keyboard

    def step(self, steps: int) -> str:
        """Mark what can be pressed next to what is marked, at first the newest; its place, "" if there is
        nothing.
        """
        stops = self._stops()
        if not stops:
            return ""
        marked = self._text.tag_ranges("marked")
        places = [place for place, stop in enumerate(stops) if marked and stop[0] == str(marked[0])]
        at = min(max(places[0] + steps, 0), len(stops) - 1) if places else len(stops) - 1
        self.leave()
        self._text.tag_add("marked", *stops[at])
        return stops[at][0]

    def mark(self, row: int, rows: int) -> None:
        """Mark the text of a message, of so many rows, as the one that was looked for."""
        self._text.tag_remove("found", "1.0", "end")
        for place in range(row, row + rows):
            at, end = f"{place}.0", f"{place}.end"
            if "cap" in self._text.tag_names(end):  # a picture
                continue
            if hidden := self._text.tag_nextrange("hidden", at, end):  # what is seen stands before it
                tabs = str(self._text.get(at, f"{place}.2")).count("\t")
                self._text.tag_add("found", f"{place}.{tabs}", hidden[0])
                continue
            while self._text.compare(at, "<", end):
                if "skip" in self._text.tag_names(at):
                    at = str(self._text.tag_prevrange("skip", f"{at} +1c")[1])
                    continue
                skipped = self._text.tag_nextrange("skip", at, end)
                self._text.tag_add("found", at, skipped[0] if skipped else end)
                at = str(skipped[1]) if skipped else end

    def press(self) -> None:
        """Do what is marked."""
        marked = self._text.tag_ranges("marked")
        tags = self._text.tag_names(marked[0]) if marked else ()
        for tag in tags:
            if tag in self._actions:
                self._act(*self._actions[tag])
                return

    def leave(self) -> None:
        """Nothing is marked any more."""
        self._text.tag_remove("marked", "1.0", "end")

    def _stops(self) -> list[list[str]]:
        """Where each thing that can be pressed begins and ends, row by row, in order."""
        found: list[tuple[tuple[int, ...], list[str]]] = []
        for tag in self._actions:
            ranges = [str(index) for index in self._text.tag_ranges(tag)]
            ended = -1
            for first, last in zip(ranges[::2], ranges[1::2], strict=True):
                row, column = (int(part) for part in first.split("."))
                if row == ended + 1 and column == 1:  # behind the tab: it goes on in this row
                    found[-1][1].extend((first, last))
                else:
                    found.append(((row, column), [first, last]))
                ended = row
        return [stop for _, stop in sorted(found)]

    # ------------------------------------------------------------ tags

    def _configure(self) -> None:
        theme, text = self._kit.theme, self._text
        colors, px = theme.colors, theme.raw
        small, body = theme.raw_font("small"), theme.raw_font("body")
        middle = {"font": small, "justify": "center", "wrap": "word"}
        aside = dict.fromkeys(("lmargin1", "lmargin2", "rmargin"), px(48))
        row = {"font": body, "spacing1": px(1), "spacing3": px(1)}
        looks: dict[str, dict[str, Any]] = {
            "cap": {"font": (theme.family, -1)},
            "gap": {"font": (theme.family, -px(10))},
            "near": {"font": (theme.family, -px(3))},
            "day": {**middle, "foreground": colors.muted, "spacing1": px(16), "spacing3": px(12)},
            "notice": {**middle, **aside, "foreground": colors.muted, "spacing1": px(6), "spacing3": px(6)},
            "new": {**middle, "foreground": colors.accent, "spacing1": px(12), "spacing3": px(12)},
            "own": {**row, "foreground": colors.own_text},
            "other": {**row, "foreground": colors.text},
            "own_meta": {"foreground": colors.own_muted, "font": small},
            "other_meta": {"foreground": colors.muted, "font": small},
            "name": {"font": theme.raw_font("strong"), "foreground": colors.accent},
            "own_link": {"foreground": colors.own_link, "underline": True},
            "other_link": {"foreground": colors.link, "underline": True},
            "problem": {"foreground": colors.danger, "font": small, "justify": "right", "rmargin": px(_SIDE)},
            "again": {"underline": True},
            "marked": {"foreground": colors.on_fill, "background": colors.fill},
            "found": {"foreground": colors.on_fill, "background": colors.fill},
            "skip": {},
            "hidden": {"elide": True},
        }
        for name, look in looks.items():
            text.tag_configure(name, **look)
        if _COLOUR_EMOJI in self._families():
            self._emoji = Ruler(ctk.CTkFont(_COLOUR_EMOJI, px(theme.size("body")), "normal"))
            text.tag_configure("emoji", font=(_COLOUR_EMOJI, -px(theme.size("body"))))
        self._raise()

    def _raise(self) -> None:
        """What is marked and what is selected is seen on whatever ground was made since."""
        for tag in ("found", "marked", "sel"):
            self._text.tag_raise(tag)

    def _families(self) -> frozenset[str]:
        return frozenset(self._text.tk.splitlist(self._text.tk.call("font", "families")))

    def _shape(self, *, own: bool, left: int, wide: int, whole: int) -> tuple[str, str]:
        """The tags of the rows of a bubble and of its ends."""
        name = f"{'own' if own else 'other'}{left}+{wide}/{whole}"
        if name not in self._made:
            self._made.add(name)
            theme = self._kit.theme
            colors, px = theme.colors, theme.raw
            ground = colors.own if own else colors.other
            pad = px(_PAD)
            self._text.tag_configure(
                name, lmargin1=left, lmargin2=left, rmargin=max(0, whole - left - wide), background=ground,
                lmargincolor=colors.base, rmargincolor=colors.base,
                tabs=(left + pad, left + wide - pad, "right"),
            )  # fmt: skip
            self._text.tag_configure(f"{name}c", lmargin1=left)
            self._raise()
        return name, f"{name}c"

    def _action(self, word: str, value: str) -> str:
        """A tag that does something when it is clicked."""
        known = self._acts.get((word, value))
        if known is not None:
            return known
        tag = self._acts[word, value] = f"act{len(self._acts)}"
        self._actions[tag] = (word, value)
        self._text.tag_bind(tag, "<ButtonRelease-1>", lambda _: self._clicked(tag))
        self._text.tag_bind(tag, "<Enter>", lambda _: self._text.configure(cursor="hand2"))
        self._text.tag_bind(tag, "<Leave>", lambda _: self._text.configure(cursor=""))
        return tag

    def _clicked(self, tag: str) -> None:
        if not self._text.tag_ranges("sel"):  # whoever drags over a link selects it
            self._act(*self._actions[tag])

    # ------------------------------------------------------------ lines

    def _remark(self, line: Remark) -> Piece:
        piece = Piece()
        piece.row(line.text + "\n", (line.kind, "skip"))
        return piece

    def _bubble(self, line: Bubble, width: int) -> Piece:
        theme, px = self._kit.theme, self._kit.theme.raw
        who = "own" if line.own else "other"
        edge, pad = px(_SIDE), px(_PAD)
        most = max(px(80), min(px(_WIDEST * max(1.0, theme.scale)), int((width - 2 * edge) * 0.78)) - 2 * pad)
        rows = wrap(line.text, most, self._rulers["body"])
        last = self._measure(line.text[slice(*rows[-1])])
        meta = self._rulers["small"].width(line.meta) + px(16) if line.meta else 0
        ends_right = self._kit.theme.order.to_the_right(line.text[slice(*rows[-1])])
        meta_alone = last + meta > most or (ends_right and bool(meta))
        inside = max(
            *(self._measure(line.text[begin:end]) for begin, end in rows),
            meta - px(16) if meta_alone else last + meta,
            self._name_width(line),
            px(24),
        )
        wide = -(-(inside + 2 * pad) // _STEP) * _STEP
        left = width - edge - wide if line.own else edge
        shape, cap = self._shape(own=line.own, left=left, wide=wide, whole=width)
        piece = Piece()
        piece.row("\n", ("gap" if line.first else "near", "skip"))
        ground = theme.colors.own if line.own else theme.colors.other
        piece.pictures.append((piece.rows, self._cap(wide, ground, upper=True), cap))
        piece.row("\n", ("cap", cap, "skip"))
        base = (who, shape)
        if line.name and line.first:
            named = (*base, "name", self._writer(line.writer), "skip")
            face = self._kit.avatars.photo(line.writer, px(theme.grown(_FACE)))
            piece.faces.append((piece.rows, face, (*base, "skip")))
            piece.row("\t", (*base, "skip"), f"  {line.name}", named, "\n", (*base, "skip"))
        for number, (begin, end) in enumerate(rows):
            ended = number == len(rows) - 1
            said = self._said(piece, line, begin, end, base, f"{who}_link")
            if ended and line.meta and not meta_alone:
                said += [f"\t{line.meta}", (*base, f"{who}_meta", "skip")]
            # a break that the writer made is copied, one that was made here is not
            soft = not ended and line.text[end : end + 1] != "\n"
            if soft and line.text[end : end + 1] == " ":
                said += [" ", base]
            said += ["\n", (*base, "skip") if soft else base]
            piece.row(*said)
        if line.meta and meta_alone:
            piece.row(
                "\t\t", (*base, "skip"), line.meta, (*base, f"{who}_meta", "skip"), "\n", (*base, "skip")
            )
        piece.pictures.append((piece.rows, self._cap(wide, ground, upper=False), cap))
        piece.row("\n", ("cap", cap, "skip"))
        if line.problem:
            again = ("problem", "again", "skip", self._action("retry", line.id))
            piece.row(f"{line.problem}  ", ("problem", "skip"), "Try again", again, "\n", ("problem", "skip"))
        return piece

    def _writer(self, key: str) -> str:
        """The tag of a writer's colour."""
        color = writer_color(key, self._kit.theme.colors.name)
        tag = f"writer{color}"
        if tag not in self._made:
            self._made.add(tag)
            self._text.tag_configure(tag, foreground=color)
            self._raise()
        return tag

    def _name_width(self, line: Bubble) -> int:
        if not line.name or not line.first:
            return 0
        face = self._kit.theme.raw(self._kit.theme.grown(_FACE))
        return face + self._rulers["strong"].width(f"  {line.name}")

    def _said(
        self, piece: Piece, line: Bubble, begin: int, end: int, base: tuple[str, ...], look: str
    ) -> list[object]:
        """The text of one row. Where it runs to the left it is drawn as it is seen, and copied as it was
        written: that stands behind it, hidden.
        """
        text, order = line.text[begin:end], self._kit.theme.order
        if not order.applies(text):
            self._links(piece, line, begin, end, look)
            return ["\t", (*base, "skip"), text, base]
        seen = order.seen(text)
        tabs = "\t\t" if order.to_the_right(text) else "\t"
        for first, last, url in line.links:
            place = seen.find(url)
            if begin <= first and last <= end and place >= 0:
                self._span(piece, seen, len(tabs), place, place + len(url), look, self._action("link", url))
        for found in _EMOJI.finditer(seen):
            self._span(piece, seen, len(tabs), *found.span(), "emoji")
        return [tabs, (*base, "skip"), seen, (*base, "skip"), text, (*base, "hidden")]

    def _span(self, piece: Piece, text: str, before: int, begin: int, end: int, *tags: str) -> None:
        """Give more tags to a part of a row's text, which begins behind `before` tabs."""
        columns = [before + self._columns(text[:at]) for at in (begin, end)]
        piece.spans.append((piece.rows, columns[0], columns[1], tags))

    def _links(self, piece: Piece, line: Bubble, begin: int, end: int, look: str) -> None:
        """Mark what can be clicked, and emoji, in one row; its text begins behind a tab."""
        for first, last, url in line.links:
            if first < end and last > begin:
                span = (max(first, begin) - begin, min(last, end) - begin)
                self._span(piece, line.text[begin:end], 1, *span, look, self._action("link", url))
        if line.text.isascii():
            return
        for found in _EMOJI.finditer(line.text[begin:end]):
            self._span(piece, line.text[begin:end], 1, *found.span(), "emoji")

    def _columns(self, text: str) -> int:
        """How many of its own characters Tk takes for a text: before version 9 two for each beyond U+FFFF."""
        return len(text) if not self._double else len(text.encode("utf-16-le", "surrogatepass")) // 2

    def _measure(self, text: str) -> int:
        """The width of a row, whose emoji have a font of their own."""
        body = self._rulers["body"]
        if text.isascii():
            return body.width(text)
        text = self._kit.theme.order.seen(text)
        if self._emoji is None:
            return body.width(text)
        emoji = "".join(found[0] for found in _EMOJI.finditer(text))
        return body.width(_EMOJI.sub("", text)) + self._emoji.width(emoji)

    def _cap(self, wide: int, ground: str, *, upper: bool) -> Any:
        px = self._kit.theme.raw
        return self._kit.icons.cap(
            wide, px(_CAP), ground, self._kit.theme.colors.base, px(_RADIUS), upper=upper
        )
