"""One sender's screen as a viewer sees it: opened pictures in, what to show out.

`put` and `poll` are the network's thread's, `show` may be another's: it decodes. Not its concern: fragments
and keys, and the rule by which pictures are followed (`mobium.media.follow`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mobium.errors import Invalid
from mobium.media.follow import FollowCounts, Following
from mobium.media.fragments import read_picture
from mobium.media.screen import ScreenDecoder, Shown

__all__ = ["ScreenView"]


class ScreenView:
    """What one sender shows."""

    def __init__(self, ask: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        """`ask` is called by `put` and `poll` when the sender is to be asked for a keyframe.

        Raises MediaUnavailable without PyAV.
        """
        self.malformed = 0
        """Pictures that were none, or did not decode."""
        self._clock = clock
        self._following = Following(ask)
        self._decoder = ScreenDecoder()
        self._lock = threading.Lock()

    @property
    def counts(self) -> FollowCounts:
        """What became of the pictures."""
        return self._following.counts

    @property
    def waits_for_keyframe(self) -> bool:
        """Whether what is shown stands still until a keyframe comes."""
        return self._following.waits_for_keyframe

    def put(self, plaintext: bytes) -> None:
        """A picture of the sender was opened. What is none is counted."""
        try:
            picture = read_picture(plaintext)
        except Invalid:
            self.malformed += 1
            return
        with self._lock:
            self._following.put(picture, self._clock())

    def poll(self) -> None:
        """Time passes; to be called several times a second, also when nothing comes."""
        with self._lock:
            self._following.poll(self._clock())

    def show(self) -> Shown | None:
        """The newest picture, decoded, or None if what was shown last stands; within a second however slow
        the machine is. To be called whenever somebody looks: who does not look asks for no keyframe.
        """
        shown = None
        for _ in range(max(1, self._following.ready)):
            with self._lock:
                picture = self._following.take(self._clock())
            if picture is None:
                break
            try:
                shown = self._decoder.decode(picture) or shown
            except Invalid:
                self.malformed += 1
                with self._lock:
                    self._following.broken()
                break
        return shown
