"""One message on its way, as a server sees it. Not its concern: what a server does with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Envelope"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Delivery id, sender, recipient, payload; and of a distribution the channel that it is for."""

    id: bytes
    sender: bytes
    recipient: bytes
    payload: bytes = field(repr=False)
    channel: bytes | None = None

    def changed(self, **fields: Any) -> Envelope:
        """The same envelope with other fields."""
        return replace(self, **fields)
