"""Media frames that wait for one socket: few, young, and the oldest are dropped first, so that a slow reader
loses media and nothing else.

A socket gets media only when it has taken everything else, and the kernel is told to hold little that it has
not sent: a message never waits behind more than one turn's media. Not its concern: who gets which frame
(`mobium_server.voice`), when a socket is asked (`mobium_server.stream`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque

from mobium.protocol.limits import MAX_MEDIA_FRAME
from mobium.protocol.media_frames import VOICE

__all__ = ["TURN", "MediaQueue", "hold_little"]

# Seconds. Older voice helps nobody: receivers wait for it at most 120 ms, and have concealed it.
VOICE_LIFE = 0.5
VOICE_MOST = 256 << 10  # bytes; half a second of all others in a full room
# A keyframe of a screen comes in fragments, all of which are needed, and a slow link takes its time for them.
SCREEN_LIFE = 2.0
SCREEN_MOST = 1 << 20
TURN = MAX_MEDIA_FRAME + 10  # bytes handed over at once: one fragment of a screen with its WebSocket header
# Seconds until a socket is asked again that did not take everything; each time it took nothing at all it is
# asked later, up to the second number.
RETRY = 0.01
RETRY_MOST = 0.16
KERNEL_MOST = 16 << 10  # bytes that the kernel may hold unsent


class _Lane:
    """Frames of one kind."""

    __slots__ = ("_frames", "_life", "_most", "_size")

    def __init__(self, life: float, most: int) -> None:
        self._frames: deque[tuple[float, bytes]] = deque()
        self._life = life
        self._most = most
        self._size = 0

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, data: bytes, now: float) -> int:
        self._frames.append((now, data))
        self._size += len(data)
        dropped = 0
        while self._size > self._most:
            self._size -= len(self._frames.popleft()[1])
            dropped += 1
        return dropped

    def expire(self, now: float) -> int:
        frames, dropped = self._frames, 0
        while frames and now - frames[0][0] > self._life:
            self._size -= len(frames.popleft()[1])
            dropped += 1
        return dropped

    def take(self, most: int, into: list[bytes]) -> int:
        """Move the oldest frames, at most `most` bytes in all, into a list; how many bytes are left of it."""
        frames = self._frames
        while frames and len(frames[0][1]) <= most:
            data = frames.popleft()[1]
            self._size -= len(data)
            most -= len(data)
            into.append(data)
        return most


class MediaQueue:
    """What waits for one socket."""

    __slots__ = ("_dropped", "_pause", "_screen", "_unsent", "_voice")

    def __init__(self) -> None:
        self._voice = _Lane(VOICE_LIFE, VOICE_MOST)
        self._screen = _Lane(SCREEN_LIFE, SCREEN_MOST)
        self._dropped = 0
        self._pause = 0.0
        self._unsent = 0

    def __len__(self) -> int:
        return len(self._voice) + len(self._screen)

    def put(self, kind: int, data: bytes, now: float) -> None:
        """Add the bytes of a frame, at most `TURN` of them, at the time `now`, seconds."""
        self._dropped += (self._voice if kind == VOICE else self._screen).put(data, now)

    def take(self, now: float) -> list[bytes]:
        """The frames to write next, voice first: one turn's bytes. What is too old by now is dropped."""
        self.expire(now)
        taken: list[bytes] = []
        self._screen.take(self._voice.take(TURN, taken), taken)
        return taken

    def expire(self, now: float) -> None:
        """Drop what is too old."""
        self._dropped += self._voice.expire(now) + self._screen.expire(now)

    def ask_in(self, unsent: int, *, wrote: bool, asked: bool) -> float:
        """The seconds until its socket, which has not sent `unsent` bytes, is to be asked again; 0.0 if that
        is to come already. `wrote`: it was just given frames; `asked`: it was asked because a pause was over.
        """
        if wrote or unsent < self._unsent or not self._pause:
            self._pause = RETRY
        elif asked:
            self._pause = min(2 * self._pause, RETRY_MOST)
        else:
            return 0.0
        self._unsent = unsent
        return self._pause

    def count_dropped(self) -> int:
        """How many frames were dropped since this was asked last: they were too old, or too many."""
        dropped, self._dropped = self._dropped, 0
        return dropped


def hold_little(transport: asyncio.Transport, little: bool) -> None:
    """Let the kernel hold few bytes that it has not sent, or (False) as many as it likes. Where it cannot be
    told, the send buffer is the bound.
    """
    made = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if made is not None and option is not None:
        with contextlib.suppress(OSError):
            made.setsockopt(socket.IPPROTO_TCP, option, KERNEL_MOST if little else 0)
