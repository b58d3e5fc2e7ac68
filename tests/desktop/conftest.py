"""A private display and home for tests that show a window; passwords that cost nothing for all."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.display import Display, display
from tests.support.engines import fast_folder, fast_vault
from tests.support.programs import where


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    fast_vault(monkeypatch)
    for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"):  # nothing is shown on somebody's own desktop
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder in memory, which is the one of the environment too."""
    with fast_folder() as path:
        monkeypatch.setenv("MOBIUM_DATA_DIR", str(path))
        yield path


@pytest.fixture(scope="session")
def _screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Display]:
    with display(tmp_path_factory.mktemp("screen"), 1440, 900) as shown:
        yield shown


@pytest.fixture
def screen(_screen: Display, monkeypatch: pytest.MonkeyPatch) -> Iterator[Display]:
    """A display of 1440 by 900 pixels, which the environment names; and a home for CustomTkinter's fonts.

    What a window leaves behind is collected here, in its own thread: the next test's background loop would
    wait for a window that is gone. The pointer is in the last corner, wherever another test has left it: no
    window manager gives the focus here, and a window that shrinks away from under the pointer loses it.
    """
    monkeypatch.setenv("DISPLAY", _screen.name)
    monkeypatch.setenv("HOME", _screen.environ["HOME"])
    if hand := where("xdotool"):  # without it, nothing has moved the pointer
        subprocess.run([hand, "mousemove", "1439", "899"], stdin=subprocess.DEVNULL, timeout=20, check=True)
    yield _screen
    gc.collect()
