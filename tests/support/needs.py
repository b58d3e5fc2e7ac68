"""What a test cannot do without, and what becomes of the test where it is missing.

It is skipped with a reason, which the end of the session lists; in CI it fails. Not its concern: how commands
of the system are installed (tools/system_packages.sh) and how the extension is built (tools/setup.py).
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.programs import where

__all__ = ["COMMANDS", "EXTENSION", "require_commands", "require_extension"]

COMMANDS = "needs of the system: "
LIBRARIES = ("usr/lib", "usr/lib64", "usr/lib/*-linux-*", "usr/local/lib", "opt/homebrew/lib")
EXTENSION = "needs the native extension, which is not built here"


def _missing(text: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def _there(name: str) -> bool:
    """Whether a command, or a library (lib...), is installed: as tools/system_packages.sh sees it."""
    if not name.startswith("lib"):
        return where(name) is not None
    return any(
        any(Path("/").glob(f"{folder}/{below}{name}.*"))
        for folder in LIBRARIES
        for below in ("", "alsa-lib/")
    )


def require_commands(*names: str) -> None:
    """Goes on where all these commands and libraries are; usually said as @pytest.mark.needs("git")."""
    missing = [name for name in names if not _there(name)]
    if missing:
        _missing(f"{COMMANDS}{', '.join(missing)}")


def require_extension() -> None:
    """Goes on where mobium has its native extension, whichever back end the session runs on."""
    if find_spec("mobium._native") is None:
        _missing(EXTENSION)
