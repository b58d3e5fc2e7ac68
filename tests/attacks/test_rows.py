"""The table in docs/THREATS.md and the files in this folder agree, and every row has its pair of tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "THREATS.md"
NOT_BUILT = "not built yet"
ROW = re.compile(r"\| A(\d+) \|.*\| ([^|]+) \|")


def rows() -> dict[int, str]:
    """What the last column says of each row."""
    return {int(row[1]): row[2] for row in map(ROW.fullmatch, TABLE.read_text().splitlines()) if row}


def named(cell: str) -> list[Path]:
    """The files that a cell names."""
    return [
        (HERE / f"{name.strip()}.py").resolve()
        for part in cell.split(";")
        if NOT_BUILT not in part
        for name in part.split(",")
    ]


def names_of(path: Path) -> list[str]:
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def test_the_table_is_whole() -> None:
    found = rows()
    assert list(found) == list(range(1, max(found) + 1))
    assert max(found) >= 31


def test_every_file_stands_in_its_row_and_every_row_names_its_files() -> None:
    here = {path.resolve() for path in HERE.glob("test_a[0-9][0-9]_*.py")}
    of_rows = {number: set(named(cell)) for number, cell in rows().items()}
    for number, paths in of_rows.items():
        assert {path for path in here if path.name.startswith(f"test_a{number:02}_")} == paths & here
    for path in set().union(*of_rows.values()):
        assert path.is_file(), path


@pytest.mark.parametrize("row", [number for number, cell in rows().items() if named(cell)])
def test_every_row_attacks_and_switches_its_defence_off(row: int) -> None:
    own = [path for path in named(rows()[row]) if path.parent == HERE]
    assert own, "a row has a file of its own"
    names = [name for path in own for name in names_of(path)]
    without = [name for name in names if name.startswith("test_without_")]
    assert without, "no test switches the defence off"
    assert set(names) - set(without), "no test performs the attack"
    for path in own:
        assert path.read_text().startswith(f'"""A{row}'), "a file begins with its row"
