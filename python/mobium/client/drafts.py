"""Drafts: what somebody has begun to write, kept in the encrypted profile until it is sent or deleted.

Not its concern: sending.
"""

from __future__ import annotations

from mobium.client.core import Core
from mobium.client.store import drafts
from mobium.errors import InvalidInput

__all__ = ["Drafts"]

_LONGEST = 1 << 20  # characters; no server takes a longer message


class Drafts:
    """The drafts of an open engine, one for each conversation: a peer in hex, or "#" and a channel's id in
    hex.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def all(self) -> dict[str, str]:
        """Every draft, by its conversation."""
        return await self._core.store.run(drafts.every)

    async def put(self, target: str, text: str) -> None:
        """Keep a draft; an empty text forgets it. Raises InvalidInput for what names no conversation, or a
        text that is too long or none.
        """
        key = target.removeprefix("#")
        try:
            named = len(bytes.fromhex(key)) == 32 and key == key.lower()
            text.encode()
        except ValueError as error:
            raise InvalidInput("A draft belongs to a key or a channel's id, and is a text.") from error
        if not named or len(text) > _LONGEST:
            raise InvalidInput(
                "A draft belongs to a key or a channel's id, and has at most 1,048,576 characters."
            )
        await self._core.store.run(drafts.put, target, text)
