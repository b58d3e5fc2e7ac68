"""The native ends of a stream wipe their key when they are dropped: what another process reads then.

The child gets base keys and derives from them in native code alone, so the derived key is in no object of its
Python. Where the processor has instructions for AES, a prepared key begins with the key itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import require_extension
from tests.vectors import frame_reference

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/mem")

KID = 1 << 31
CHILD = f"""
import sys
from mobium._native import FrameOpener, FrameSealer
ends = []
for line in sys.stdin:
    if line == "drop\\n":
        ends.clear()
    else:
        sealer, opener = (end(bytes.fromhex(line), {KID}) for end in (FrameSealer, FrameOpener))
        assert opener.open(sealer.seal(b"text")) == b"text"
        ends += [sealer, opener]
        del sealer, opener
    print("ready", flush=True)
"""


def memory(pid: int) -> bytes:
    """All that the process may write to."""
    pieces = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        for begin, end in re.findall(r"(?m)^(\w+)-(\w+) rw", Path(f"/proc/{pid}/maps").read_text()):
            file.seek(int(begin, 16))
            with contextlib.suppress(OSError):  # a page that is not there
                pieces.append(file.read(int(end, 16) - int(begin, 16)))
    return b"".join(pieces)


def test_a_dropped_key_is_in_no_memory() -> None:
    require_extension()
    bases = [os.urandom(32) for _ in range(10)]
    keys = [frame_reference.keys(base, KID)[0] for base in bases]
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def tell(line: str) -> None:
            print(line, file=child.stdin, flush=True)
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"

        try:
            for base in bases:
                tell(base.hex())
            held = memory(child.pid)
            tell("drop")
            after = memory(child.pid)
        finally:
            child.stdin.close()
            child.wait(60)
    if re.search(r"\baes\b", Path("/proc/cpuinfo").read_text()):
        assert all(held.count(key) >= 2 for key in keys)
    assert not any(key in after for key in keys)
