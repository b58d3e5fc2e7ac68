"""B2, B3, B4, B6, B7: the ratchet and the padding, both back ends, beside vodozemac, the `DoubleRatchet`
package and Rust alone.

Run as a module from the root: `python -m benches.python.bench_ratchet [--quick] [--batches N] [--number N]`.
Not its concern: how it is measured (benches/python/side_by_side.py), sessions, storage, the network.
"""

from __future__ import annotations

import os
from functools import partial

import vodozemac

from benches.python.side_by_side import Batch, Row, Subject, against, binding, medians, repeat, show, twins
from mobium._pure.ratchet import Ratchet
from mobium.crypto.ratchet import _wrap
from tests.kernels.kernels import NATIVE, NOW, PURE, Kernels
from tests.kernels.oracle import Oracle

TEXT = b"a" * 200


class Ours:
    """Two `DoubleRatchet`s on one back end, both of which have sent and received."""

    def __init__(self, kernels: Kernels) -> None:
        shared, private, associated_data = os.urandom(32), os.urandom(32), os.urandom(32)
        responder = kernels.Ratchet.accept(shared, private, associated_data)
        initiator = kernels.Ratchet.initiate(shared, responder.head()[66:98], associated_data, os.urandom(32))
        self.a, self.b = _wrap(initiator), _wrap(responder)
        self.ping_pong(2)()
        self.turn()

    def turn(self) -> None:
        message, self.a = self.a.encrypt(TEXT)
        self.b = self.b.decrypt(message)[1]

    def hold_2000(self) -> Ours:
        """`b` skipped 2,000 messages of `a`."""
        for _ in range(2):
            for _ in range(1_000):
                self.a = self.a.encrypt(b"")[1]
            self.turn()
        if len(self.b.skipped()) != 2_000:
            raise RuntimeError("the peer was to hold 2,000 skipped keys")
        return self

    def encrypt(self, number: int) -> Batch:
        """The side that holds the skipped keys, if there are any, writes."""

        def run() -> None:
            sender = self.b
            for _ in range(number):
                _, sender = sender.encrypt(TEXT)

        return run

    def decrypt(self, number: int) -> Batch:
        messages = []
        for _ in range(number):
            message, self.a = self.a.encrypt(TEXT)
            messages.append(message)

        def run() -> None:
            receiver = self.b
            for message in messages:
                _, receiver = receiver.decrypt(message)
            self.b = receiver

        return run

    def ping_pong(self, number: int) -> Batch:
        def run() -> None:
            a, b = self.a, self.b
            for _ in range(number):
                message, a = a.encrypt(TEXT)
                _, b = b.decrypt(message)
                message, b = b.encrypt(TEXT)
                _, a = a.decrypt(message)
            self.a, self.b = a, b

        return run


class Olm:
    """Two vodozemac sessions, both of which have sent and received."""

    def __init__(self) -> None:
        a, b = vodozemac.Account(), vodozemac.Account()
        b.generate_one_time_keys(1)
        (key,) = b.one_time_keys.values()
        self.a = a.create_outbound_session(b.curve25519_key, key)
        first = self.a.encrypt(TEXT).to_pre_key()
        if first is None:
            raise RuntimeError("the first message of an Olm session is a prekey message")
        self.b, _ = b.create_inbound_session(a.curve25519_key, first)
        self.ping_pong(2)()
        self.b.decrypt(self.a.encrypt(TEXT))

    def encrypt(self, number: int) -> Batch:
        def run() -> None:
            sender = self.b
            for _ in range(number):
                sender.encrypt(TEXT)

        return run

    def decrypt(self, number: int) -> Batch:
        messages = [self.a.encrypt(TEXT) for _ in range(number)]

        def run() -> None:
            receiver = self.b
            for message in messages:
                receiver.decrypt(message)

        return run

    def ping_pong(self, number: int) -> Batch:
        def run() -> None:
            a, b = self.a, self.b
            for _ in range(number):
                b.decrypt(a.encrypt(TEXT))
                a.decrypt(b.encrypt(TEXT))

        return run


