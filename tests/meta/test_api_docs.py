"""Every public name of the library's doors says what it is, and the reference is made of that."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.meta.tree import ROOT
from tools import docs

PACKAGES = {"mobium", "mobium.protocol"}  # which list no names, or only a version


def silent(name: str, found: Any) -> Iterator[str]:
    """What of a class or a function, and of its public methods, has no docstring."""
    if not inspect.getdoc(found):
        yield name
    if not inspect.isclass(found):
        return
    for part, value in vars(found).items():
        inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if not part.startswith("_") and inspect.isroutine(inner) and not inspect.getdoc(inner):
            yield f"{name}.{part}"


@pytest.mark.parametrize("door", [door for door in docs.DOORS if door not in PACKAGES])
def test_every_public_name_has_a_docstring(door: str) -> None:
    module = importlib.import_module(door)
    names = {name: getattr(module, name) for name in module.__all__}
    ours = {
        name: found
        for name, found in names.items()
        if (inspect.isclass(found) or inspect.isroutine(found))
        # the extension's are documented in its twins, of which the reference is made
        and not str(getattr(found, "__module__", "")).startswith(("mobium._native", "builtins"))
    }
    assert ours
    assert [text for name, found in ours.items() for text in silent(name, found)] == []


def made(folder: Path, *doors: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / "docs.py"), str(folder), *doors]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    for door in doors or docs.DOORS:
        assert (folder / f"{door.replace('.', '/')}.html").is_file(), door


def test_a_page_of_the_reference_is_made(tmp_path: Path) -> None:
    made(tmp_path, "mobium.errors")
    assert "MediaUnavailable" in (tmp_path / "mobium" / "errors.html").read_text("utf-8")


@pytest.mark.long
def test_the_reference_is_made(tmp_path: Path) -> None:
    made(tmp_path)
    assert "32 bytes" in (tmp_path / "mobium" / "crypto.html").read_text("utf-8")
