"""What was being written and is not sent yet, one text for each conversation.

Not its concern: messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = ["every", "put"]


def every(tx: Tx) -> dict[str, str]:
    """All drafts, by a peer in hex or "#" and a channel's id in hex."""
    return dict(tx.all("SELECT target, text FROM draft"))


def put(tx: Tx, target: str, text: str) -> None:
    """Keep a draft; an empty one is forgotten."""
    if text:
        tx.execute(
            "INSERT INTO draft VALUES (?, ?) ON CONFLICT (target) DO UPDATE SET text = excluded.text",
            target, text,
        )  # fmt: skip
    else:
        tx.execute("DELETE FROM draft WHERE target = ?", target)
