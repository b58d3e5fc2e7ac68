"""The settings of the desktop on this machine: how it looks, what it tells, which devices it uses.

They lie in a file of their own where the system keeps settings, not in a profile, since the unlock screen
needs them; so nothing in them says who somebody is. Not its concern: the settings of a profile.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import platformdirs

__all__ = ["SCALES", "Appearance", "Notify", "Settings", "load", "save", "settings_file"]

Appearance = Literal["system", "dark", "light"]
Notify = Literal["full", "quiet", "off"]

SCALES = (80, 90, 100, 110, 125, 150, 175, 200)
"""Text sizes that can be chosen, per cent."""

_ALLOWED: dict[str, frozenset[object]] = {
    "appearance": frozenset(("system", "dark", "light")),
    "notifications": frozenset(("full", "quiet", "off")),
    "text_scale": frozenset(SCALES),
}
_LARGEST = 65_536  # bytes of the file; ours takes some hundred


@dataclass(frozen=True, slots=True)
class Settings:
    """`text_scale` is in per cent; `idle_minutes` 0 never locks; `notifications` is "full", "quiet" (that
    something came, not what) or "off"; a device is None for the system's own choice; `last_profile` is what
    the picker shows first.
    """

    appearance: Appearance = "system"
    text_scale: int = 100
    idle_minutes: int = 15
    notifications: Notify = "quiet"
    microphone: str | None = None
    speaker: str | None = None
    last_profile: str | None = None
    width: int = 1000
    height: int = 700


def settings_file(environment: Mapping[str, str] | None = None) -> Path:
    """Where they lie: in MOBIUM_DATA_DIR if that is set, else where the system keeps settings of programs."""
    chosen = (os.environ if environment is None else environment).get("MOBIUM_DATA_DIR", "").strip()
    folder = Path(chosen).expanduser().absolute() if chosen else _config_folder()
    return folder / "desktop.json"


def _config_folder() -> Path:
    return Path(platformdirs.user_config_dir("Mobium", appauthor=False, roaming=True))


def load(file: Path) -> Settings:
    """The settings of `file`; what is missing, unreadable or makes no sense has its default."""
    try:
        with file.open("rb") as opened:
            given = json.loads(opened.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return Settings()
    if not isinstance(given, dict):
        return Settings()
    return replace(Settings(), **{name: value for name, value in given.items() if _fits(name, value)})


def _fits(name: str, value: Any) -> bool:
    default = {field.name: field.default for field in fields(Settings)}.get(name, ...)
    if default is ...:
        return False
    if name in _ALLOWED:
        return isinstance(value, str | int) and value in _ALLOWED[name]
    if default is None:
        return value is None or isinstance(value, str)
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100_000


def save(file: Path, settings: Settings) -> None:
    """Replace `file`, whole or not at all; a disk that refuses changes nothing but that."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened, name = tempfile.mkstemp(dir=file.parent)
    except OSError:
        return
    fresh = Path(name)
    try:
        with os.fdopen(opened, "w", encoding="utf-8") as writing:  # Windows replaces no open file
            writing.write(json.dumps(asdict(settings), indent=1))
        fresh.replace(file)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
