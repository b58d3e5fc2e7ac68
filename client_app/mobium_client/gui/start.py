"""The command `mobium-desktop`: what is missing is said in a sentence, before any window is made."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
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


def main(arguments: Sequence[str] | None = None, again: Sequence[str] | None = None) -> None:
    """Run the desktop and end the process: 0 done, 1 something is missing, 2 wrong words, 70 unexpected.

    Once a profile was locked, the command `again` (by default this one) takes the place of the process:
    Python cannot wipe what it held, and a new process image holds nothing of it.
    """
    parser = argparse.ArgumentParser(
        prog="mobium-desktop",
        description="Encrypted messages through a server that you or a friend hosts. In a terminal: mobium",
    )
    parser.add_argument("--profile", metavar="NAME", help="which profile to open, if there are several")
    parser.add_argument("--version", action="version", version=f"mobium {__version__}")
    parser.add_argument("--notice", default="", help=argparse.SUPPRESS)
    parser.add_argument("--place", default="", type=_place, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    with keep_log():
        sys.exit(_run(chosen, _itself() if again is None else again))


def _place(text: str) -> str:
    if text and re.fullmatch(r"\d{1,5}x\d{1,5}[+-]-?\d{1,5}[+-]-?\d{1,5}", text) is None:
        raise argparse.ArgumentTypeError("a place is WIDTHxHEIGHT+X+Y")
    return text


def _run(chosen: argparse.Namespace, again: Sequence[str]) -> int:
    if (missing := _missing()) is not None:
        return _refuse(missing)
    from mobium_client.gui.app import Anew, App

    try:
        app = App(
            chosen.profile, anew=Anew(chosen.profile, chosen.notice, chosen.place) if chosen.place else None
        )
        app.replace_when_locked()
    except Exception as error:  # noqa: BLE001 - the outermost edge; the class of Tk's error has no other name here
        if type(error).__name__ == "TclError" and "display" in str(error):
            return _refuse(_NO_DISPLAY)
        return _unexpected(error)
    try:
        app.mainloop()
    except KeyboardInterrupt:
        app.close()
    app.end()
    if app.anew is not None:
        left = {"--profile": app.anew.profile, "--notice": app.anew.notice, "--place": app.anew.place}
        os.environ["PYINSTALLER_RESET_ENVIRONMENT"] = "1"  # a bundle's next process is no part of this one
        os.execv(again[0], [*again, *(f"{name}={value}" for name, value in left.items())])  # noqa: S606
    return 0


def _itself() -> Sequence[str]:
    """The command that runs this program; `-P` keeps the folder where it was started out of the imports."""
    if getattr(sys, "frozen", False):
        return (sys.executable,)
    return (sys.executable, "-P", "-m", "mobium_client")


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
