"""How kernels are measured beside a peer, their twin and Rust alone.

Subjects of one row take turns, batch by batch, so that all see the same machine; a figure is the median of
its batches. B7 subtracts two figures and therefore takes the fastest batch of each: what disturbs a batch
only adds to it. Not its concern: what is measured (the benches beside it).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SIZES = (60, 1_000, 60_000, 1_000_000)  # bytes at which a kernel is measured beside its twin
BINDING_MARK = 0.3  # us that a call from Python may cost above Rust alone
BUILD_LIMIT = 900  # seconds for building the criterion bench on a small machine

Row = dict[str, Any]
Batch = Callable[[], object]
Subject = Callable[[int], Batch]
"""Prepares a batch of so many operations, untimed, and returns what is timed."""


def measure(
    subjects: Sequence[Subject], number: int, batches: int, clock: Callable[[], int] = time.thread_time_ns
) -> list[list[float]]:
    """Microseconds for one operation, in each batch of each subject; the first batch of each is not counted.

    The usual clock counts this thread's processor time: what other processes take meanwhile is not in it.
    """
    times: list[list[float]] = [[] for _ in subjects]
    turns = list(zip(subjects, times, strict=True))
    for batch in range(batches + 1):
        # There and back, so that none always runs in what another left in the caches.
        for subject, found in turns if batch % 2 else reversed(turns):
            run = subject(number)
            start = clock()
            run()
            elapsed = clock() - start
            if batch:
                found.append(elapsed / number / 1_000)
    return times


def medians(subjects: Sequence[Subject], number: int, batches: int) -> list[float]:
    return [statistics.median(found) for found in measure(subjects, number, batches)]


def against(
    identifier: str, what: str, figures: tuple[float, float], name: str, mark: tuple[str, float] | None
) -> Row:
    ours, peer = figures
    return {
        "id": identifier,
        "what": what,
        "ours": ours,
        "peer": peer,
        "peer_name": name,
        "unit": "us",
        "ratio": peer / ours,
        "mark": mark[0] if mark else "",
        "met": peer / ours >= mark[1] if mark else None,
    }


def repeat(call: Callable[[], object]) -> Subject:
    def prepare(number: int) -> Batch:
        def run() -> None:
            for _ in range(number):
                call()

        return run

    return prepare


def twins(
    native: Callable[[int], Mapping[str, Subject]],
    pure: Callable[[int], Mapping[str, Subject]],
    number: int,
    batches: int,
) -> list[Row]:
    """B6 of a kernel: each call of `native(size)` beside that of the same name of `pure(size)`."""
    found = []
    for size in SIZES:
        repeats = max(3, min(number, number * 2_000 // size))
        twin = pure(size)
        for name, subject in native(size).items():
            ours, peer = medians([subject, twin[name]], repeats, batches)
            found.append(against("B6", f"{name}, {size:,} B, native", (ours, peer), "pure twin", None))
    return found


def criterion(name: str) -> Path:
    """The criterion bench of this name, built."""
    built = subprocess.run(
        ["cargo", "bench", "-p", "mobium-benches", "--bench", name, "--no-run", "--message-format=json"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT,
    )
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    (found,) = (
        message["executable"]
        for message in messages
        if message.get("executable") and message["target"]["name"] == name
    )
    return Path(found)


def in_rust(bench: Path, name: str, seconds: float) -> float:
    """Microseconds of one operation in criterion's fastest sample, which is a batch like ours, on the clock
    of the wall.
    """
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(
            [
                bench,
                "--bench",
                "--noplot",
                "--warm-up-time=0.1",
                f"--measurement-time={seconds}",
                f"^{name}$",
            ],
            cwd=ROOT,
            env={**os.environ, "CRITERION_HOME": home},
            check=True,
            capture_output=True,
            timeout=120,
        )
        (path,) = Path(home).rglob("new/sample.json")
        sample = json.loads(path.read_text())
    iterations: list[float] = sample["iters"]
    nanoseconds: list[float] = sample["times"]
    return min(time_ / count / 1_000 for count, time_ in zip(iterations, nanoseconds, strict=True))


def binding(kernel: str, calls: Mapping[str, Subject], number: int, batches: int) -> list[Row]:
    """B7 of a kernel. Both sides by the wall, as criterion measures, and both by their fastest batch."""
    bench = criterion(kernel)
    found = []
    for call, subject in calls.items():
        python, rust = [], []
        for _ in range(max(3, batches // 2)):
            rust.append(in_rust(bench, f"{kernel}/{call} 200 B", 0.3))
            python += measure([subject], number, 100, time.perf_counter_ns)[0]
        ours, alone = min(python), min(rust)
        found.append(
            {
                "id": "B7",
                "what": f"{kernel} {call}, 200 B, native kernel called from Python",
                "ours": ours,
                "peer": alone,
                "peer_name": "Rust alone",
                "unit": "us",
                "ratio": alone / ours,
                "mark": f"binding under {BINDING_MARK} us",
                "met": ours - alone < BINDING_MARK,
            }
        )
    return found


def show(rows: Callable[[bool, int, int], list[Row]], doc: str | None) -> None:
    """A bench's command line: its rows, one a line."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--number", type=int, default=0, help="operations in a batch")
    parser.add_argument("--batches", type=int, default=0, help="batches of each subject")
    options = parser.parse_args()
    for row in rows(options.quick, options.number, options.batches):
        met = {True: "met", False: "MISSED", None: ""}[row["met"]]
        figures = f"{row['ours']:9.2f} us  {row['peer_name']:16} {row['peer']:10.2f} us  {row['ratio']:7.2f}"
        print(f"{row['id']:3} {row['what']:66} {figures}  {row['mark']:20} {met}")
