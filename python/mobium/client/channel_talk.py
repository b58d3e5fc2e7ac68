"""What the engine does with messages of channels, each as one transaction: queue, retry, page, mark.

Not its concern: direct conversations (`mobium.client.conversation`) and sending (`mobium.client.postbox`).
"""

from __future__ import annotations

from mobium.client import labels
from mobium.client.store import channels, lines, messages, meta, posts
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.client.store.messages import Message
from mobium.errors import InvalidInput
from mobium.protocol import content
from mobium.protocol.content import ChannelText

__all__ = ["history", "mark_read", "queue_text", "retry"]


def queue_text(tx: Tx, channel: str, text: str, content_id: bytes, now_ms: int) -> None:
    """Queue a text to a channel. Raises InvalidInput."""
    row = labels.resolve(tx, channel)
    _check_member(row)
    if not text:
        raise InvalidInput("The message is empty.")
    try:
        size = len(content.encode(ChannelText(content_id, now_ms, text, (0xFFFFFFFF, bytes(32)))))
    except UnicodeEncodeError as error:
        raise InvalidInput("The message holds characters that are no text.") from error
    largest = meta.largest_content(tx)
    if size > largest:
        raise InvalidInput(
            f"The message is too large: it takes {size} bytes, and this server allows {largest}."
        )
    position = lines.add_own(tx, row.id, content_id, text, now_ms)
    posts.add(tx, row.id, position, now_ms // 1000)
    if row.state == "broken":
        messages.set_state(tx, position, "queued", "channel_broken", row.reason)


def retry(tx: Tx, message: Message, now: int) -> None:
    """Queue a message that failed or expired again. Raises InvalidInput."""
    if message.state not in {"failed", "expired"}:
        raise InvalidInput("Only a message that failed or expired can be sent again.")
    row = labels.resolve(tx, f"#{message.channel}")
    _check_member(row)
    posts.add(tx, row.id, message.position, now)
    messages.set_state(tx, message.position, "queued")


def history(tx: Tx, channel: str, before: int | None, limit: int, now: int | None) -> list[Message]:
    """A page of a channel; `now` in unix seconds if there is a connection."""
    row = labels.resolve(tx, channel)
    drained_at = now if now is not None and row.cursor >= row.head else row.drained_at
    return lines.history(tx, row.id, before, limit, drained_at)


def mark_read(tx: Tx, channel: str, position: int | None) -> None:
    """Note what was read. Raises InvalidInput."""
    row = labels.resolve(tx, channel)
    last = lines.last_place(tx, row.id)
    upto = last if position is None else min(position, last)
    if upto > row.read_to:
        channels.update(tx, row.id, read_to=upto)


def _check_member(row: ChannelRow) -> None:
    if row.state not in ("member", "broken"):
        raise InvalidInput(row.reason or "You are not in this channel.")
