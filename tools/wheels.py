"""Builds everything that can be installed elsewhere into dist/: three distributions' wheels, and the sdist.

`mobium` comes as a native abi3 wheel for this kind of machine, where Rust is found, and as a pure one for
every other; pip takes the native one where it fits. Not its concern: where wheels are published.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"

sys.path.insert(0, str(ROOT / "native"))
import backend  # noqa: E402


def run(command: list[str], folder: Path, **env: str) -> None:
    """Runs one step; a failure ends the script with the step's exit code."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **env}, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        sys.exit(done.returncode)


def main() -> int:
    DIST.mkdir(exist_ok=True)
    for old in [*DIST.glob("mobium*.whl"), *DIST.glob("mobium*.tar.gz")]:
        old.unlink()
    choice = backend.choose()
    print(choice.sentence, flush=True)
    if choice.native:
        # maturin itself rather than the build backend: only so it makes the wheel fit other Linux machines
        maturin = [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--strip"]
        run([*maturin, "--out", str(DIST)], ROOT)
    # a call for each, as a frontend does it: builders keep what they read about the tree
    for what in ("build_wheel", "build_sdist"):
        code = f"import backend; backend.{what}({str(DIST)!r})"
        run([sys.executable, "-c", code], ROOT, MOBIUM_BUILD="pure", PYTHONPATH="native")
    for folder in ("server_app", "client_app"):
        run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(DIST)], ROOT / folder)
    print("\n".join(str(file.relative_to(ROOT)) for file in sorted(DIST.iterdir())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
