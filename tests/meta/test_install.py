"""Plain pip in a fresh virtual environment, as a stranger would."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import mobium
from tests.meta.tree import ROOT

#: Everything that comes with the server, by hand: whoever lets one more in means it.
SERVER_ALONE = {
    "cffi",
    "cryptography",
    "mobium",
    "mobium-server",
    "msgpack",
    "msgspec",
    "pip",
    "prometheus-client",
    "pycparser",
    "python-dotenv",
    "setuptools",  # comes with a new environment before Python 3.12
    "typing-extensions",
    "websockets",
}


def pip(python: Path | str, *arguments: str, path: str | None = None) -> str:
    """Runs pip in the checkout and returns what it printed; `path` is the PATH it sees."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MOBIUM_")}
    if path is not None:
        environment["PATH"] = path
    done = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run(program: Path, *arguments: str, path: Path) -> str:
    done = subprocess.run(
        [str(program), *arguments],
        cwd=path,
        env={"PATH": str(path), "HOME": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_stranger_without_cargo_gets_the_pure_wheel_and_is_told(tmp_path: Path) -> None:
    """One environment from beginning to end, since each costs half a minute."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], timeout=120, check=True)
    programs = tmp_path / "venv" / "bin"
    python = programs / "python"
    empty = tmp_path / "empty"
    empty.mkdir()

    # a machine that hosts, and nothing else
    said = pip(python, "install", "--verbose", ".", "./server_app", path=str(empty))
    assert "mobium: cargo was not found, so this is the pure wheel" in said
    code = "from mobium import _backend; print(_backend.NAME, _backend.__file__)"
    name, _, file = run(python, "-c", code, path=empty).partition(" ")
    assert name == "pure"
    assert str(programs.parent) in file
    assert mobium.__version__ in run(programs / "mobium-server", "--version", path=empty)
    code = "from mobium_server.statuspage import parts; print(*(at for at in parts() if parts()[at].body))"
    page = run(python, "-c", code, path=empty).split()
    assert page == ["/admin", "/admin/status.css", "/admin/status.js", "/admin/icon.svg"]

    # and nothing of the client came along
    code = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
    came = {one.lower().replace("_", "-") for one in run(python, "-c", code, path=empty).split()}
    assert came - SERVER_ALONE == set()
    assert {"mobium", "mobium-server", "websockets"} <= came

    # the client on top says what it runs on
    pip(python, "install", ".", "./server_app", "./client_app", path=str(empty))
    said = run(programs / "mobium", "--version", path=empty)
    assert mobium.__version__ in said
    assert "pure" in said

    # and without what calls take, it says what that is
    code = "import mobium.client; from mobium.media.pipeline import Incoming; Incoming()"
    command = [str(python), "-c", code]
    own = {"PATH": str(empty), "HOME": str(empty)}  # nothing of the back end that the tests run on
    done = subprocess.run(
        command, cwd=empty, env=own, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr.strip().splitlines()[-1] == (
        "mobium.errors.OpusUnavailable: Voice takes the Python package opuslib-next, which is missing. "
        "Install it with: pip install 'mobium[media]'"
    )


@pytest.mark.needs("cargo")
def test_with_cargo_the_wheel_is_native_and_fits_every_python_from_3_11(tmp_path: Path) -> None:
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), ".")
    (wheel,) = tmp_path.iterdir()
    assert "-cp311-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len([name for name in names if name.startswith("mobium/_native") and name.endswith(".so")]) == 1
    assert "mobium/py.typed" in names


def test_the_pure_wheel_carries_no_extension_and_the_sdist_all_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import backend

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MOBIUM_BUILD", "pure")
    with zipfile.ZipFile(tmp_path / backend.build_wheel(str(tmp_path))) as archive:
        names = archive.namelist()
    assert [name for name in names if name.endswith((".so", ".pyd", ".pyc"))] == []
    for wanted in ("mobium/py.typed", "mobium/protocol/SPEC.md", "mobium/_pure/ratchet.py"):
        assert wanted in names
    assert any(name.endswith("licenses/LICENSE-MIT") for name in names)

    with tarfile.open(tmp_path / backend.build_sdist(str(tmp_path))) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in ("Cargo.toml", "Cargo.lock", "native/backend.py", "native/py/Cargo.toml", "LICENSE-APACHE"):
        assert wanted in inside
    assert [name for name in inside if name.endswith(".so") or "/target/" in name] == []
