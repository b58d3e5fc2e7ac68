"""B1, B6, B7: the frames of media, both back ends, beside `cryptography`'s AESGCM and Rust alone.

Run as a module from the root: `python -m benches.python.bench_frame [--quick] [--batches N] [--number N]`.
AESGCM keeps its key and is given a nonce and the associated data ready made; ours make nonce and header of a
counter, and look into the window. Not its concern: how it is measured (benches/python/side_by_side.py),
rooms, codecs, the network.
"""

from __future__ import annotations

import os
from functools import partial

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benches.python.side_by_side import Batch, Row, Subject, against, binding, medians, show, twins
from mobium._pure.frame import FrameSealer
from tests.kernels.kernels import NATIVE, PURE, Kernels

KEY = os.urandom(32)
KID, FIRST = 0x8123_4500, 1 << 24
METADATA = os.urandom(65)
VOICE = 120  # bytes of a frame of voice


def _sealer(kernels: Kernels) -> FrameSealer:
    return kernels.FrameSealer(KEY, KID, FIRST)


def sealing(kernels: Kernels, size: int) -> Subject:
    text = os.urandom(size)

    def prepare(number: int) -> Batch:
        sealer = _sealer(kernels)

        def run() -> None:
            for _ in range(number):
                sealer.seal(text, METADATA)

        return run

    return prepare


def opening(kernels: Kernels, size: int) -> Subject:
    """An opener takes a frame once, so each batch has a new one."""
    text = os.urandom(size)

    def prepare(number: int) -> Batch:
        sealer, opener = _sealer(kernels), kernels.FrameOpener(KEY, KID)
        frames = [sealer.seal(text, METADATA) for _ in range(number)]

        def run() -> None:
            for frame in frames:
                opener.open(frame, METADATA)

        return run

    return prepare


def both(kernels: Kernels, size: int) -> Subject:
    """One voice frame sealed and opened."""
    text = os.urandom(size)

    def prepare(number: int) -> Batch:
        sealer, opener = _sealer(kernels), kernels.FrameOpener(KEY, KID)

        def run() -> None:
            for _ in range(number):
                opener.open(sealer.seal(text, METADATA), METADATA)

        return run

    return prepare


def both_of_aesgcm(number: int) -> Batch:
    key, nonce, text, associated = AESGCM(KEY), os.urandom(12), os.urandom(VOICE), bytes(9) + METADATA

    def run() -> None:
        for _ in range(number):
            key.decrypt(nonce, key.encrypt(nonce, text, associated), associated)

    return run


def against_cryptography(number: int, batches: int) -> list[Row]:
    """B1."""
    subjects = [both_of_aesgcm, both(NATIVE, VOICE), both(PURE, VOICE)]
    peer, *figures = medians(subjects, number, batches)
    found = []
    for name, figure in zip(("native", "pure"), figures, strict=True):
        what = f"seal and open a {VOICE} B voice frame, {name}"
        mark = ("5x", 5.0) if name == "native" else None
        found.append(against("B1", what, (figure, peer), "AESGCM, key kept", mark))
    return found


def _subjects(kernels: Kernels, size: int) -> dict[str, Subject]:
    return {"frame seal": sealing(kernels, size), "frame open": opening(kernels, size)}


def against_rust(number: int, batches: int) -> list[Row]:
    """B7."""
    calls = {"seal": sealing(NATIVE, 200), "open": opening(NATIVE, 200)}
    return binding("frame", calls, number, batches)


def rows(quick: bool = False, number: int = 0, batches: int = 0) -> list[Row]:
    """All rows.

    `number` is the operations in a batch, `batches` the counted batches of each subject; 0 is the usual.
    """
    number, batches = number or (500 if quick else 2_000), batches or (9 if quick else 31)
    found = against_cryptography(number, batches)
    found += twins(partial(_subjects, NATIVE), partial(_subjects, PURE), number, 5 if quick else 15)
    return found + against_rust(number, 6 if quick else 20)


if __name__ == "__main__":
    show(rows, __doc__)
