"""Runs every test of the tree in parts and sums them up: cargo, then pytest on both back ends.

Each part runs to its end even when an earlier one failed. The last line is the sum of all; the exit code is 1
when anything failed. `--long` takes the long tests along. Not its concern: what a part needs to be installed
(tools/setup.py), and what a test does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent

#: Folders whose tests reach a kernel; they run again on the other back end.
BACKEND_FOLDERS = ["kernels", "crypto", "client", "e2e", "attacks"]

#: Processes of pytest: two of them leave a third of two cores unused, since tests wait for others.
JOBS = "4"

#: Seconds that one part may take before it counts as hung.
PART_LIMIT = 40 * 60
PART_LIMIT_LONG = 6 * 60 * 60

NO_TESTS_COLLECTED = 5  # pytest's exit code

Backend = Literal["native", "pure"]


@dataclass
class Tally:
    """How the tests of one part ended."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    missing: list[str] = field(default_factory=list)
    """Tests that did not run because a command of the system is missing."""

    def add(self, other: Tally) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.missing += other.missing

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def ended(process: subprocess.Popen[str], limit: float) -> int:
    """Waits for a part and returns its exit code; after `limit` seconds it is ended with all it started."""
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        print(f"This part took longer than {limit:.0f} s, so it was ended.", flush=True)
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)  # so that tests end the servers they started
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        raise


def cargo_test(limit: float) -> Tally:
    """The Rust tests of the workspace."""
    process = subprocess.Popen(
        ["cargo", "test", "--workspace", "--locked", "--quiet"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    output = process.stdout
    assert output is not None
    tally = Tally()

    def read() -> None:
        for line in output:
            print(line, end="", flush=True)
            if found := re.match(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", line):
                tally.add(Tally(int(found[1]), int(found[2]), int(found[3])))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    code = ended(process, limit)
    reader.join(30)
    if code != 0 and not tally.failed:
        tally.failed = 1  # it did not build, say
    return tally


def pytest(arguments: list[str], backend: Backend, limit: float) -> Tally:
    """One pytest session on one back end; tests/conftest.py writes down how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tally.json"
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *arguments],
            cwd=ROOT,
            env={**os.environ, "MOBIUM_BACKEND": backend, "MOBIUM_TEST_TALLY": str(report)},
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        code = ended(process, limit)
        try:
            tally = Tally(**json.loads(report.read_text("utf-8")))
        except OSError:
            return Tally(failed=1)  # the session never came to its end
        if code not in (0, NO_TESTS_COLLECTED) and not tally.failed:
            tally.failed = 1
        return tally


def stop(*_: object) -> None:
    """What SIGTERM does: as Ctrl-C, so that the part which is running ends too."""
    raise KeyboardInterrupt


def heading(text: str) -> None:
    print(f"\n======== {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs every test and sums up.")
    parser.add_argument("--long", action="store_true", help="the tests marked long as well")
    long = parser.parse_args().long
    limit = PART_LIMIT_LONG if long else PART_LIMIT
    in_ci = os.environ.get("CI") == "true"
    began = time.monotonic()
    total = Tally()
    notes = []
    signal.signal(signal.SIGTERM, stop)

    def part(name: str, tally: Tally) -> None:
        print(f"-------- {name}: {tally}", flush=True)
        total.add(tally)

    if shutil.which("cargo"):
        heading("cargo test")
        part("cargo test", cargo_test(limit))
    else:
        notes.append("cargo was not found: the Rust tests and the native back end were not tested.")

    native = any(path.suffix in (".so", ".pyd") for path in (ROOT / "python" / "mobium").glob("_native*"))
    if not native and in_ci:
        notes.append("CI has to test the native back end too, so this counts as a failure.")
        total.failed += 1
    first: Backend = "native" if native else "pure"
    common = ["--long", "--hypothesis-profile=long", "-o", "faulthandler_timeout=7200"] if long else []
    workers = [*common, "-n", os.environ.get("MOBIUM_TEST_JOBS", JOBS), "--dist", "loadgroup", "-m"]

    heading(f"pytest, {first}, in parallel")
    part(f"pytest, {first}, in parallel", pytest([*workers, "not serial"], first, limit))
    heading(f"pytest, {first}, windows beside sound and load")  # tests/conftest.py makes the two rows of them
    part(f"pytest, {first}, windows beside sound and load", pytest([*workers, "serial"], first, limit))
    if native:
        heading("pytest, pure, what reaches a kernel")
        folders = [f"tests/{name}" for name in BACKEND_FOLDERS]
        selection = [*workers, "not serial and not once", *folders]
        part("pytest, pure, what reaches a kernel", pytest(selection, "pure", limit))

    print()
    if total.missing:
        print("Not run, since commands of the system are missing (sh tools/system_packages.sh tests):")
        for name in dict.fromkeys(total.missing):
            print(f"  {name}")
    for note in notes:
        print(note)
    print(f"All of it took {time.monotonic() - began:.0f} s.")
    print(total, flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
