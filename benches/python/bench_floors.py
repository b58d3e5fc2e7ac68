"""B1, B4, B5, B7, B10, looked into: what of an operation is the primitive below it, which no kernel of ours
makes faster.

Run as a module from the root: `python -m benches.python.bench_floors [--quick]`. Every figure is the fastest
batch, by the wall, as criterion's are (benches/native/floor.rs): what disturbs a batch only adds to it. What
follows from them is written by hand in benches/RESULTS.md.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benches.load.bench_offline import MOST, single
from benches.python import bench_frame, bench_ratchet, bench_sender_key
from benches.python.side_by_side import (
    ROOT,
    Batch,
    Row,
    Subject,
    criterion,
    in_rust,
    measure,
    repeat,
    show,
)
from mobium_server.storage.sqlite import SqliteStorage
from tests.kernels.kernels import NATIVE

SECTION = "What the primitives below take (B1, B4, B5, B7, B10)"
ABOUT = (
    "The ratio is the share that is not ours to make faster. Each figure is the fastest of many batches,"
    " so that nothing else that the machine did is in it; the tables above have medians."
)
BLOCK = bytes(4_096)


def least(subject: Subject, number: int, batches: int) -> float:
    """Microseconds of one operation in the fastest batch."""
    return min(measure([subject], number, batches, time.perf_counter_ns)[0])


def _row(identifier: str, what: str, whole: float, part: float, name: str) -> Row:
    return {
        "id": identifier,
        "section": SECTION,
        "about": ABOUT,
        "what": what,
        "ours": whole,
        "peer": part,
        "peer_name": name,
        "unit": "us",
        "ratio": part / whole if whole else None,  # a difference may be too small to be measured
        "mark": "",
        "met": None,
    }


def _aws_lc(rounds: int) -> Callable[[str], float]:
    """What AWS-LC takes in Rust alone, by the names in benches/native/floor.rs."""
    bench = criterion("floor")
    return lambda name: min(in_rust(bench, f"floor/{name}", 0.3) for _ in range(rounds))


def of_operations(rounds: int, batches: int) -> list[Row]:
    """B1, B4, B5: the whole, called from Python, and what is AWS-LC's of it."""
    alone = _aws_lc(rounds)
    exchange = 4 * alone("x25519 agree") + 2 * alone("x25519 key pair")
    gcm = alone("aes-256-gcm seal and open")
    chain = bench_sender_key.Ours(NATIVE)
    frame = least(bench_frame.both(NATIVE, bench_frame.VOICE), 500, batches)
    aesgcm = least(bench_frame.both_of_aesgcm, 500, batches)
    turns = least(bench_ratchet.Ours(NATIVE).ping_pong, 10, batches)
    signed, opened = (least(call, 20, batches) for call in (chain.encrypt, chain.decrypt))
    return [
        _row("B1", "seal and open a voice frame", frame, gcm, "AWS-LC, key kept, in place"),
        _row("B1", "the peer: AESGCM of `cryptography`", aesgcm, gcm, "AWS-LC, key kept, in place"),
        _row("B4", "DM ping-pong round trip", turns, exchange, "AWS-LC: 4 agreements, 2 key pairs"),
        _row("B5", "channel encrypt", signed, alone("ed25519 sign"), "AWS-LC: 1 signature"),
        _row("B5", "channel decrypt", opened, alone("ed25519 verify"), "AWS-LC: 1 verification"),
    ]


# Straight calls: another call around them would cost as much as what is measured.
def _calls(call: Callable[[bytes], object], argument: bytes) -> Subject:
    def prepare(number: int) -> Batch:
        def run() -> None:
            for _ in range(number):
                call(argument)

        return run

    return prepare


def _pairs(
    first: Callable[[bytes], object], its: bytes, second: Callable[[bytes], object], argument: bytes
) -> Subject:
    def prepare(number: int) -> Batch:
        def run() -> None:
            for _ in range(number):
                first(its)
                second(argument)

        return run

    return prepare


def of_the_binding(batches: int) -> list[Row]:
    """B7: calls that compute next to nothing, by themselves and right after a signature was verified."""
    chain = NATIVE.SenderChain.create(bytes(32), bytes(32), 3, bytes(32), 5, bytes(32), bytes(32))
    reader = NATIVE.ReceiverChain.from_distribution(chain.distribution(b""), bytes(32), bytes(32))
    message, _ = chain.encrypt(bytes(200), bytes(16))
    before = least(_calls(reader.decrypt, message), 20, batches)
    calls: tuple[tuple[str, Callable[[bytes], object], bytes], ...] = (
        ("reads a head, returns two numbers", NATIVE.read_head, message),
        ("pads 200 B, returns 512", NATIVE.pad, bytes(200)),
    )
    found = []
    for name, call, argument in calls:
        after = least(_pairs(reader.decrypt, message, call, argument), 20, batches) - before
        alone = least(_calls(call, argument), 500, batches)
        found.append(_row("B7", f"a call that {name}, right after a `decrypt`", after, alone, "by itself"))
    return found


def of_the_disk(rounds: int) -> Row:
    """B10: its peer's transaction, and a block of 4 KiB at the end of a file, which such a one writes at
    least.
    """
    (ROOT / "build").mkdir(exist_ok=True)  # as in B10: the temporary folder may be memory
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        storage = SqliteStorage(Path(folder) / "single.db", MOST)
        storage.open()
        stored = least(repeat(single(storage)), 20, 20 * rounds)
        storage.close()
        descriptor = os.open(Path(folder) / "file", os.O_CREAT | os.O_WRONLY, 0o600)

        def sync() -> None:
            os.write(descriptor, BLOCK)
            os.fdatasync(descriptor)

        synced = least(repeat(sync), 20, 20 * rounds)
        os.close(descriptor)
    return _row("B10", "the peer: one transaction", stored, synced, "4 KiB written and synced")


def rows(quick: bool = False, _number: int = 0, batches: int = 0) -> list[Row]:
    """All rows. `batches` is how many of each subject are tried; 0 is the usual."""
    batches = batches or (100 if quick else 1_000)
    rounds = 2 if quick else 6
    return [*of_operations(rounds, batches), *of_the_binding(batches), of_the_disk(rounds)]


if __name__ == "__main__":
    show(rows, __doc__)
