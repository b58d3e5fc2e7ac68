"""One screen for a room, sans-I/O: when the next picture is made, which are keyframes, and what goes out
when.

    wait    seconds until the next picture may be made
    put     it was encoded: sealed, and cut into fragments
    take    the next fragment, once it may go out
    ask     a viewer needs a keyframe

A server takes 80 frames of media a second of an identity, and 150 at once, and refuses the rest
(docs/PROTOCOL.md, Limits). Voice has 50 of them; a screen keeps to 28 and 40 at once, so that a second in
which the network stood still may arrive as one. What does not fit is not sent late: no picture is made while
fragments of the one before it wait, or while the preset's bits are overdrawn. Not its concern: capturing and
encoding (`mobium.media.screen`), keys, and where the fragments go.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from mobium.media.fragments import Encoded, Picture, Sealed, cut, write_picture
from mobium.media.pace import Budget

__all__ = ["SCREEN_BURST", "SCREEN_RATE", "Broadcast", "BroadcastCounts"]

SCREEN_RATE: Final = 28.0
"""Frames of media a second, counted as the server counts them: with 50 of voice, 2 short of its limit, since
two clocks differ.
"""

SCREEN_BURST: Final = 40.0
"""At once: twice the largest keyframe."""

BETWEEN_KEYFRAMES: Final = 1.0
"""Seconds: one keyframe is for all who asked meanwhile."""

ASKS: Final = 5
ASKS_AGAIN: Final = 3.0
"""Seconds after which a viewer who asked five times may ask again: who cannot follow must not spoil the
picture for all others.
"""

MOST_VIEWERS: Final = 64
"""More than a room has people."""

OVER: Final = 1.25
"""What may be used of the preset's bits over seconds: an encoder keeps to them on average only."""


@dataclass(slots=True)
class BroadcastCounts:
    """What was sent."""

    pictures: int = 0
    keyframes: int = 0
    fragments: int = 0
    bytes: int = 0
    """Of fragments."""
    asked: int = 0
    """Requests for a keyframe that were heard."""
    ignored: int = 0
    """Requests of viewers who ask too often."""


class Broadcast:
    """A share of a screen. It begins with a keyframe."""

    def __init__(
        self,
        share: int,
        bit_rate: int,
        seal: Callable[[bytes], bytes],
        cost: Callable[[int], float],
        now: float,
    ) -> None:
        """`share` (16 bits) is greater than that of the share before it, `bit_rate` the preset's in bits a
        second. `seal` seals a picture under the key of the moment; `cost` says how many frames of the media
        rate a body of so many bytes counts as (`mobium.protocol.limits.media_cost`). `now` is in seconds of
        any clock that only goes forward.
        """
        self.counts: Final = BroadcastCounts()
        self._share = share
        self._number = 0
        self._seal = seal
        self._cost = cost
        self._waiting: deque[bytes] = deque()
        self._frames = Budget(SCREEN_RATE, SCREEN_BURST, now)
        # what a preset may use: its bits, and a second of them at once
        self._bytes = Budget(OVER * bit_rate / 8, bit_rate / 8, now)
        self._wanted = True
        self._keyframe_at = -math.inf
        self._viewers: dict[Hashable, Budget] = {}

    def ask(self, viewer: Hashable, now: float) -> bool:
        """`viewer` has asked for a keyframe; whether one will be made, which is not so if he asks too
        often.
        """
        allowance = self._viewers.get(viewer)
        if allowance is None:
            allowance = self._viewers[viewer] = Budget(1 / ASKS_AGAIN, ASKS, now)
            if len(self._viewers) > MOST_VIEWERS:
                del self._viewers[next(iter(self._viewers))]
        if allowance.wait(1, now):
            self.counts.ignored += 1
            return False
        allowance.spend(1, now)
        self.counts.asked += 1
        self._wanted = True
        return True

    def keyframe_due(self, now: float) -> bool:
        """Whether the next picture is to be a keyframe."""
        return self._wanted and now - self._keyframe_at >= BETWEEN_KEYFRAMES

    def wait(self, now: float) -> float:
        """Seconds until the next picture may be made; infinity while fragments wait."""
        if self._waiting:
            return math.inf
        return max(self._bytes.wait(0, now), self._frames.wait(1, now))

    def put(self, encoded: Encoded, now: float) -> None:
        """A picture was encoded. Raises what `seal` raises; then the picture is lost, and a keyframe due."""
        picture = Picture(self._share, self._number, encoded)
        try:
            fragments = cut(Sealed(self._share, self._number, self._seal(write_picture(picture))))
        except Exception:
            self._wanted, self._keyframe_at = True, -math.inf  # what follows would be built on it
            raise
        self._number += 1
        self._waiting.extend(fragments)
        self._bytes.spend(sum(map(len, fragments)), now)
        self.counts.pictures += 1
        if encoded.keyframe:
            self.counts.keyframes += 1
            self._wanted, self._keyframe_at = False, now

    def pause(self, now: float) -> float | None:
        """Seconds until `take` gives a fragment, or None if none waits."""
        return self._frames.wait(self._cost(len(self._waiting[0])), now) if self._waiting else None

    def take(self, now: float) -> bytes | None:
        """The next fragment, the body of a media frame, if there is one that may go out now."""
        if self.pause(now) != 0:
            return None
        body = self._waiting.popleft()
        self._frames.spend(self._cost(len(body)), now)
        self.counts.fragments += 1
        self.counts.bytes += len(body)
        return body
