"""`make docs`: the API reference as HTML, made by pdoc of the docstrings of the library's doors.

    python tools/docs.py [FOLDER [DOOR...]]      every door into build/docs, or some elsewhere

docs/LIBRARY.md is where to begin; this says what each name takes, gives and raises.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "docs"
DOORS = (
    "mobium",
    "mobium.bench",
    "mobium.client",
    "mobium.crypto",
    "mobium.errors",
    "mobium.media.devices",
    "mobium.media.pipeline",
    "mobium.media.sources",
    "mobium.protocol",
)


def main(arguments: list[str]) -> int:
    out, doors = Path(arguments[0]) if arguments else OUT, arguments[1:] or DOORS
    done = subprocess.run(
        [sys.executable, "-m", "pdoc", "--no-show-source", "-o", str(out), *doors],
        cwd=ROOT,
        env={**os.environ, "MOBIUM_BACKEND": "pure"},  # the twins have the kernels' docstrings
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode == 0:
        print(f"written to {out / 'index.html'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
