"""What the twins refuse among their arguments, as the binding of the native kernels does.

A wrong type is a TypeError, a number that its field does not hold an OverflowError, a wrong length an
InvalidInput. Not its concern: what an argument means.
"""

from __future__ import annotations

from mobium.errors import InvalidInput

__all__ = ["check_bytes", "check_number", "exact"]


def check_bytes(name: str, value: bytes) -> None:
    """Return if `value` is bytes. Raises TypeError."""
    if not isinstance(value, bytes):
        raise TypeError(f"{name} must be bytes")


def exact(name: str, value: bytes, size: int) -> None:
    """Return if `value` is `size` bytes. Raises TypeError, InvalidInput."""
    check_bytes(name, value)
    if len(value) != size:
        raise InvalidInput(f"{name} has {size} bytes.")


def check_number(name: str, value: int, bits: int) -> None:
    """Return if `value` is a number from 0 on of at most so many bits. Raises TypeError, OverflowError."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int")
    if not 0 <= value < 1 << bits:
        raise OverflowError(f"{name} must be a number from 0 to 2**{bits} - 1")
