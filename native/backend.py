"""The build backend of the distribution `mobium` (PEP 517, PEP 660): native where Rust is found, else pure.

`MOBIUM_BUILD=auto|native|pure` (default auto). It says in one sentence what it builds and why; `pip -v` shows
that sentence, `mobium --version` shows what came of it. The sdist is the same with and without Rust. Standard
library only, since it runs before anything is installed. Not its concern: how maturin and hatchling build.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

__all__ = [
    "Choice",
    "build_editable",
    "build_sdist",
    "build_wheel",
    "choose",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]

MATURIN = "maturin>=1.16,<2"
HATCHLING = "hatchling>=1.27,<2"
EDITABLES = "editables>=0.5,<1"  # hatchling asks for it in editable builds

_ROOT = Path(__file__).resolve().parent.parent
_CARGO_TIMEOUT = 60  # seconds; a first call through rustup may have to look around

Settings = dict[str, Any] | None


class Choice(NamedTuple):
    """What is built, and the sentence that says so."""

    native: bool
    sentence: str


def _oldest_rust() -> tuple[int, ...]:
    """The `rust-version` of Cargo.toml, e.g. (1, 85); () where it names none."""
    package = tomllib.loads((_ROOT / "Cargo.toml").read_text("utf-8"))["workspace"]["package"]
    return tuple(int(part) for part in package.get("rust-version", "").split(".") if part)


def _why_no_rust() -> str | None:
    """Why the extension cannot be built here, or None where it can."""
    cargo = shutil.which("cargo")
    if cargo is None:
        return "cargo was not found"
    try:
        # cargo of rustup is there without a toolchain too, and then only a call tells
        answer = subprocess.run(
            [cargo, "--version"],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            timeout=_CARGO_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return f"{cargo} does not run"
    found = re.match(r"cargo (\d+)\.(\d+)", answer.stdout)
    if answer.returncode != 0 or found is None:
        return f"{cargo} does not run"
    oldest = _oldest_rust()
    if (int(found[1]), int(found[2])) < oldest[:2]:
        return f"cargo {found[1]}.{found[2]} is older than the {oldest[0]}.{oldest[1]} it takes"
    return None


def choose() -> Choice:
    """What is to be built here.

    Raises SystemExit with a sentence where MOBIUM_BUILD has no such value, or asks for native without Rust.
    """
    asked = os.environ.get("MOBIUM_BUILD") or "auto"
    if asked not in ("auto", "native", "pure"):
        raise SystemExit(f"MOBIUM_BUILD is auto, native or pure, not {asked!r}.")
    if asked == "pure":
        return Choice(native=False, sentence="mobium: building the pure wheel, as MOBIUM_BUILD=pure asks.")
    why_not = _why_no_rust()
    if why_not is None:
        return Choice(native=True, sentence="mobium: cargo was found, building the native extension.")
    if asked == "native":
        raise SystemExit(f"MOBIUM_BUILD=native asks for the native extension, but {why_not}.")
    return Choice(
        native=False,
        sentence=f"mobium: {why_not}, so this is the pure wheel: it does the same, only slower.",
    )


def _say(sentence: str) -> None:
    print(sentence, flush=True)


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """maturin for the native wheel, hatchling for the pure one."""
    del config_settings
    return [MATURIN] if choose().native else [HATCHLING]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """As for a wheel."""
    del config_settings
    return [MATURIN] if choose().native else [HATCHLING, EDITABLES]


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    """Always hatchling: the sdist takes no Rust to make."""
    del config_settings
    return [HATCHLING]


def _build(what: str, *arguments: Any) -> str:
    choice = choose()
    _say(choice.sentence)
    builder = import_module("maturin" if choice.native else "hatchling.build")
    try:
        name: str = getattr(builder, what)(*arguments)
    except (SystemExit, subprocess.CalledProcessError):
        if choice.native:
            # on its own line after cargo's own words, which say what went wrong
            sys.stderr.write(
                "mobium: the native extension did not build; perhaps a C compiler or the network is missing."
                " MOBIUM_BUILD=pure installs mobium without it.\n"
            )
        raise
    return name


def build_wheel(
    directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Builds the wheel into `directory` and returns its file name."""
    return _build("build_wheel", directory, config_settings, metadata_directory)


def build_editable(
    directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Builds the editable wheel into `directory` and returns its file name."""
    return _build("build_editable", directory, config_settings, metadata_directory)


def build_sdist(directory: str, config_settings: Settings = None) -> str:
    """Builds the sdist into `directory` and returns its file name."""
    name: str = import_module("hatchling.build").build_sdist(directory, config_settings)
    return name
