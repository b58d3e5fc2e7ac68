"""About the program: version, back end, licences, where its log is.

Not its concern: opening files.
"""

from __future__ import annotations

import asyncio
import platform
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Final

from mobium import __version__
from mobium.client.profile import backend_name
from mobium_client.gui.models.context import Context
from mobium_client.gui.models.presenter import Presenter

__all__ = ["About", "AboutState", "licences"]

_USED: Final = (
    *("aiortc", "av", "cryptography", "customtkinter", "desktop-notifier", "msgpack", "msgspec", "mnemonic"),
    *("fonticon-materialdesignicons7", "mss", "numpy", "opuslib-next", "Pillow", "platformdirs"),
    *("segno", "sounddevice", "sqlcipher3", "websockets", "zxcvbn", "bidict"),
    *("arabic-reshaper", "dbus-fast", "python-bidi"),  # on Linux alone
)
_LONGEST: Final = 80  # characters; some packages have the whole text in the place of a name


@dataclass(frozen=True, slots=True)
class AboutState:
    """`licences` are name, version and licence of each package in use; `log` is where the log file is, and
    `logged` whether there is one.
    """

    version: str
    backend: str
    python: str
    log: str
    folder: str
    logged: bool = False
    licences: tuple[tuple[str, str, str], ...] = ()


class About(Presenter[AboutState]):
    """What there is to know of this program."""

    def __init__(self, context: Context) -> None:
        log = context.profiles.log_file
        state = AboutState(
            __version__, backend_name(), platform.python_version(), str(log), str(log.parent),
        )  # fmt: skip
        super().__init__(context.bridge, state)
        self._run(asyncio.to_thread(lambda: (licences(), log.exists())), self._known)

    def _known(self, found: tuple[tuple[tuple[str, str, str], ...], bool]) -> None:
        self._show(replace(self.state, licences=found[0], logged=found[1]))


def licences() -> tuple[tuple[str, str, str], ...]:
    """Name, version and licence of each package that the desktop uses and that is installed."""
    found = []
    for name in _USED:
        try:
            known = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        found.append((known["Name"], known["Version"], _licence(known)))
    return tuple(found)


def _licence(known: metadata.PackageMetadata) -> str:
    text = next((known[field] for field in ("License-Expression", "License") if field in known), "")
    if text and "\n" not in text and len(text) <= _LONGEST:
        return str(text)
    for classifier in known.get_all("Classifier") or []:
        if classifier.startswith("License :: OSI Approved :: "):
            return str(classifier).rpartition(" :: ")[2]
    return "see its own files"
