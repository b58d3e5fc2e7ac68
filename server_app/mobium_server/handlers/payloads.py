"""Whether a payload may come: its size, and what its sender's address may have on the disk. Not here: what
becomes of it (`mobium_server.delivery`, `mobium_server.board`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mobium.protocol.codes import ErrorCode
from mobium.protocol.limits import (
    BUCKET_SIZES,
    PREKEY_OVERHEAD,
    SENDER_KEY_OVERHEAD,
    channel_payload_ok,
    direct_payload_ok,
)

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["may_keep", "wrong_channel_size", "wrong_direct_size"]


def may_keep(hub: Hub, session: Session, size: int, rid: int | None, delivery: bytes) -> bool:
    """Whether the sender's address may have `size` bytes more on the disk; if not, the sender is told when it
    may.
    """
    wait = hub.may_keep(session.line.address, size)
    if wait:
        hub.counters.limited += 1
        session.refuse(ErrorCode.RATE_LIMITED, rid=rid, delivery=delivery, retry_after=wait)
    return not wait


def wrong_direct_size(size: int, largest: int) -> ErrorCode | None:
    """What is wrong with a pairwise payload of `size` bytes where messages have at most `largest`."""
    return _wrong_size(size, largest, direct_payload_ok, PREKEY_OVERHEAD)


def wrong_channel_size(size: int, largest: int) -> ErrorCode | None:
    """What is wrong with a channel payload of `size` bytes where messages have at most `largest`."""
    return _wrong_size(size, largest, channel_payload_ok, SENDER_KEY_OVERHEAD)


def _wrong_size(size: int, largest: int, fits: Callable[[int, int], bool], overhead: int) -> ErrorCode | None:
    if fits(size, largest):
        return None
    padded = fits(size, BUCKET_SIZES[-1])
    return ErrorCode.TOO_LARGE if padded or size > largest + overhead else ErrorCode.BAD_SIZE
