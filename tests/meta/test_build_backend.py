"""Which wheel is built: the one with the extension where cargo is found, the pure one elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

import backend


@pytest.fixture
def cargo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with one folder alone; the file to put a cargo at."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MOBIUM_BUILD", raising=False)
    return tmp_path / "cargo"


def put(cargo: Path, script: str) -> None:
    cargo.write_text(f"#!/bin/sh\n{script}\n")
    cargo.chmod(0o755)


def test_without_cargo_it_is_pure_and_says_so(cargo: Path) -> None:
    choice = backend.choose()
    assert not choice.native
    assert choice.sentence == (
        "mobium: cargo was not found, so this is the pure wheel: it does the same, only slower."
    )
    assert backend.get_requires_for_build_wheel() == [backend.HATCHLING]
    assert backend.get_requires_for_build_editable() == [backend.HATCHLING, backend.EDITABLES]


def test_with_cargo_it_is_native(cargo: Path) -> None:
    put(cargo, "echo 'cargo 1.99.0 (abc 2030-01-01)'")
    assert backend.choose().native
    assert backend.get_requires_for_build_wheel() == [backend.MATURIN]
    assert backend.get_requires_for_build_editable() == [backend.MATURIN]


def test_the_sdist_takes_no_rust_to_make(cargo: Path) -> None:
    put(cargo, "echo 'cargo 1.99.0 (abc 2030-01-01)'")
    assert backend.get_requires_for_build_sdist() == [backend.HATCHLING]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'error: no toolchain installed' >&2; exit 1", "does not run"),
        ("echo 'something else'", "does not run"),
        ("echo 'cargo 1.63.0 (fd9c4297c 2022-07-01)'", "is older than the 1."),
    ],
)
def test_a_cargo_that_is_of_no_use_is_as_good_as_none(
    cargo: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    put(cargo, script)
    choice = backend.choose()
    assert not choice.native
    assert why in choice.sentence
    monkeypatch.setenv("MOBIUM_BUILD", "native")
    with pytest.raises(SystemExit, match=why):
        backend.choose()


def test_asking_for_pure_with_cargo_is_pure(cargo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cargo, "echo 'cargo 1.99.0 (abc 2030-01-01)'")
    monkeypatch.setenv("MOBIUM_BUILD", "pure")
    assert not backend.choose().native


def test_asking_for_native_without_cargo_is_an_error(cargo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBIUM_BUILD", "native")
    assert not cargo.exists()
    with pytest.raises(SystemExit, match=r"^MOBIUM_BUILD=native asks .* but cargo was not found\.$"):
        backend.get_requires_for_build_wheel()


def test_asking_for_anything_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBIUM_BUILD", "fast")
    with pytest.raises(SystemExit, match="auto, native or pure, not 'fast'"):
        backend.choose()


def test_nothing_is_needed_before_the_backend_is_asked() -> None:
    """The backend runs in an empty environment: importing it may not take anything that is installed."""
    folder = str(Path(backend.__file__).parent)
    code = f"import sys; sys.path.insert(0, {folder!r}); import backend"
    command = [sys.executable, "-I", "-S", "-c", code]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
