"""A picture for each table that `make bench` writes: plain SVG, drawn of what benches/RESULTS.md says.

A table of rows has ours beside theirs, each pair on a scale of its own, since units differ; a table of named
figures has a panel for each figure. A picture is named after its section and linked below its table. Not its
concern: what is measured (benches/run.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

__all__ = ["FOLDER", "draw", "link", "pictures", "write"]

FOLDER = Path(__file__).parent / "plots"

ROW, BAR, GAP, TEXT = 26, 9, 14, 11  # px
LABELS, PANEL, FIGURE = 470, 230, 90  # px: what is measured, the longest bar, the figure behind it
OURS, THEIRS, INK, PAPER = "#2f6f4f", "#b9b4a8", "#222222", "#ffffff"


@dataclass(frozen=True)
class Bars:
    """One panel: its head, and of each row the bars: figure as it stands there, colour, share of all."""

    head: str
    rows: list[list[tuple[str, str, float]]]


def slug(title: str) -> str:
    """The name of a section's picture."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def link(title: str) -> str:
    """What stands below the table of a section."""
    return f"![{title}, drawn](plots/{slug(title)}.svg)"


def value(cell: str) -> float | None:
    """The number that a cell begins with, or None."""
    found = re.match(r"\**(-?[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?)", cell)
    return float(found[1].replace(",", "")) if found else None


def table(text: str) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the first table. Raises ValueError where there is none."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    if len(lines) < 3:
        raise ValueError("there is no table")
    heads, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return heads, rows


def compared(rows: list[list[str]]) -> tuple[list[str], list[Bars]]:
    """Ours beside theirs."""
    labels, bars = [], []
    for identifier, what, ours, peer, theirs, *_ in rows:
        labels.append(f"{identifier}  {what}" + (f"  ({peer})" if peer else ""))
        figures = [(cell, colour, value(cell)) for cell, colour in ((ours, OURS), (theirs, THEIRS)) if cell]
        longest = max((number for _, _, number in figures if number is not None), default=0) or 1
        alone = len(figures) == 1  # a figure, and nothing to see it beside
        bars.append([(cell, c, 0 if alone else (number or 0) / longest) for cell, c, number in figures])
    return labels, [Bars("ours, and theirs in grey: each pair on a scale of its own", bars)]


def figures(heads: list[str], rows: list[list[str]]) -> tuple[list[str], list[Bars]]:
    """A panel for each column of numbers; other columns say what a row is."""
    columns = list(zip(*rows, strict=True))
    numeric = [
        at for at in range(1, len(heads)) if all(not cell or value(cell) is not None for cell in columns[at])
    ]
    named = [
        at for at in range(len(heads)) if at not in numeric and not any(len(c) > 40 for c in columns[at])
    ]
    labels = [", ".join(f"{heads[at]} {row[at]}" if at else row[at] for at in named or [0]) for row in rows]
    panels = []
    for at in numeric:
        numbers = [value(cell) or 0 for cell in columns[at]]
        longest = max(map(abs, numbers)) or 1
        cells = zip(columns[at], numbers, strict=True)
        panels.append(Bars(heads[at], [[(cell, OURS, abs(number) / longest)] for cell, number in cells]))
    return labels, panels


def draw(title: str, text: str) -> str:
    """The picture of the first table in `text`. Raises ValueError where there is none."""
    heads, rows = table(text)
    labels, panels = compared(rows) if heads[:3] == ["#", "what", "ours"] else figures(heads, rows)
    left = min(LABELS, 20 + 7 * max(map(len, labels)))
    step = PANEL + FIGURE + GAP if len(panels) == 1 else 120 + FIGURE
    longest = step - FIGURE - GAP
    width, height = left + step * len(panels) + GAP, 60 + ROW * len(rows) + GAP
    size, font = f'width="{width}" height="{height}"', f'font-family="sans-serif" font-size="{TEXT}"'
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}" {font} fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        f'<text x="{GAP}" y="22" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for number, label in enumerate(labels):
        middle = 60 + ROW * number + ROW / 2
        shown = label if len(label) <= 72 else label[:71] + "…"
        out.append(f'<text x="{GAP}" y="{middle:g}">{escape(shown)}</text>')
    for index, panel in enumerate(panels):
        x = left + step * index
        out.append(f'<text x="{x}" y="46" font-style="italic">{escape(panel.head)}</text>')
        for number, bars in enumerate(panel.rows):
            top = 60 + ROW * number + (ROW - BAR * max(1, len(bars))) / 2 - TEXT / 3
            for place, (cell, colour, share) in enumerate(bars):
                y, long = top + BAR * place, share * longest
                if share:
                    box = f'x="{x}" y="{y:.1f}" width="{long:.1f}" height="{BAR - 1}"'
                    out.append(f'<rect {box} fill="{colour}"/>')
                place_of = f'x="{x + long + 4:.1f}" y="{y + BAR - 1.5:.1f}"'
                out.append(f'<text {place_of} font-size="9">{escape(cell)}</text>')
    return "\n".join((*out, "</svg>", ""))


def pictures(page: str) -> dict[str, str]:
    """The pictures of a page by the name of their file: one for each section that links one."""
    first, *parts = re.split(r"^## ", page, flags=re.MULTILINE)
    titled = [("What was measured", first)] + [(part.partition("\n")[0], part) for part in parts]
    return {f"{slug(title)}.svg": draw(title, text) for title, text in titled if link(title) in text}


def write(page: str, folder: Path = FOLDER) -> None:
    """Draw all pictures of a page anew."""
    folder.mkdir(exist_ok=True)
    made = pictures(page)
    for old in folder.glob("*.svg"):
        if old.name not in made:
            old.unlink()
    for name, picture in made.items():
        (folder / name).write_text(picture, encoding="utf-8")
