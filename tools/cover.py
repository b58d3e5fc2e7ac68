"""`make coverage`: which lines and branches of library and server the tests reach, on both back ends.

    python tools/cover.py [--report] [FOLDER...]      --report: what the last run left, and no new one

Runs the parallel tests of FOLDERS, or of library and server, on each back end under coverage.py, server
processes and other children included, and writes the table of docs/QUALITY.md; build/coverage/index.html
shows the lines. Exit code 1 when a test failed. Not its concern: the tests that want the machine to
themselves, the clients, and the Rust sources.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "coverage"
REPORT = OUT / "report.json"
PAGE = ROOT / "docs" / "QUALITY.md"
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"

#: Tests of library and server. The pure back end runs other lines in the kernels alone.
FOLDERS = {
    "native": ["crypto", "kernels", "protocol", "server", "client", "attacks", "media", "e2e"],
    "pure": ["crypto", "kernels"],
}

#: A line that is reached at all is reached early, so random tests draw few examples and schedules.
EXAMPLES = "few"  # a profile of tests/conftest.py
SCHEDULES = "5"


@dataclass
class Row:
    """What is known of one package."""

    files: int = 0
    statements: int = 0
    missed: int = 0
    branches: int = 0
    not_taken: int = 0

    def add(self, other: Row) -> None:
        self.files += other.files
        self.statements += other.statements
        self.missed += other.missed
        self.branches += other.branches
        self.not_taken += other.not_taken

    def __str__(self) -> str:
        points = self.statements + self.branches
        covered = 100 * (points - self.missed - self.not_taken) / points if points else 100.0
        return f"{self.files} | {self.statements} | {self.branches} | {covered:.1f} %"


def measure(folders: list[str], backend: str) -> bool:
    """Run the parallel tests of `folders` on one back end; whether all of them passed."""
    selection = "not serial" if backend == "native" else "not serial and not once"
    jobs = os.environ.get("MOBIUM_TEST_JOBS", "2")
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-n", jobs, "--dist", "loadgroup", f"--hypothesis-profile={EXAMPLES}", "-m", selection]
    done = subprocess.run(
        [*command, *(f"tests/{folder}" for folder in folders)],
        cwd=ROOT,
        env={"MOBIUM_SCHEDULES": SCHEDULES, **os.environ, "MOBIUM_BACKEND": backend},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


def run(*arguments: str) -> None:
    """One command of coverage.py. Raises CalledProcessError where it fails."""
    subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=ROOT, check=True)


def package(file: str) -> str:
    """The dotted name of the package that holds `file`, a path below ROOT."""
    path = PurePosixPath(file)
    return ".".join(path.parent.parts[1:])


def rows(report: dict[str, Any]) -> dict[str, Row]:
    """What a report of coverage.py says of each package."""
    by_package: dict[str, Row] = {}
    for name, file in report["files"].items():
        found = file["summary"]
        numbers = ("num_statements", "missing_lines", "num_branches", "missing_branches")
        by_package.setdefault(package(name), Row()).add(Row(1, *(found[number] for number in numbers)))
    return by_package


def table(by_package: dict[str, Row]) -> str:
    """The rows as Markdown, with their sum."""
    lines = ["| package | files | statements | branches | covered |", "|---|---:|---:|---:|---:|"]
    total = Row()
    for name, row in sorted(by_package.items()):
        total.add(row)
        lines.append(f"| `{name}` | {row} |")
    return "\n".join([*lines, f"| all | {total} |"])


def with_table(page: str, text: str) -> str:
    """`page` with `text` between its marks. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no place for the table: {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", action="store_true", help="show what the last run left")
    parser.add_argument("folder", nargs="*", help="folders of tests, these alone; docs/QUALITY.md stays")
    options = parser.parse_args()
    passed = True
    if not options.report:
        OUT.mkdir(parents=True, exist_ok=True)
        run("erase")
        for backend, folders in FOLDERS.items():
            passed = measure(options.folder or folders, backend) and passed
        run("combine", "--quiet")
    run("html", "--quiet", "-d", str(OUT))
    run("json", "--quiet", "-o", str(REPORT))
    text = table(rows(json.loads(REPORT.read_text("utf-8"))))
    print(f"\n{text}\n\nThe lines: {OUT / 'index.html'}")
    if not options.folder:
        PAGE.write_text(with_table(PAGE.read_text("utf-8"), text), "utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
