"""B15: what an import takes, and how large things are: the native kernels, and what a server installs.

An import is measured in processes of its own, with compiled modules, in processor time; what Python
itself takes to start is not in it. The wheels' own sizes are checked where they are made (tools/wheels.py).
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
IMPORTS = {"mobium.crypto": 60, "mobium.client": 250}  # marks, ms
SERVER = 35  # MB installed
SECTION = "Imports and sizes (B15)"
ABOUT = (
    "Imports: processor time, median of fresh processes. Installed: library, native kernels and server with"
    " all that they take, compiled modules not counted; a MB is a million bytes."
)
CODE = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"

Row = dict[str, Any]


def import_ms(module: str, times: int) -> float:
    """Milliseconds that one import takes."""
    found = []
    for _ in range(times + 1):
        command = [sys.executable, "-c", CODE.format(module)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        found.append(float(done.stdout) * 1e3)
    return statistics.median(found[1:])  # the first one may have compiled the modules


def folder_bytes(folder: Path) -> int:
    """Bytes of what is in a folder, compiled modules not counted."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc")
    return sum(file.stat().st_size for file in files)


def installed_bytes() -> int:
    """Bytes of the server with all that it takes, as this environment has them."""
    left, seen = ["mobium-server"], {"mobium", "mobium-server"}  # these two lie in the tree
    total = folder_bytes(ROOT / "python" / "mobium") + folder_bytes(ROOT / "server_app" / "mobium_server")
    left.append("mobium")
    while left:
        distribution = metadata.distribution(left.pop())
        if distribution.metadata["Name"].lower() not in ("mobium", "mobium-server"):
            files = [Path(str(distribution.locate_file(file))) for file in distribution.files or []]
            total += sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")
        for wanted in distribution.requires or []:
            name = re.split(r"[\s\[<>=!~;(]", wanted)[0].lower()
            if "extra ==" not in wanted and name not in seen and there(name):
                seen.add(name)
                left.append(name)
    return total


def there(name: str) -> bool:
    """Whether a distribution is installed; what a marker leaves out is not."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def row(what: str, ours: float, unit: str, mark: float | None) -> Row:
    met = None if mark is None else ours <= mark
    shown = "" if mark is None else f"{mark:g} {unit}"
    base = {"id": "B15", "section": SECTION, "about": ABOUT, "what": what, "ours": ours, "unit": unit}
    return {**base, "mark": shown, "met": met}


def rows(quick: bool = False) -> list[Row]:
    """All rows."""
    times = 2 if quick else 15
    found = [
        row(f"import {module}", import_ms(module, times), "ms", mark) for module, mark in IMPORTS.items()
    ]
    kernels = list((ROOT / "python" / "mobium").glob("_native*.so"))
    found += [row("native kernels, unpacked", one.stat().st_size / 1e6, "MB", None) for one in kernels]
    return [*found, row("library and server, installed", installed_bytes() / 1e6, "MB", SERVER)]
