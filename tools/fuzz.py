"""Runs the fuzz targets of native/core/fuzz, each for a while: python tools/fuzz.py [--seconds S] [TARGET...]

Takes cargo-fuzz (`cargo install cargo-fuzz`) and a C++ compiler; the stable Rust serves, which is told to let
the sanitizers in. Inputs that reach new code are kept in build/fuzz/TARGET and are where the next run begins;
native/core/fuzz/seeds/TARGET has the ones that everybody begins with. Exit code 1 when a target found
something, whose input then lies beside. `--list` names the targets.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

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
    """The names of the targets."""
    manifest = tomllib.loads((FUZZ / "Cargo.toml").read_text("utf-8"))
    return [binary["name"] for binary in manifest["bin"]]


def fuzz(target: str, seconds: int) -> bool:
    """Run a target; whether it found nothing."""
    corpus = CORPUS / target
    corpus.mkdir(parents=True, exist_ok=True)
    folders = [str(folder) for folder in (corpus, FUZZ / "seeds" / target) if folder.is_dir()]
    command = ["cargo", "fuzz", "run", "--fuzz-dir", str(FUZZ), "--features", "run"]
    command += ["--target-dir", str(ROOT / "target" / "fuzz"), target]
    limits = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={CORPUS}/{target}-found-",
    ]
    done = subprocess.run(
        [*command, *folders, "--", *limits, "-print_final_stats=1"],
        cwd=ROOT / "native" / "core",
        env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=seconds + BUILD,
        check=False,
    )
    if done.returncode != 0:
        print(done.stderr[-4_000:], file=sys.stderr)
        return False
    runs = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    print(
        f"{target}: nothing found in {runs[-1].split()[-1] if runs else '?'} runs of {seconds} s", flush=True
    )
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("target", nargs="*", help="these alone")
    options = parser.parse_args()
    known = targets()
    if options.list:
        print("\n".join(known))
        return 0
    if unknown := [name for name in options.target if name not in known]:
        print(f"There is no target {unknown[0]}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    if shutil.which("cargo-fuzz") is None:
        print("Fuzzing takes cargo-fuzz: cargo install cargo-fuzz", file=sys.stderr)
        return 2
    found = [name for name in options.target or known if not fuzz(name, options.seconds)]
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
