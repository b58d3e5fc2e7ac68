"""SPEC.md says what the code does."""

from tools import spec


def test_tables_are_current() -> None:
    text = spec.SPEC.read_text(encoding="utf-8")
    assert spec.current(text) == text, "run python tools/spec.py"


def test_a_stale_table_is_seen() -> None:
    text = spec.SPEC.read_text(encoding="utf-8").replace("| `tag` | int 1..", "| `tag` | int 2..")
    assert spec.current(text) != text
