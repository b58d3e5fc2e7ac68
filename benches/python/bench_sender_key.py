"""B5, B6, B7: the sender keys of channels, both back ends, beside vodozemac's Megolm and Rust alone.

Run as a module from the root: `python -m benches.python.bench_sender_key [--quick] [--batches N]
[--number N]`. Not its concern: how it is measured (benches/python/side_by_side.py), rosters, storage, the
network.
"""

from __future__ import annotations

import os
from functools import partial

import vodozemac

from benches.python.side_by_side import Batch, Row, Subject, against, binding, medians, repeat, show, twins
from mobium._pure.sender_key import ReceiverChain, SenderChain
from mobium.crypto.group import ReceiverKey, SenderKey, _wrap_receiver, _wrap_sender
from tests.kernels.kernels import NATIVE, PURE, Kernels

TEXT = b"a" * 200
CHAIN = 1_000  # messages of one sender key: a batch has no more


def _pair(kernels: Kernels) -> tuple[SenderChain, ReceiverChain]:
    channel, sender, roster, key, seed = (os.urandom(32) for _ in range(5))
    chain = kernels.SenderChain.create(channel, sender, 1, roster, 1, key, seed)
    return chain, kernels.ReceiverChain.from_distribution(chain.distribution(b""), channel, sender)


class Ours:
    """A sender and a reader on one back end; each batch begins with the chain's first message."""

    def __init__(self, kernels: Kernels) -> None:
        sender, reader = _pair(kernels)
        self.sender: SenderKey = _wrap_sender(sender)
        self.reader: ReceiverKey = _wrap_receiver(reader)

    def encrypt(self, number: int) -> Batch:
        def run() -> None:
            sender = self.sender
            for _ in range(number):
                _, sender = sender.encrypt(TEXT)

        return run

    def decrypt(self, number: int) -> Batch:
        sender, messages = self.sender, []
        for _ in range(number):
            message, sender = sender.encrypt(TEXT)
            messages.append(message)

        def run() -> None:
            reader = self.reader
            for message in messages:
                _, reader = reader.decrypt(message)

        return run


class Megolm:
    """An outbound group session of vodozemac and its inbound one."""

    def encrypt(self, number: int) -> Batch:
        sender = vodozemac.GroupSession()

        def run() -> None:
            for _ in range(number):
                sender.encrypt(TEXT)

        return run

    def decrypt(self, number: int) -> Batch:
        sender = vodozemac.GroupSession()
        reader = vodozemac.InboundGroupSession(sender.session_key)
        messages = [sender.encrypt(TEXT) for _ in range(number)]

        def run() -> None:
            for message in messages:
                reader.decrypt(message)

        return run


def against_megolm(number: int, batches: int) -> list[Row]:
    """B5."""
    ours = [Ours(NATIVE), Ours(PURE)]
    found = []
    for call in ("encrypt", "decrypt"):
        subjects = [getattr(Megolm(), call), *(getattr(each, call) for each in ours)]
        peer, *figures = medians(subjects, number, batches)
        for name, figure in zip(("native", "pure"), figures, strict=True):
            what = f"channel {call}, 200 B in the 512 B bucket, {name}"
            mark = ("1.5x", 1.5) if name == "native" else None
            found.append(against("B5", what, (figure, peer), "vodozemac Megolm", mark))
    return found


def _subjects(kernels: Kernels, size: int) -> dict[str, Subject]:
    sender, reader = _pair(kernels)
    text, salt = b"a" * size, os.urandom(16)
    message, _ = sender.encrypt(text, salt)
    return {
        "sender_key encrypt": repeat(lambda: sender.encrypt(text, salt)),
        "sender_key decrypt": repeat(lambda: reader.decrypt(message)),
    }


def against_rust(number: int, batches: int) -> list[Row]:
    """B7."""
    sender, reader = _pair(NATIVE)
    salt = os.urandom(16)
    message, _ = sender.encrypt(TEXT, salt)

    # Straight calls of the kernels, as in bench_ratchet.
    def encrypt(number: int) -> Batch:
        def run() -> None:
            for _ in range(number):
                sender.encrypt(TEXT, salt)

        return run

    def decrypt(number: int) -> Batch:
        def run() -> None:
            for _ in range(number):
                reader.decrypt(message)

        return run

    return binding("sender_key", {"encrypt": encrypt, "decrypt": decrypt}, number, batches)


def rows(quick: bool = False, number: int = 0, batches: int = 0) -> list[Row]:
    """All rows.

    `number` is the operations in a batch (a chain's at most), `batches` the counted batches of each subject;
    0 is the usual.
    """
    number, batches = min(number or (100 if quick else 300), CHAIN), batches or (9 if quick else 31)
    found = against_megolm(number, batches)
    found += twins(partial(_subjects, NATIVE), partial(_subjects, PURE), number, 5 if quick else 15)
    return found + against_rust(number, 6 if quick else 20)


if __name__ == "__main__":
    show(rows, __doc__)
