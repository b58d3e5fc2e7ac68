"""Each table that `make bench` writes has its picture, and the picture says what the table says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benches import plots
from benches.run import RESULTS, page, section

ROWS = [
    {
        "id": "B1",
        "what": "a <thing>",
        "ours": 2.0,
        "peer": 4.0,
        "peer_name": "theirs",
        "unit": "us",
        "ratio": 2.0,
    },
    {"id": "B2", "what": "alone", "ours": 1.0, "unit": "MB"},
]
FIGURES = [
    {"id": "B3", "figures": {"people": "10", "TLS": "off", "ms": 1.5, "KiB": None}},
    {"id": "B3", "figures": {"people": "100", "TLS": "on", "ms": 3.0, "KiB": 8.0}},
]


def bars(picture: str) -> list[float]:
    root = ET.fromstring(picture)
    boxes = root.findall("{http://www.w3.org/2000/svg}rect")
    return [float(box.attrib["width"]) for box in boxes[1:]]  # the first is the paper


def texts(picture: str) -> set[str]:
    return {text for text in ET.fromstring(picture).itertext() if text.strip()}


def test_ours_stands_beside_theirs_and_what_stands_alone_has_no_bar() -> None:
    text = section("A subject", [{**row, "section": "A subject", "about": "Of it."} for row in ROWS])
    picture = plots.draw("A subject", text)
    assert bars(picture) == [plots.PANEL / 2, plots.PANEL]
    assert {"B1  a <thing>  (theirs)", "2 us", "4 us", "B2  alone", "1 MB"} <= texts(picture)


def test_figures_have_a_panel_each() -> None:
    text = section("A subject", [{**row, "section": "A subject", "about": "Of it."} for row in FIGURES])
    picture = plots.draw("A subject", text)
    first, second, size = bars(picture)
    assert (first, second) == (size / 2, size)
    assert {"10, TLS off", "100, TLS on", "ms", "KiB", "1.5", "8"} <= texts(picture)


def test_without_a_table_there_is_no_picture() -> None:
    with pytest.raises(ValueError, match="no table"):
        plots.draw("Words", "## Words\n\nNothing else.\n")


def test_the_pictures_are_those_of_the_page_that_stands() -> None:
    text = RESULTS.read_text("utf-8")
    made = plots.pictures(text)
    assert {file.name: file.read_text("utf-8") for file in plots.FOLDER.glob("*.svg")} == made
    assert len(made) >= 10
    assert len(re.findall(r"\]\(plots/", text)) == len(made)


def test_old_pictures_go_with_their_tables(tmp_path: Path) -> None:
    text = page([{**ROWS[0], "section": "One", "about": "Of it."}], "")
    plots.write(text, tmp_path)
    (tmp_path / "gone.svg").write_text("old")
    plots.write(text, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["one.svg"]
