"""The recovery words of a new identity, while nobody has confirmed that they are written down.

They lie in the profile's encrypted database, whose key opens the identity too, so that a window that is
closed too early loses nothing; `confirmed` overwrites them there. Not its concern: showing them, and which
are asked back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mobium.client.store import meta

if TYPE_CHECKING:
    from mobium.client.core import Core

__all__ = ["WORDS", "Recovery"]

WORDS: Final = "unconfirmed_words"
"""Under which name the store has them."""


class Recovery:
    """What is known of the words of an open profile."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def words(self) -> str | None:
        """The 24 words, if `Engine.create` was asked to keep them and nobody has confirmed them yet."""
        words: str | None = await self._core.store.run(meta.get, WORDS)
        return words

    async def confirmed(self) -> None:
        """They are written down: the store forgets them, and overwrites where they were."""
        await self._core.store.run(meta.drop, WORDS)
        await self._core.store.checkpoint()
