"""What tools/setup.py does of its steps, and what it says: the steps themselves are replaced."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module, on a machine with Rust and without an extension; `steps` holds what was done."""
    spec = importlib.util.spec_from_file_location("mobium_setup", ROOT / "tools" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.syspath_prepend(str(ROOT / "native"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    steps: list[str] = []
    built: list[Path] = []

    def build(_stamps: dict[str, str]) -> None:
        steps.append("build")
        if module.backend.choose().native:
            built.append(tmp_path / "_native.so")

    monkeypatch.setattr(module, "STAMPS", tmp_path / "stamps.json")
    monkeypatch.setattr(module, "install", lambda purpose, _stamps: steps.append(f"install {purpose}"))
    monkeypatch.setattr(module, "build_native", build)
    monkeypatch.setattr(module, "extensions", lambda: built)
    monkeypatch.setattr(module.backend, "choose", lambda: module.backend.Choice(True, "It can be built."))
    monkeypatch.setattr(module, "steps", steps, raising=False)
    return module


def test_a_first_run_waits_for_no_compiler_and_says_how_to_have_the_kernels(
    setup: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup.main(["run"]) == 0
    assert setup.steps == ["install run"]
    assert "make native" in capsys.readouterr().out
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "\nnative:\n\t@sh tools/setup.sh native\n" in makefile


def test_the_kernels_are_compiled_when_asked_for_and_kept_up_to_date_from_then_on(
    setup: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup.main(["native"]) == 0
    assert setup.main(["run"]) == 0
    assert setup.main(["dev"]) == 0
    assert setup.main(["desktop"]) == 0
    assert setup.steps == [
        *("install run", "build", "install run", "build"),
        *("install dev", "build", "install desktop", "build"),
    ]
    assert "make native" not in capsys.readouterr().out


def test_without_rust_nothing_is_promised(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup.backend, "choose", lambda: setup.backend.Choice(False, "There is no Rust."))
    assert setup.main(["run"]) == 0
    assert "make native" not in capsys.readouterr().out
    assert setup.main(["native"]) == 1
    assert setup.main(["dev"]) == 0
    assert setup.main(["neither"]) == 2
