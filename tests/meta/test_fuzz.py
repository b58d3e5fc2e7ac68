"""The fuzz targets are those that manifest and folder know; running them takes more than a test's time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS
from tests.meta.tree import ROOT
from tools import fuzz


def run(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), *arguments]
    env = {"PATH": path}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_each_target_has_its_file_and_each_file_its_target() -> None:
    assert sorted(run("--list").stdout.split()) == sorted(
        file.stem for file in (fuzz.FUZZ / "targets").iterdir()
    )
    assert len(fuzz.targets()) >= 9


def test_each_kernel_has_a_parser_and_a_state_machine() -> None:
    names = fuzz.targets()
    for kernel in ("ratchet", "sender_key", "frame"):
        of = [name for name in names if name.startswith(kernel)]
        assert f"{kernel}_machine" in of
        assert len(of) > 1
    assert "padding" in names


def test_seeds_are_of_targets_that_there_are() -> None:
    seeds = fuzz.FUZZ / "seeds"
    found = [folder.name for folder in seeds.iterdir() if folder.is_dir()] if seeds.is_dir() else []
    assert set(found) <= set(fuzz.targets())


def test_the_targets_in_python_are_named_too() -> None:
    assert run("--python", "--list").stdout.split() == list(TARGETS)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    wrong = run("nonsense")
    assert (wrong.returncode, wrong.stderr.partition(";")[0]) == (2, "There is no target nonsense")
    missing = run("padding", path=str(tmp_path))
    assert (missing.returncode, missing.stderr) == (2, "Fuzzing takes cargo-fuzz: cargo install cargo-fuzz\n")
