"""Starts a server whose imports take long: `python -m tests.support.slow_imports`. It imports nothing of the
product by itself.
"""

from __future__ import annotations

import runpy
import sys
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

__all__ = ["wait_for_go"]


def wait_for_go(what: str) -> None:
    """Say what waits, and wait until the folder has a file `go`."""
    print(f"waiting in {what}", file=sys.stderr, flush=True)
    while not Path("go").exists():
        time.sleep(0.01)


class _Slow(MetaPathFinder):
    """Finds nothing, and takes its time about the server itself."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        if name == "mobium_server.app":
            wait_for_go("imports")


if __name__ == "__main__":
    sys.meta_path.insert(0, _Slow())
    runpy.run_module("mobium_server", run_name="__main__", alter_sys=True)
