"""The edge to the screens of a machine: what every capture gives, and the real one, by mss.

    monitors, choose    which screen
    grab                what is on it now

`PatternCapture` (`mobium.media.pattern`) needs no screen, and is the reference. A capture belongs to the
thread that opened it. Not its concern: when it is time to grab (`mobium.media.pace`), and what becomes of it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol

from mobium.errors import CaptureUnavailable, InvalidInput, MediaUnavailable
from mobium.media.form import INSTALL, needed

if TYPE_CHECKING:
    from mss import MSS, ScreenShot

__all__ = ["Capture", "Monitor", "ScreenCapture", "Shot", "pick"]

LOOKS: Final = 2.0
"""Seconds after which it is looked again which monitors there are, and how large: 0.5 ms."""

_NO_SCREEN: Final = (
    "There is no screen to show: DISPLAY names no X server that answers. Log in to a desktop, or set DISPLAY."
)
_LIBRARIES: Final = "sudo apt install libxcb1 libxcb-randr0 libxcb-render0 libxcb-shm0 libxcb-xfixes0"


@dataclass(frozen=True, slots=True)
class Monitor:
    """A screen, or a part of one, that can be shown. Sizes are in pixels."""

    name: str
    """By which it is chosen."""
    width: int
    height: int
    default: bool


@dataclass(frozen=True, slots=True, repr=False)
class Shot:
    """What was on a screen: four bytes for each pixel, blue, green, red and one that says nothing, row by
    row.
    """

    width: int
    height: int
    data: bytes | bytearray

    def __repr__(self) -> str:
        return f"<Shot {self.width}x{self.height}>"


class Capture(Protocol):
    """The screens of a machine."""

    def monitors(self) -> list[Monitor]:
        """Those there are; one at least."""

    def choose(self, name: str | None) -> None:
        """Grab the monitor called `name` from now on, or the default one for None.

        Raises InvalidInput for a name that there is not.
        """

    def grab(self) -> Shot:
        """What is on the chosen monitor now, in its present size. Raises CaptureUnavailable if that is gone,
        or after `close`.
        """

    def close(self) -> None:
        """Ends it. May be called again."""


def pick(name: str | None, present: list[Monitor]) -> Monitor:
    """The monitor of this name, or the default one for None. Raises InvalidInput."""
    if name is None:
        return next((one for one in present if one.default), present[0])
    for one in present:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in present)
    raise InvalidInput(f"There is no monitor called {name}; there are: {names}.")


class ScreenCapture:
    """The real screens: X11, Windows, macOS. Where the system tells them apart the pointer is in the
    picture.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises CaptureUnavailable, which says what is missing or what to do."""
        try:
            self._mss = needed("mss", "Showing the screen")
        except MediaUnavailable as error:
            raise CaptureUnavailable("Showing the screen takes the Python package mss, which is missing.",
                                     INSTALL) from error  # fmt: skip
        self._arguments: dict[str, Any] = {}
        if sys.platform.startswith("linux"):
            _refuse_wayland(environ)
            if not environ.get("DISPLAY"):
                raise CaptureUnavailable(_NO_SCREEN)
            self._arguments = {"display": environ["DISPLAY"], "with_cursor": True}
        self._clock = clock
        self._chosen: str | None = None
        self._looked = clock()
        self._open: MSS | None = self._connect()
        self._places = self._look(self._open)

    def monitors(self) -> list[Monitor]:
        """As `Capture` has it."""
        self._refresh()
        return list(self._places)

    def choose(self, name: str | None) -> None:
        """As `Capture` has it."""
        pick(name, self.monitors())
        self._chosen = name

    def grab(self) -> Shot:
        """As `Capture` has it."""
        if self._clock() - self._looked >= LOOKS:
            self._refresh()
        try:
            return self._grab()
        except CaptureUnavailable:
            self._refresh()  # it may have got another size just now
            return self._grab()

    def close(self) -> None:
        """As `Capture` has it."""
        if self._open is not None:
            with contextlib.suppress(*_errors(self._mss)):  # as when the X server has gone before us
                self._open.close()
            self._open = None

    def _grab(self) -> Shot:
        if self._open is None:
            raise CaptureUnavailable("The screen is not captured any more.")
        try:
            monitor = pick(self._chosen, list(self._places))
        except InvalidInput as error:
            raise CaptureUnavailable(
                f"There is no monitor called {self._chosen} any more; choose another one."
            ) from error
        try:
            shot: ScreenShot = self._open.grab(self._places[monitor])
        except _errors(self._mss) as error:
            raise CaptureUnavailable("The screen cannot be captured: the display is gone.") from error
        return Shot(shot.width, shot.height, shot.raw)

    def _refresh(self) -> None:
        """Look again: what mss knows of monitors, and the memory that it shares with the X server, are as of
        its start.
        """
        if self._open is None:
            raise CaptureUnavailable("The screen is not captured any more.")
        self._looked = self._clock()
        fresh = self._connect()
        self.close()
        self._open = fresh
        self._places = self._look(fresh)

    def _connect(self) -> MSS:
        try:
            opened: MSS = self._mss.MSS(**self._arguments)
        except _errors(self._mss) as error:
            if "not found" in str(error):
                raise CaptureUnavailable("Showing the screen takes libxcb with its extensions.",
                                         _LIBRARIES) from error  # fmt: skip
            raise CaptureUnavailable(_NO_SCREEN) from error
        return opened

    def _look(self, opened: MSS) -> dict[Monitor, dict[str, Any]]:
        try:
            found = opened.monitors[1:]  # the first is all of them as one
        except _errors(self._mss) as error:
            raise CaptureUnavailable("The display does not say what monitors it has.") from error
        if not found:
            raise CaptureUnavailable("There is no screen to show: no monitor is connected.")
        places: dict[Monitor, dict[str, Any]] = {}
        names: set[str] = set()
        for number, place in enumerate(found, 1):
            name = str(place.get("output") or place.get("name") or f"monitor {number}")
            if name in names:
                name = f"{name} ({number})"
            names.add(name)
            places[Monitor(name, place["width"], place["height"], bool(place.get("is_primary")))] = place
        return places


def _errors(mss: ModuleType) -> tuple[type[Exception], ...]:
    """What mss raises: its own, and what its insides stumble over once the X server is gone."""
    return (mss.ScreenShotError, AssertionError, OSError, RuntimeError)


def _refuse_wayland(environ: Mapping[str, str]) -> None:
    """Raises CaptureUnavailable where what could be captured is not what the person sees: under Wayland an X
    server shows the windows of old programs alone.
    """
    if environ.get("WAYLAND_DISPLAY") or environ.get("XDG_SESSION_TYPE") == "wayland":
        raise CaptureUnavailable(
            "The screen cannot be shown from a Wayland session, which lets no program see it. Log out, and "
            "choose a session of Xorg (X11) at the login."
        )
