"""The command `mobium-desktop` says in a sentence what is missing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mobium_client.gui.start import main


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    return subprocess.run(
        [sys.executable, "-m", "mobium_client", *arguments],
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
@pytest.mark.parametrize("display", ["", ":4711"])
def test_without_a_display_it_says_so(tmp_path: Path, display: str) -> None:
    done = run(HOME=str(tmp_path), MOBIUM_DATA_DIR=str(tmp_path), **({"DISPLAY": display} if display else {}))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.strip().splitlines()[-1].startswith("mobium-desktop: There is no display")
    assert "Traceback" not in done.stderr


def test_words_of_the_command_line_are_no_words_of_the_desktop(tmp_path: Path) -> None:
    done = run("contact", "list", HOME=str(tmp_path))
    assert done.returncode == 2
    assert "unrecognized arguments: contact list" in done.stderr


@pytest.mark.parametrize(
    ("missing", "said"), [("_tkinter", "python3-tk"), ("customtkinter", "mobium-client[desktop]")]
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str, said: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 1
    assert said in capsys.readouterr().err
