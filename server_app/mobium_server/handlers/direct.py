"""Direct messages: taken from senders, acknowledged by recipients. Not here: how they are delivered
(`mobium_server.delivery`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mobium.protocol.codes import ErrorCode
from mobium.protocol.limits import BUCKET_SIZES, PREKEY_OVERHEAD, direct_payload_ok
from mobium.protocol.messages import AckDeliveries, SendMessage

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["acknowledge", "may_keep", "send", "wrong_size"]


def send(hub: Hub, session: Session, message: SendMessage) -> None:
    """Take a message, if its payload has the size of a padded one; the answer follows when it is true."""
    hub.counters.messages += 1
    code = wrong_size(message.payload, hub.settings.max_message_size)
    if code is not None:
        session.refuse(code, rid=message.rid, delivery=message.id)
        return
    size = len(message.payload)
    if not may_keep(hub, session, size, message.rid, message.id):
        return
    if hub.office.is_away(message.recipient, size):
        hub.keeps(session.line.address, size)
    hub.office.accept(session.desk, message.rid, message.recipient, message.id, message.payload)


def may_keep(hub: Hub, session: Session, size: int, rid: int | None, delivery: bytes) -> bool:
    """Whether the sender's address may have `size` bytes more on the disk; if not, the sender is told when it
    may.
    """
    wait = hub.may_keep(session.line.address, size)
    if wait:
        hub.counters.limited += 1
        session.refuse(ErrorCode.RATE_LIMITED, rid=rid, delivery=delivery, retry_after=wait)
    return not wait


def wrong_size(payload: bytes, largest: int) -> ErrorCode | None:
    """What is wrong with the size of a pairwise payload where messages have at most `largest` bytes."""
    size = len(payload)
    if direct_payload_ok(size, largest):
        return None
    padded = direct_payload_ok(size, BUCKET_SIZES[-1])
    return ErrorCode.TOO_LARGE if padded or size > largest + PREKEY_OVERHEAD else ErrorCode.BAD_SIZE


def acknowledge(hub: Hub, session: Session, message: AckDeliveries) -> None:
    """Take an acknowledgement; of a tag that was never sent on this connection it is malformed."""
    if not hub.office.acknowledge(session.desk, message.tag):
        session.malformed()
