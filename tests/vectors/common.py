"""What those who write the kernels' vectors share: entropy that is always the same, texts that count.

Not its concern: what is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


class Entropy:
    def __init__(self, label: str) -> None:
        self._label = label
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.sha256(f"mobium vectors {self._label} {self._count}".encode()).digest()[:size]


def counting(size: int) -> bytes:
    """`size` bytes that count: 0, 1, ... 250, 0, 1 ..."""
    return bytes(i % 251 for i in range(size))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(at: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda message: message[:at] + value + message[at + len(value) :]
