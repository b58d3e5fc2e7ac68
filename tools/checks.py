"""Runs every check of the tree that is no test: style, types, imports, licences, for Python and for Rust.

All of them run even when one fails; the exit code is 1 when any did. Not its concern: what the checks are
told (pyproject.toml, Cargo.toml, rustfmt.toml).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

PYTHON_CHECKS = [
    [f"{BIN}/ruff", "check", "."],
    [f"{BIN}/ruff", "format", "--check", "."],
    [f"{BIN}/mypy"],
    [f"{BIN}/lint-imports"],
    [sys.executable, "tools/licences.py"],
]
RUST_CHECKS = [
    ["cargo", "fmt", "--all", "--check"],
    ["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"],
]


def main() -> int:
    checks = [*PYTHON_CHECKS]
    failed = []
    if shutil.which("cargo"):
        checks += RUST_CHECKS
    else:
        print("cargo was not found: the Rust sources were not checked.")
        if os.environ.get("CI") == "true":
            failed.append("cargo")
    for command in checks:
        name = " ".join([Path(command[0]).name, *command[1:]])
        print(f"======== {name}", flush=True)
        if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode != 0:
            failed.append(name)
    print(
        "\nChecks that failed: " + "; ".join(failed) if failed else f"\nAll {len(checks)} checks are clean."
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
