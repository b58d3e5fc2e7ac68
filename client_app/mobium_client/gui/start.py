"""The command `mobium-desktop`: what is missing is said in a sentence, before any window is made."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence

from mobium import __version__
from mobium_client.log import describe, keep_log, note

__all__ = ["main"]

_EXTRA = "The desktop needs more than the command line: pip install 'mobium-client[desktop]'"
_NO_TK = (
    "This Python has no Tk, which draws the window. Debian, Ubuntu: sudo apt install python3-tk; "
    "Fedora: sudo dnf install python3-tkinter; Arch: sudo pacman -S tk; macOS: brew install python-tk"
)
_NO_DISPLAY = (
    "There is no display to show a window on. Without one, the command line does the same: mobium --help"
)
_NEEDED = ("customtkinter", "PIL", "fonticon_mdi7", "desktop_notifier", "zxcvbn")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the desktop and end the process: 0 done, 1 something is missing, 2 wrong words, 70 unexpected."""
    parser = argparse.ArgumentParser(
        prog="mobium-desktop",
        description="Encrypted messages through a server that you or a friend hosts. In a terminal: mobium",
    )
    parser.add_argument("--profile", metavar="NAME", help="which profile to open, if there are several")
    parser.add_argument("--version", action="version", version=f"mobium {__version__}")
    chosen = parser.parse_args(arguments)
    with keep_log():
        sys.exit(_run(chosen.profile))


def _run(profile: str | None) -> int:
    if (missing := _missing()) is not None:
        return _refuse(missing)
    from mobium_client.gui.app import App

    try:
        app = App(profile)
    except Exception as error:  # noqa: BLE001 - the outermost edge; the class of Tk's error has no other name here
        if type(error).__name__ == "TclError" and "display" in str(error):
            return _refuse(_NO_DISPLAY)
        return _unexpected(error)
    try:
        app.mainloop()
    except KeyboardInterrupt:
        app.close()
    app.end()
    return 0


def _missing() -> str | None:
    if importlib.util.find_spec("_tkinter") is None:
        return _NO_TK
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        return _EXTRA
    return None


def _refuse(sentence: str) -> int:
    print(f"mobium-desktop: {sentence}", file=sys.stderr)  # noqa: T201
    return 1


def _unexpected(error: BaseException) -> int:
    try:
        where = f"the details are in {note(describe(error))}"
    except OSError:
        where = "and no log could be written"
    _refuse(f"Something unexpected went wrong ({type(error).__name__}); {where}")
    return 70
