"""What `make wheels` and `make wheel-pi` check their work with, tried on the tree itself.

The targets build and install, which takes minutes, and check what they made themselves.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.tree import ROOT, load
from tests.support.needs import require_extension
from tests.support.server import ServerProcess
from tools import pi, pi_tools, wheels


def smoke(
    backend: str, *arguments: str, asked: str | None = None, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    first = {} if path is None else {"PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, str(wheels.SMOKE), asked or backend, *arguments],
        env={**os.environ, "MOBIUM_BACKEND": backend, **first},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_what_works_does_well() -> None:
    done = smoke("pure", "talk")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pure talk: well, on Python 3.")


@pytest.mark.serial
@pytest.mark.needs("Xvfb", "xdotool")
def test_a_desktop_that_was_installed_shows_its_window() -> None:
    done = smoke("pure", "window")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pure window: well, on Python 3.")


@pytest.mark.serial
@pytest.mark.needs("Xvfb", "xdotool")
def test_a_desktop_without_its_parts_is_found(tmp_path: Path) -> None:
    (tmp_path / "customtkinter.py").write_text("raise ImportError('gone')", "utf-8")
    done = smoke("pure", "window", path=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "The desktop client had an error" in done.stderr


def test_two_people_talk_through_a_server_that_runs(tmp_path: Path) -> None:
    require_extension()
    with ServerProcess(tmp_path) as server:
        done = smoke("native", "talk", server.url)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wheel_of_another_back_end_is_found() -> None:
    done = smoke("pure", asked="native")
    assert (done.returncode, done.stdout) == (1, "")
    assert "The back end is pure, not native." in done.stderr


def test_the_pythons_are_those_that_run_here() -> None:
    found = wheels.pythons()
    assert found
    for version, python in found.items():
        said = subprocess.run([python, "--version"], capture_output=True, text=True, timeout=60, check=True)
        assert f"Python {version}." in said.stdout


def test_a_wheel_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "DIST", tmp_path)
    with pytest.raises(SystemExit, match="dist/ has 0 files"):
        wheels.found("mobium-*.tar.gz")


def test_the_pi_s_wheel_is_not_taken_for_this_machine_s() -> None:
    own = f"mobium-1.0.0-cp311-abi3-manylinux_2_28_{platform.machine().lower()}.whl"
    assert Path(own).match(wheels.NATIVE)
    other = "aarch64" if platform.machine() != "aarch64" else "x86_64"
    assert not Path(f"mobium-1.0.0-cp311-abi3-manylinux_2_34_{other}.whl").match(wheels.NATIVE)


def test_the_emulated_tests_take_what_pyproject_says() -> None:
    extra = {
        re.split(r"[\[>]", each)[0]: each
        for each in load("pyproject.toml")["project"]["optional-dependencies"]["dev"]
    }
    assert [each for each in pi.TESTING if extra[each.partition(">")[0]] != each] == []
    assert all((ROOT / name).exists() for name in [*pi.TESTS, *pi.CHILDREN])


def test_where_debian_s_packages_are_not_to_be_had_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pi_tools, "RUST", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pi_tools.PiError, match="takes Debian's packages, and apt-get is not here"):
        pi_tools.fetch()
