"""How a viewer follows a shared screen live: sans-I/O, with the clock as an argument.

    put     an opened picture came
    take    the picture to decode next
    broken  it did not decode
    poll    time passes

VP8 builds each picture on the one before it, so after one that is missing nothing is shown until a keyframe
comes, for which the sender is asked; what stands meanwhile is the last good picture. A keyframe is gone to as
soon as it is there, whatever waits before it. Whoever decodes too slowly drops what waits and asks for a
keyframe, instead of seeing what was half a second ago; whoever does not look asks for nothing. Not its
concern: decoding (`mobium.media.screen`), and how the sender is asked (the room).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mobium.media.fragments import Picture

__all__ = ["FollowCounts", "Following"]

REORDERED: Final = 0.1
"""Seconds for which a missing picture may still come."""

ASK_EVERY: Final = 1.0
"""Seconds from one request for a keyframe to the next, at least."""

ASKS: Final = 10
"""Requests in a row after which nothing came at all: whoever does not send is not asked any more."""

LOOKS: Final = 2.0
"""Seconds after which somebody who takes no picture does not look any more."""

BEHIND: Final = 0.5
"""Seconds that a picture may wait to be decoded."""

MOST_READY: Final = 45
"""Pictures that wait to be decoded: what three seconds without a network give at once."""

MOST_BYTES: Final = 2 << 20
"""Of those. The largest keyframe is a quarter of it."""

MOST_HELD: Final = 8
"""Pictures behind one that is missing."""

ANEW: Final = 2.0
"""Seconds without anything that goes on, after which what seems to be old begins anew: a sender who came back
counts from the start.
"""


@dataclass(slots=True)
class FollowCounts:
    """What became of the pictures of one sender."""

    taken: int = 0
    """Given to be decoded."""
    keyframes: int = 0
    """Keyframes that were gone to."""
    lost: int = 0
    """Numbers that never came, or too late."""
    late: int = 0
    """Pictures that came when their time was over, or again."""
    dropped: int = 0
    """Pictures left out: those that nothing could be built on, and those that a keyframe overtook."""
    asked: int = 0
    """Requests for a keyframe."""


class Following:
    """The pictures of one sender. No lock: whoever calls from two threads holds one."""

    def __init__(self, ask: Callable[[], None]) -> None:
        """`ask` is called, by `put` and `poll`, when the sender is to be asked for a keyframe."""
        self.counts: Final = FollowCounts()
        self._ask = ask
        self._share: int | None = None
        self._last: int | None = None  # the number of the newest that was made ready; None in a new share
        self._whole = False  # whether the one after it can be shown
        self._ready: deque[tuple[Picture, float]] = deque()
        self._ready_bytes = 0
        self._held: dict[int, tuple[Picture, float]] = {}
        self._evicted = 0
        self._missing_since: float | None = None
        self._went_on_at = -math.inf
        self._taken_at: float | None = None
        self._asked_at: float | None = None
        self._in_vain = 0

    @property
    def waits_for_keyframe(self) -> bool:
        """Whether nothing but a keyframe can be shown."""
        return not self._whole

    def put(self, picture: Picture, now: float) -> None:
        """An opened picture came at `now` (seconds of any clock that only goes forward)."""
        self._in_vain = 0
        if self._is_late(picture) and now - self._went_on_at <= ANEW:
            self.counts.late += 1
        else:
            self._went_on_at = now
            self._take_in(picture, now)
        self.poll(now)

    @property
    def ready(self) -> int:
        """How many pictures can be taken, unless they wait for too long."""
        return len(self._ready)

    def take(self, now: float) -> Picture | None:
        """The picture to decode next, which needs not be shown if another one follows it; None if there is
        none.
        """
        self._taken_at = now
        if self._ready and now - self._ready[0][1] > BEHIND:
            self._lose()
        if not self._ready:
            return None
        picture, _ = self._ready.popleft()
        self._ready_bytes -= len(picture.encoded.data)
        self.counts.taken += 1
        return picture

    def broken(self) -> None:
        """A picture that was taken did not decode: what is built on it is of no use."""
        if not (self._ready and self._ready[0][0].encoded.keyframe):
            self._lose()

    def poll(self, now: float) -> None:
        """Time passes; to be called several times a second, also when nothing comes."""
        if self._missing_since is None or now - self._missing_since < REORDERED:
            return
        self._whole = False
        if self._taken_at is None or now - self._taken_at > LOOKS or self._in_vain >= ASKS:
            return
        if self._asked_at is None or now - self._asked_at >= ASK_EVERY:
            self._asked_at = now
            self._in_vain += 1
            self.counts.asked += 1
            self._ask()

    def _is_late(self, picture: Picture) -> bool:
        """Whether the picture lies behind what was shown."""
        if self._share is None or picture.share != self._share:
            return self._share is not None and picture.share < self._share
        return picture.number in self._held or (self._last is not None and picture.number <= self._last)

    def _take_in(self, picture: Picture, now: float) -> None:
        if picture.share != self._share or self._is_late(picture):
            self._begin(picture.share)
        if picture.encoded.keyframe:
            self._go_to(picture, now)
        elif self._whole and self._last is not None and picture.number == self._last + 1:
            self._append(picture, now)
            self._release(now)
        else:
            self._hold(picture, now)

    def _begin(self, share: int) -> None:
        self.counts.dropped += len(self._held) + len(self._ready)
        self._held.clear()
        self._clear()
        self._share, self._last, self._whole, self._evicted = share, None, False, 0
        self._missing_since = None

    def _go_to(self, picture: Picture, now: float) -> None:
        """A keyframe needs nothing of what was before it."""
        overtaken = [number for number in self._held if number < picture.number]
        if self._last is not None:
            self.counts.lost += max(0, picture.number - self._last - 1 - len(overtaken) - self._evicted)
        for number in overtaken:
            del self._held[number]
        self.counts.dropped += len(overtaken) + len(self._ready)
        self.counts.keyframes += 1
        self._clear()
        self._whole, self._evicted, self._missing_since = True, 0, None
        self._append(picture, now)
        self._release(now)

    def _append(self, picture: Picture, now: float) -> None:
        self._ready.append((picture, now))
        self._ready_bytes += len(picture.encoded.data)
        self._last = picture.number
        if len(self._ready) > MOST_READY or self._ready_bytes > MOST_BYTES:
            self._lose()

    def _release(self, now: float) -> None:
        """What was behind a missing picture that has come."""
        while self._whole and self._last is not None and (held := self._held.pop(self._last + 1, None)):
            self._append(held[0], now)
        if self._whole:
            self._missing_since = min((came for _, came in self._held.values()), default=None)

    def _hold(self, picture: Picture, now: float) -> None:
        self._held[picture.number] = (picture, now)
        if len(self._held) > MOST_HELD:
            del self._held[min(self._held)]
            self._evicted += 1
            self.counts.dropped += 1
        if self._missing_since is None:
            self._missing_since = now

    def _lose(self) -> None:
        """Nothing that is there can be built on."""
        self.counts.dropped += len(self._ready)
        self._clear()
        self._whole = False
        self._missing_since = -math.inf  # there is nothing to wait for

    def _clear(self) -> None:
        self._ready.clear()
        self._ready_bytes = 0
