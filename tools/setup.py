"""Fills .venv of the checkout: `python tools/setup.py run` to run mobium, `native` to run it with compiled
kernels, `desktop` with its window as well, `dev` to test and check it.

Installs the three distributions editable and builds the native extension where Rust is found, each only when
what it is made from has changed: digests of that are kept in .venv. Standard library only. Not its concern:
making .venv (tools/setup.sh) and packages of the operating system (tools/system_packages.sh).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMPS = Path(sys.prefix) / "mobium-setup.json"
PACKAGE = ROOT / "python" / "mobium"
DISTRIBUTIONS = [".", "./server_app", "./client_app"]
WITHOUT_NATIVE = "The mobium command has pure-Python kernels here. To compile the fast ones: make native"

sys.path.insert(0, str(ROOT / "native"))
import backend  # noqa: E402


class SetupError(Exception):
    """A step failed, and the sentence says which."""


def digest(files: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of `files`."""
    total = hashlib.sha256(sys.version.encode())
    for file in sorted(files):
        content = file.read_bytes()
        total.update(f"{file.relative_to(ROOT)} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


def metadata_files() -> list[Path]:
    """What the installed metadata are made from: dependencies, entry points, the version."""
    folders = [ROOT, ROOT / "server_app", ROOT / "client_app"]
    return [folder / "pyproject.toml" for folder in folders] + [
        ROOT / "Cargo.toml",
        ROOT / "native/backend.py",
    ]


def native_files() -> list[Path]:
    """What the extension is made from."""
    sources = [file for kind in ("*.rs", "Cargo.toml") for file in (ROOT / "native").rglob(kind)]
    return [*sources, ROOT / "Cargo.toml", ROOT / "Cargo.lock"]


def extensions() -> list[Path]:
    """The extension as it lies in the tree: one file, or none."""
    return [file for kind in ("_native*.so", "_native*.pyd") for file in PACKAGE.glob(kind)]


def run(what: str, command: list[str], env: dict[str, str] | None = None) -> None:
    """Runs one step of the set-up. Raises SetupError where it fails."""
    print(what, flush=True)
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        raise SetupError(f"{what}: failed.")


def pip_install(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]


def install(purpose: str, stamps: dict[str, str]) -> None:
    """Installs the three distributions editable, with the extras that a purpose takes."""
    current = digest(metadata_files())
    if stamps.get("dev") == current or stamps.get(purpose) == current:
        return
    targets = [*DISTRIBUTIONS]
    if purpose == "dev":
        targets[0] += "[dev,media]"
    if purpose in {"desktop", "dev"}:
        targets[2] += "[desktop]"  # media comes with it
    editable = [argument for target in targets for argument in ("-e", target)]
    # pure, since the extension is then built in place, and once
    run(
        f"Installing mobium, server and client into {sys.prefix}",
        pip_install(*editable),
        {"MOBIUM_BUILD": "pure"},
    )
    stamps[purpose] = current


def build_native(stamps: dict[str, str]) -> None:
    """Builds the extension in place where Rust is found; removes one that is out of date where it is not."""
    choice = backend.choose()
    current = digest(native_files())
    if choice.native and stamps.get("native") == current and extensions():
        return
    stamps.pop("native", None)
    for file in extensions():
        file.unlink()
    print(choice.sentence, flush=True)
    if not choice.native:
        return
    if subprocess.run(["sh", "tools/system_packages.sh", "compiler"], cwd=ROOT, check=False).returncode != 0:
        raise SetupError(
            "The native extension takes a C compiler; MOBIUM_BUILD=pure goes without the extension."
        )
    maturin = [sys.executable, "-m", "maturin"]
    if subprocess.run([*maturin, "--version"], capture_output=True, check=False).returncode != 0:
        run("Installing maturin", pip_install(backend.MATURIN))
    run(
        "Building mobium._native", [*maturin, "develop", "--release", "--locked", "--skip-install", "--quiet"]
    )
    stamps["native"] = current


def main(arguments: list[str]) -> int:
    if arguments not in (["run"], ["native"], ["desktop"], ["dev"]):
        print("usage: setup.py run|native|desktop|dev", file=sys.stderr)
        return 2
    purpose = arguments[0]
    try:
        stamps: dict[str, str] = json.loads(STAMPS.read_text())
    except (OSError, ValueError):
        stamps = {}
    try:
        install("run" if purpose == "native" else purpose, stamps)
        # The server never touches a kernel, so running one does not wait for a compiler; but an extension
        # that lies in the tree has to match the sources, or the library refuses it.
        if purpose != "run" or extensions():
            build_native(stamps)
        elif backend.choose().native:
            print(WITHOUT_NATIVE, flush=True)
        if purpose == "native" and not extensions():
            return 1  # the sentence above says why
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        STAMPS.write_text(json.dumps(stamps))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
