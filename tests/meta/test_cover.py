"""The table of docs/QUALITY.md is made of a report of coverage.py, and of the packages that there are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.meta.tree import ROOT
from tools import cover


def file(statements: int, missing: int, branches: int, untaken: int) -> dict[str, Any]:
    numbers = ("num_statements", "missing_lines", "num_branches", "missing_branches")
    return {"summary": dict(zip(numbers, (statements, missing, branches, untaken), strict=True))}


def test_a_package_has_the_sum_of_its_files_and_branches_count() -> None:
    report = {
        "files": {
            "python/mobium/crypto/group.py": file(10, 1, 4, 1),
            "python/mobium/crypto/session.py": file(6, 0, 0, 0),
            "server_app/mobium_server/app.py": file(5, 5, 0, 0),
            "server_app/mobium_server/care/__init__.py": file(0, 0, 0, 0),
        }
    }
    assert cover.table(cover.rows(report)).splitlines()[2:] == [
        "| `mobium.crypto` | 2 | 16 | 4 | 90.0 % |",
        "| `mobium_server` | 1 | 5 | 0 | 0.0 % |",
        "| `mobium_server.care` | 1 | 0 | 0 | 100.0 % |",
        "| all | 4 | 21 | 4 | 72.0 % |",
    ]


def test_the_table_is_put_in_its_place_again_and_again() -> None:
    page = f"before\n{cover.BEGIN}\nold\n{cover.END}\nafter\n"
    once = cover.with_table(page, "new")
    assert once == f"before\n{cover.BEGIN}\n\nnew\n\n{cover.END}\nafter\n"
    assert cover.with_table(once, "new") == once
    with pytest.raises(ValueError, match="no place for the table"):
        cover.with_table("a page", "new")


def test_the_page_has_a_row_for_every_package() -> None:
    files = [file for root in ("python", "server_app") for file in (ROOT / root).rglob("*.py")]
    packages = {cover.package(file.relative_to(ROOT).as_posix()) for file in files}
    rows = re.findall(r"^\| `(mobium[\w.]*)` \|", cover.PAGE.read_text("utf-8"), re.MULTILINE)
    assert set(rows) == packages


def test_each_back_end_has_folders_that_there_are() -> None:
    for folders in cover.FOLDERS.values():
        assert all((ROOT / "tests" / folder).is_dir() for folder in folders)
