"""Which back end is picked, and when none is: docs of `mobium._backend`. Each case is a fresh process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mobium import _backend
from tests.support.needs import require_extension

ROOT = Path(__file__).parents[2]
SHOW = "from mobium import _backend; print(_backend.NAME, _backend.Ratchet.__module__)"

# Stand-ins for an extension that is not installed, and for one that was built for other kernels.
ABSENT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "mobium._native":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
STALE = """
import sys, types
native = types.ModuleType("mobium._native")
{version}
sys.modules["mobium._native"] = native
"""
BROKEN = """
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "mobium._native":
            raise ImportError("undefined symbol", name=name)
sys.meta_path.insert(0, Broken())
"""


def run(asked: str | None, before: str = "") -> subprocess.CompletedProcess[str]:
    """What a fresh interpreter says of the back end under MOBIUM_BACKEND=asked."""
    environment = {key: value for key, value in os.environ.items() if key != "MOBIUM_BACKEND"}
    if asked is not None:
        environment["MOBIUM_BACKEND"] = asked
    environment["PYTHONPATH"] = str(ROOT / "python")
    return subprocess.run(
        [sys.executable, "-c", before + SHOW],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def error_of(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    assert result.stdout == ""
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    return last


@pytest.mark.parametrize("asked", ["native", "auto", "", None])
def test_native_where_it_is_installed(asked: str | None) -> None:
    require_extension()
    assert run(asked).stdout.split() == ["native", "mobium._native"]


def test_pure_when_asked_for() -> None:
    assert run("pure").stdout.split() == ["pure", "mobium._pure.ratchet"]
    assert run("pure", ABSENT).stdout.split() == ["pure", "mobium._pure.ratchet"]


def test_auto_without_the_extension_is_pure() -> None:
    assert run("auto", ABSENT).stdout.split() == ["pure", "mobium._pure.ratchet"]


def test_native_without_the_extension_is_an_import_error() -> None:
    assert "without its native extension" in error_of(run("native", ABSENT))


@pytest.mark.parametrize("version", ["native.KERNEL_VERSION = 0", "native.KERNEL_VERSION = 10**6", ""])
@pytest.mark.parametrize("asked", ["native", "auto"])
def test_a_stale_extension_is_refused(asked: str, version: str) -> None:
    assert "rebuild it" in error_of(run(asked, STALE.format(version=version)))


def test_pure_does_not_look_at_a_stale_extension() -> None:
    assert run("pure", STALE.format(version="")).stdout.split()[0] == "pure"


@pytest.mark.parametrize("asked", ["native", "auto"])
def test_an_extension_that_does_not_load_is_never_passed_over(asked: str) -> None:
    assert "undefined symbol" in error_of(run(asked, BROKEN))


@pytest.mark.parametrize("asked", ["rust", "NATIVE", "pure "])
def test_another_word_is_refused(asked: str) -> None:
    assert "auto, native or pure" in error_of(run(asked))


def test_the_kernel_version_is_said_twice_and_equal() -> None:
    source = (ROOT / "native" / "core" / "src" / "lib.rs").read_text()
    said = re.findall(r"^pub const KERNEL_VERSION: u32 = (\d+);$", source, re.MULTILINE)
    assert said == [str(_backend.KERNEL_VERSION)]
