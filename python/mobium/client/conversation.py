"""What the engine does with messages, each as one transaction: queue, find, retry, page, mark.

Not its concern: sending (`mobium.client.outbox`) and receiving (`mobium.client.receive`).
"""

from __future__ import annotations

from typing import Final, Literal

from mobium.client import channel_talk
from mobium.client.contacts import accept_peer, resolve
from mobium.client.store import incoming, messages, meta, outgoing, peers
from mobium.client.store.database import Tx
from mobium.client.store.messages import Message
from mobium.errors import InvalidInput, MobiumError, ServerRefused
from mobium.protocol import content
from mobium.protocol.content import Text

__all__ = ["find", "history", "mark_read", "queue_text", "reached", "retry"]

_RANK: Final[dict[str, int]] = {"queued": 0, "failed": 0, "expired": 0, "sent": 1, "delivered": 2, "read": 3}


def reached(message: Message, state: Literal["sent", "delivered", "read"]) -> bool:
    """Whether a message of one's own is at least `state`.

    Raises InvalidInput if it never will be, ServerRefused or MobiumError with the reason if it failed.
    """
    if message.channel is not None and state != "sent":
        raise InvalidInput("Messages to a channel have no receipts; wait for “sent”.")
    if _RANK[message.state] >= _RANK[state]:
        return True
    if message.state == "failed" and message.code:
        raise ServerRefused(message.code, message.reason)
    if message.state in {"failed", "expired"}:
        raise MobiumError(message.reason or "The message was not sent.")
    return False


def queue_text(tx: Tx, me: bytes, peer: bytes | str, text: str, content_id: bytes, now_ms: int) -> None:
    """Queue a text to a peer, who becomes a contact. Raises InvalidInput."""
    now = now_ms // 1000
    key, found = resolve(tx, peer)
    if key == me:
        raise InvalidInput("This is your own key; a conversation needs two.")
    if not text:
        raise InvalidInput("The message is empty.")
    try:
        plaintext = content.encode(Text(content_id, now_ms, text))
    except UnicodeEncodeError as error:
        raise InvalidInput("The message holds characters that are no text.") from error
    largest = meta.largest_content(tx)
    if len(plaintext) > largest:
        raise InvalidInput(
            f"The message is too large: it takes {len(plaintext)} bytes, and this server allows {largest}."
        )
    if found is None:
        found = peers.add(tx, key, "contact", now)
    if found.blocked:
        raise InvalidInput("This contact is blocked; unblock it to write to it.")
    found = accept_peer(tx, found, now)
    position = messages.add_outgoing(tx, found.id, content_id, text, now_ms)
    outgoing.add(tx, found.id, plaintext, position, now)
    if found.trust == "changed":
        messages.set_state(
            tx,
            position,
            "queued",
            "key_changed",
            "This contact's key has changed; accept the new key to send.",
        )


def find(tx: Tx, message_id: str) -> Message:
    """The message of one's own with this content id (hex). Raises InvalidInput."""
    try:
        content_id = bytes.fromhex(message_id)
    except (TypeError, ValueError) as error:
        raise InvalidInput("A message is named by 32 hexadecimal digits.") from error
    message = messages.find_outgoing(tx, content_id)
    if message is None:
        raise InvalidInput("There is no message of your own with this id.")
    return message


def retry(tx: Tx, message_id: str, now: int) -> None:
    """Queue a message that failed or expired again. Raises InvalidInput."""
    message = find(tx, message_id)
    if message.channel is not None:
        channel_talk.retry(tx, message, now)
        return
    if message.state not in {"failed", "expired"}:
        raise InvalidInput("Only a message that failed or expired can be sent again.")
    peer = peers.by_key(tx, bytes.fromhex(message.peer))
    plaintext = messages.plaintext(tx, message.position)
    assert peer is not None
    assert plaintext is not None
    if peer.blocked:
        raise InvalidInput("This contact is blocked; unblock it to write to it.")
    outgoing.add(tx, peer.id, plaintext, message.position, now)
    messages.set_state(tx, message.position, "queued")


def history(tx: Tx, peer: bytes | str, before: int | None, limit: int, now: int | None) -> list[Message]:
    """A page of a conversation; `now` in unix seconds if everything that waited has been received."""
    _, found = resolve(tx, peer)
    if found is None:
        return []
    server = meta.current_server(tx)
    drained_at = now if now is not None else 0 if server is None else server.drained_at
    return messages.history(tx, found.id, before, limit, drained_at)


def mark_read(tx: Tx, peer: bytes | str, position: int | None, tell: bool, now: int) -> None:
    """Note what was read. Raises InvalidInput."""
    _, found = resolve(tx, peer)
    if found is None:
        raise InvalidInput("There are no messages with this peer.")
    last = messages.last_position(tx, found.id)  # what comes later was not read, whatever somebody says
    upto = last if position is None else min(position, last)
    if tell and found.relation == "contact":
        for content_id in messages.received_contents(tx, found.id, found.read_to, upto):
            incoming.owe_receipt(tx, found.id, content_id, "read", now)
    if upto > found.read_to:
        peers.update(tx, found, read_to=upto)
