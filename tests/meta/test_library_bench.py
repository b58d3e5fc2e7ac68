"""`python -m mobium.bench` runs: with tiny times, and no figure held to a mark."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mobium
from mobium import bench
from tests.meta.tree import ROOT
from tests.support.needs import require_extension

KERNELS = ("padding", "ratchet", "sender key", "frame", "session")


def run(*arguments: str, path: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "MOBIUM_BACKEND"}
    kept |= {"PYTHONPATH": str(path)} if path else {}
    return subprocess.run(
        [sys.executable, "-m", "mobium.bench", *arguments],
        env=kept | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_kernel_and_the_session_are_measured_on_both_back_ends() -> None:
    require_extension()
    done = run("--seconds", "0.1")
    assert (done.returncode, done.stderr) == (0, "")
    first, head, *lines = done.stdout.splitlines()
    assert mobium.__version__ in first
    assert head.split()[-2:] == ["native", "pure"]
    assert {line.partition(":")[0] for line in lines} == set(KERNELS)
    assert all(re.search(r" [\d,.]+ +[\d,.]+ +[\d.]+x$", line) for line in lines), done.stdout


def test_without_the_extension_it_says_so_and_measures_pure(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "python" / "mobium",
        tmp_path / "mobium",
        ignore=shutil.ignore_patterns("_native.*", "__pycache__"),
    )
    done = run("--seconds", "0.1", path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "The native extension is not installed here" in done.stdout
    assert done.stdout.splitlines()[2].split()[-1] == "pure"
    assert "x" not in done.stdout.splitlines()[3].split()[-1]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "1e9", "soon"])
def test_a_time_that_is_none_is_refused_in_a_sentence(seconds: str) -> None:
    done = run(f"--seconds={seconds}")
    assert done.returncode == 2
    assert "--seconds" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_what_stops_a_back_end_is_said(tmp_path: Path) -> None:
    """An extension of other kernels: the library refuses it, and the bench passes the sentence on."""
    shutil.copytree(
        ROOT / "python" / "mobium",
        tmp_path / "mobium",
        ignore=shutil.ignore_patterns("_native.*", "__pycache__"),
    )
    (tmp_path / "mobium" / "_native.py").write_text("KERNEL_VERSION = 0\n")
    done = run("--seconds", "0.1", path=tmp_path)
    assert done.returncode == 1
    assert "kernel version 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_process_measures_the_back_end_that_it_has() -> None:
    done = run("--seconds", "0.05", "--json", MOBIUM_BACKEND="pure")
    times: bench.Times = json.loads(done.stdout)
    assert {name.partition(":")[0] for name in times} == set(KERNELS)
    assert all(all(one > 0 for one in each) for each in times.values())
    assert bench.table({"pure": times}).count("\n") == len(times)