class Package:
    """Two sessions of the `DoubleRatchet` package with our constructions."""

    def __init__(self) -> None:
        shared, private, associated_data = os.urandom(32), os.urandom(32), os.urandom(32)
        public = PURE.Ratchet.accept(shared, private, associated_data).head()[66:98]
        self.a = Oracle(shared, associated_data, os.urandom, remote=public)
        self.b = Oracle(shared, associated_data, os.urandom, own=private)
        self.ping_pong(2)()

    def ping_pong(self, number: int) -> Batch:
        def run() -> None:
            for _ in range(number):
                self.b.decrypt(self.a.encrypt(TEXT))
                self.a.decrypt(self.b.encrypt(TEXT))

        return run


def against_peers(number: int, batches: int) -> list[Row]:
    """B2, B3 and B4. Each row has a peer of its own: Olm opens nothing that lies 2,000 messages ahead."""
    names = ("native", "pure")
    free = [Ours(NATIVE), Ours(PURE)]
    full = [Ours(NATIVE).hold_2000(), Ours(PURE).hold_2000()]
    found = []
    subjects = [Olm().encrypt, *(ours.encrypt for ours in (*free, *full))]
    peer, *figures = medians(subjects, number, batches)
    for held, pair in (("", figures[:2]), (", 2,000 skipped keys held", figures[2:])):
        for name, figure in zip(names, pair, strict=True):
            what = f"DM encrypt, 200 B in the 512 B bucket, {name}{held}"
            mark = ("4x", 4.0) if name == "native" else None
            found.append(against("B2", what, (figure, peer), "vodozemac Olm", mark))
    peer, *figures = medians([Olm().decrypt, *(ours.decrypt for ours in free)], number, batches)
    for name, figure in zip(names, figures, strict=True):
        mark = ("not slower", 1.0) if name == "native" else None
        found.append(
            against("B3", f"DM decrypt in the same chain, {name}", (figure, peer), "vodozemac Olm", mark)
        )
    subjects = [Olm().ping_pong, Package().ping_pong, *(ours.ping_pong for ours in free)]
    peer, package, *figures = medians(subjects, max(1, number // 20), batches)
    for name, figure in zip(names, figures, strict=True):
        what = f"DM ping-pong round trip, {name}"
        native = name == "native"
        found.append(against("B4", what, (figure, peer), "vodozemac Olm", ("2x", 2.0) if native else None))
        found.append(
            against("B4", what, (figure, package), "DoubleRatchet", ("10x", 10.0) if native else None)
        )
    return found


def _subjects(kernels: Kernels, size: int) -> dict[str, Subject]:
    """Every kernel on one back end, for a plaintext of this size."""
    sender, receiver = _established(kernels)
    text, salt = b"a" * size, os.urandom(16)
    padded, (message, _) = kernels.pad(text), sender.encrypt(text, salt)
    return {
        "pad": repeat(lambda: kernels.pad(text)),
        "unpad": repeat(lambda: kernels.unpad(padded)),
        "ratchet encrypt": repeat(lambda: sender.encrypt(text, salt)),
        "ratchet decrypt": repeat(lambda: receiver.decrypt(message, None, NOW)),
    }


def _established(kernels: Kernels) -> tuple[Ratchet, Ratchet]:
    ours = Ours(kernels)
    return ours.a._ratchet, ours.b._ratchet


def against_rust(number: int, batches: int) -> list[Row]:
    """B7."""
    sender, receiver = _established(NATIVE)
    salt = os.urandom(16)
    message, _ = sender.encrypt(TEXT, salt)

    # Straight calls of the kernels: a function of the bench's own between loop and kernel is not the
    # binding's cost.
    def encrypt(number: int) -> Batch:
        def run() -> None:
            for _ in range(number):
                sender.encrypt(TEXT, salt)

        return run

    def decrypt(number: int) -> Batch:
        def run() -> None:
            for _ in range(number):
                receiver.decrypt(message, None, NOW)

        return run

    return binding("ratchet", {"encrypt": encrypt, "decrypt": decrypt}, number, batches)


def rows(quick: bool = False, number: int = 0, batches: int = 0) -> list[Row]:
    """All rows.

    `number` is the operations in a batch, `batches` the counted batches of each subject; 0 is the usual.
    """
    number, batches = number or (200 if quick else 500), batches or (9 if quick else 41)
    found = against_peers(number, batches)
    found += twins(partial(_subjects, NATIVE), partial(_subjects, PURE), number, 5 if quick else 15)
    return found + against_rust(number, 6 if quick else 20)


if __name__ == "__main__":
    show(rows, __doc__)
