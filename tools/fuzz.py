"""Runs fuzz targets, each for a while: python tools/fuzz.py [--python] [--seconds S] [TARGET...]

Those of native/core/fuzz take cargo-fuzz (`cargo install cargo-fuzz`) and a C++ compiler; the stable Rust
serves, which is told to let the sanitizers in. With `--python`, those of tests/fuzz, which take atheris (the
extra `fuzz`; its wheels are for Linux on x86-64).

Inputs that reach new code are kept in build/fuzz/TARGET and are where the next run begins; the `seeds` beside
the targets are the ones that everybody begins with. Exit code 1 when a target found something, whose input
then lies beside. `--list` names the targets.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
FUZZ = ROOT / "native" / "core" / "fuzz"
CORPUS = ROOT / "build" / "fuzz"
LONGEST = 8_192  # bytes of an input: a message of the fifth bucket
BUILD = 3_600  # seconds above its time until a target is given up; the first one is built meanwhile

ENVIRONMENT = {
    "RUSTC_BOOTSTRAP": "1",  # -Z flags on the stable compiler
    # what libFuzzer counts with does not survive link-time optimisation
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_STRIP": "none",
}


def targets() -> list[str]:
    """The names of the kernels' targets."""
    manifest = tomllib.loads((FUZZ / "Cargo.toml").read_text("utf-8"))
    return [binary["name"] for binary in manifest["bin"]]


def python_targets() -> ModuleType:
    """The targets in Python, whose import takes the library and a second."""
    sys.path.insert(0, str(ROOT))
    return import_module("tests.fuzz.targets")


def rust(target: str, seconds: int) -> bool:
    """Run a target of the kernels; whether it found nothing."""
    command = ["cargo", "fuzz", "run", "--fuzz-dir", str(FUZZ), "--features", "run"]
    command += ["--target-dir", str(ROOT / "target" / "fuzz"), target]
    seeds = FUZZ / "seeds" / target
    command += [str(folder) for folder in (corpus(target), seeds) if folder.is_dir()]
    return run([*command, "--", *options(target, seconds)], ROOT / "native" / "core", seconds)


def python(target: str, seconds: int) -> bool:
    """Run a target in Python; whether it found nothing."""
    command = [sys.executable, "-m", "tests.fuzz.run", target]
    command += [str(folder) for folder in (corpus(target), *python_targets().folders(target))]
    return run([*command, *options(target, seconds)], ROOT, seconds)


def corpus(target: str) -> Path:
    """Where the inputs of a target are kept."""
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def options(target: str, seconds: int) -> list[str]:
    """What libFuzzer is told."""
    return [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={CORPUS}/{target}-found-",
    ]


def run(command: list[str], folder: Path, seconds: int) -> bool:
    """Run a command in a folder and say what came of it; whether nothing was found."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds + BUILD,
        check=False,
    )
    ran = re.search(r"^Done (\d+) (?:runs )?in \d+ second", done.stdout, re.MULTILINE)
    if done.returncode != 0 or ran is None:
        print(done.stdout[-4_000:], file=sys.stderr)
        return False
    print(f"nothing found in {ran[1]} runs of {seconds} s", flush=True)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="store_true", help="the targets in Python")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("target", nargs="*", help="these alone")
    asked = parser.parse_args()
    known = list(python_targets().TARGETS) if asked.python else targets()
    if asked.list:
        print("\n".join(known))
        return 0
    if unknown := [name for name in asked.target if name not in known]:
        print(f"There is no target {unknown[0]}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    if asked.python and find_spec("atheris") is None:
        print("Fuzzing in Python takes atheris: pip install -e '.[fuzz]'", file=sys.stderr)
        return 2
    if not asked.python and shutil.which("cargo-fuzz") is None:
        print("Fuzzing takes cargo-fuzz: cargo install cargo-fuzz", file=sys.stderr)
        return 2
    fuzz: Callable[[str, int], bool] = python if asked.python else rust
    clean = True
    for name in asked.target or known:
        print(f"{name}: ", end="", flush=True)
        clean = fuzz(name, asked.seconds) and clean
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
