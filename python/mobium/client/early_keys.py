"""Media keys that came before their senders were to be seen in a voice room: kept for a moment, so many of
each.

Not its concern: who is in the room, and what a key opens (`mobium.client.voice_room`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from mobium.protocol.content import MediaKey

__all__ = ["EarlyKeys"]

_KEPT: Final = 10.0  # seconds
_OF_EACH: Final = 8  # of 40 people
_MOST: Final = 320


class EarlyKeys:
    """The keys, oldest first. `now` is in seconds of a clock that only goes forward."""

    def __init__(self) -> None:
        self._keys: deque[tuple[float, bytes, MediaKey]] = deque(maxlen=_MOST)

    def put(self, sender: bytes, key: MediaKey, now: float) -> None:
        """Keep a key of `sender` (an identity key, 32 bytes). Whoever hands over many pushes out no one
        else's.
        """
        of_sender = [early for early in self._keys if early[1] == sender]
        if len(of_sender) >= _OF_EACH:
            self._keys.remove(of_sender[0])
        self._keys.append((now, sender, key))

    def offer(self, take: Callable[[bytes, MediaKey], bool], now: float) -> None:
        """Offer every key to `take(sender, key)`; what it does not take is kept until its time is over."""
        for _ in range(len(self._keys)):
            since, sender, key = self._keys.popleft()
            if not take(sender, key) and now < since + _KEPT:
                self._keys.append((since, sender, key))

    def clear(self) -> None:
        """Forget all of them."""
        self._keys.clear()
