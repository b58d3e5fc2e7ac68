"""`python -m mobium.bench [--seconds S]`: how fast kernels and sessions are on this machine, native beside
pure.

Each back end runs in processes of its own (MOBIUM_BACKEND), which take turns, so that both see the same
machine; a figure is the median of their batches, in microseconds of processor time of the thread. Not its
concern: other libraries and the server (`make bench` in the source tree).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from statistics import median
from typing import Final, Literal

__all__ = ["Backend", "Times", "compare", "main", "measure", "table"]

Backend = Literal["native", "pure"]
Times = dict[str, list[float]]
"""Microseconds of one operation in each batch, by what the operation is."""

_Step = Callable[[], object]

_SECONDS: Final = 10.0
_TURNS: Final = 3  # processes of each back end
_BATCHES: Final = 7  # of each operation in one process
_CHILD_LIMIT: Final = 60  # seconds above a child's share until it is given up
_TEXT: Final = bytes(200)
_LARGE: Final = bytes(60_000)
_VOICE: Final = bytes(120)
_SCREEN: Final = bytes(16_000)


def _padding() -> Iterator[tuple[str, _Step]]:
    from mobium.crypto import pad, unpad

    yield "padding: pad and unpad, 200 B", lambda: unpad(pad(_TEXT))
    yield "padding: pad and unpad, 60,000 B", lambda: unpad(pad(_LARGE))


def _ratchet() -> Iterator[tuple[str, _Step]]:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from mobium.crypto import DoubleRatchet

    shared, prekey = os.urandom(32), X25519PrivateKey.generate()
    alice = DoubleRatchet.initiate(shared, prekey.public_key().public_bytes_raw(), b"")
    first, alice = alice.encrypt(_TEXT)
    bob = DoubleRatchet.accept(shared, prekey.private_bytes_raw(), b"").decrypt(first)[1]
    message, _ = alice.encrypt(_TEXT)
    yield "ratchet: encrypt, 200 B", lambda: alice.encrypt(_TEXT)
    yield "ratchet: decrypt, 200 B", lambda: bob.decrypt(message)


def _sender_key() -> Iterator[tuple[str, _Step]]:
    from mobium.crypto import ReceiverKey, SenderKey
    from mobium.signing import SigningKey

    me = SigningKey.generate().public
    sender = SenderKey.create(os.urandom(32), me)
    reader = ReceiverKey.from_distribution(sender.distribution(), sender=me)
    message, _ = sender.encrypt(_TEXT)
    yield "sender key: encrypt, 200 B", lambda: sender.encrypt(_TEXT)
    yield "sender key: decrypt, 200 B", lambda: reader.decrypt(message)


def _frame() -> Iterator[tuple[str, _Step]]:
    from mobium.crypto import MediaKey, MediaKind, media_metadata

    room, sender = os.urandom(32), os.urandom(32)
    place = media_metadata(MediaKind.VOICE, room, sender)
    key = MediaKey.create(MediaKind.VOICE, room, sender)
    sealer, opener = key.sealer(), key.opener()
    yield "frame: seal and open voice, 120 B", lambda: opener.open(sealer.seal(_VOICE, place), place)
    yield "frame: seal and open a screen, 16,000 B", lambda: opener.open(sealer.seal(_SCREEN, place), place)


def _session() -> Iterator[tuple[str, _Step]]:
    from mobium.crypto import Identity, Prekeys, Session

    alice, bob = (Identity.from_seed(os.urandom(64)) for _ in "ab")  # words take the extra `client`
    prekeys = Prekeys.generate(bob, one_time=0, kem_one_time=0)
    bundle = prekeys.bundle()

    def begin() -> tuple[Session, Session]:
        payload, ours = Session.initiate(alice, bundle).encrypt(_TEXT)
        return ours, Session.accept(bob, prekeys, payload)[1]

    pair = list(begin())

    def there_and_back() -> None:
        for writer in (1, 0):  # who accepted answers first, which ends the handshake
            payload, pair[writer] = pair[writer].encrypt(_TEXT)
            _, pair[1 - writer] = pair[1 - writer].decrypt(payload)

    there_and_back()
    writer, reader = pair[0], pair[1]
    payload, _ = writer.encrypt(_TEXT)
    yield "session: encrypt, 200 B", lambda: writer.encrypt(_TEXT)
    yield "session: decrypt, 200 B", lambda: reader.decrypt(payload)
    yield "session: a message each way", there_and_back
    yield "session: begin, both sides (PQXDH)", begin


def _operations() -> Iterator[tuple[str, _Step]]:
    for part in (_padding, _ratchet, _sender_key, _frame, _session):
        yield from part()


def _batch(step: _Step, number: int) -> float:
    """Microseconds of one of `number` operations."""
    start = time.thread_time_ns()
    for _ in range(number):
        step()
    return (time.thread_time_ns() - start) / number / 1_000


def measure(seconds: float) -> Times:
    """Measure the back end of this process in about so many seconds."""
    operations = list(_operations())
    share = seconds * 1e6 / len(operations) / (_BATCHES + 1)
    found = {}
    for name, step in operations:
        step()
        number = max(1, int(share / max(_batch(step, 3), 0.1)))
        found[name] = [_batch(step, number) for _ in range(_BATCHES)]
    return found


def _in_a_process(backend: Backend, seconds: float) -> Times:
    """Measure a back end in a process of its own. Raises RuntimeError with what it said where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "mobium.bench", "--seconds", str(seconds), "--json"],
        env={**os.environ, "MOBIUM_BACKEND": backend},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + _CHILD_LIMIT,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2]
        raise RuntimeError(f"The {backend} back end could not be measured: {last}")
    times: Times = json.loads(done.stdout)
    return times


def compare(seconds: float, backends: Sequence[Backend]) -> dict[Backend, Times]:
    """Measure these back ends in about so many seconds altogether, by turns."""
    found: dict[Backend, Times] = {backend: {} for backend in backends}
    for _ in range(_TURNS):
        for backend in backends:
            times = _in_a_process(backend, seconds / _TURNS / len(backends))
            for name, each in times.items():
                found[backend].setdefault(name, []).extend(each)
    return found


def table(found: dict[Backend, Times]) -> str:
    """The figures as a table of text: a column for each back end, and how much faster native is."""
    names = list(next(iter(found.values())))
    lines = [f"{'microseconds each':42}" + "".join(f"{backend:>12}" for backend in found)]
    for name in names:
        figures = [median(times[name]) for times in found.values()]
        line = f"{name:42}" + "".join(f"{figure:12,.2f}" for figure in figures)
        if len(figures) == 2:
            line += f"{figures[1] / figures[0]:9.1f}x"
        lines.append(line)
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mobium.bench",
        description="How fast mobium's kernels and sessions are here, native beside pure.",
    )
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="about how long it takes (10)")
    parser.add_argument("--json", action="store_true", help="every batch of the back end in use, as JSON")
    options = parser.parse_args(arguments)
    if not 0 < options.seconds <= 3_600:
        parser.error("--seconds is a number above 0 and at most 3600.")
    if options.json:
        json.dump(measure(options.seconds), sys.stdout)
        return 0
    from mobium import __version__

    print(f"mobium {__version__}, CPython {platform.python_version()}, {platform.machine()}", flush=True)
    native = find_spec("mobium._native") is not None
    if not native:
        print(
            "The native extension is not installed here, so this is the pure back end alone."
            " To have both, install mobium where cargo is found, or from a wheel for this machine."
        )
    try:
        found = compare(options.seconds, ("native", "pure") if native else ("pure",))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
