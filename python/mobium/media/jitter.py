"""When each packet of one speaker is played: an adaptive jitter buffer, sans-I/O, with the clock as an
argument.

    put     a packet came: its key, its number under that key, when
    get     20 ms are due: what they are made of

A packet says no time, and a speaker who is muted sends none, so a number says only what comes after what. The
buffer therefore knows one measure, its **margin**: the time between a packet's coming and its being due. It
grows whenever nothing is there in time, since what is due then waits; it shrinks by 20 ms (`Merge`) when no
packet of four seconds had less than 40. What lies more than 140 ms behind the newest packet is left out:
after a stall the conversation goes on where it is, not where it was. Not its concern: decoding, mixing, keys.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from mobium.media.form import FRAME_SECONDS

__all__ = ["Conceal", "Counts", "Decision", "Fec", "JitterBuffer", "Merge", "Packet", "Silence"]

SHORTEST: Final = 0.020
LONGEST: Final = 0.120
"""Seconds that somebody who begins to speak is held back, so that what follows is there in time."""

MOST_HELD: Final = 7
"""Packets. One more than LONGEST has, for the one that is just due."""

MOST_CONCEALED: Final = 5
"""Frames made up when nothing comes: after a tenth of a second a made-up voice is a noise."""

WATCHED: Final = 4.0
"""Seconds of speech over which the margin is watched before it shrinks."""

BETWEEN_MERGES: Final = 0.5
"""Seconds from one lost frame of delay to the next."""

LOST_AT_FIRST: Final = 50
"""Numbers of a new key that may be missing before its first packet: beyond that it was joined in the middle.
"""

KEYS: Final = 4
"""A sender's present key and those before it, of which packets may come still."""


@dataclass(frozen=True, slots=True)
class Packet:
    """Decode this."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Fec:
    """A lost frame, of which the packet that follows it has a copy; that packet is played next."""

    following: bytes


@dataclass(frozen=True, slots=True)
class Merge:
    """Decode both, and let the first become the second within 20 ms: the delay gets shorter by one frame."""

    first: bytes
    second: bytes


@dataclass(frozen=True, slots=True)
class Conceal:
    """Nothing is there; make up 20 ms."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody speaks: muted, not there, or away for longer than can be made up."""


Decision = Packet | Fec | Merge | Conceal | Silence


@dataclass(slots=True)
class Counts:
    """What became of the packets and the frames of one speaker."""

    played: int = 0
    """Packets decoded in their place."""
    recovered: int = 0
    """Frames made of the copy in the next packet."""
    concealed: int = 0
    """Frames made up."""
    late: int = 0
    """Packets that came when their time was over."""
    repeated: int = 0
    """Packets that were there already."""
    skipped: int = 0
    """Packets left out so that what is heard is not long ago."""
    merged: int = 0
    """Frames by which the delay was shortened."""


class _State(Enum):
    IDLE = "idle"
    PLAYING = "playing"


@dataclass(slots=True)
class _Numbers:
    """How the numbers of one key lie in the one order of all that a speaker says."""

    offset: int
    end: int | None = None
    """The first place that belongs to the key after it."""


@dataclass(slots=True)
class _Watch:
    """The least and the greatest margin of the last WATCHED seconds that were played, in four parts."""

    parts: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=4))
    ticks: int = 0
    last: float = 0.0

    def note(self, margin: float) -> None:
        self.last = margin
        if self.ticks % _PART == 0:
            self.parts.append((margin, margin))
        else:
            least, greatest = self.parts[-1]
            self.parts[-1] = (min(least, margin), max(greatest, margin))
        self.ticks += 1

    @property
    def least(self) -> float:
        """0 until a whole stretch was watched."""
        return min(part[0] for part in self.parts) if self.ticks >= 4 * _PART else 0.0

    @property
    def spread(self) -> float:
        if not self.parts:
            return 0.0
        return max(part[1] for part in self.parts) - min(part[0] for part in self.parts)

    def moved(self) -> None:
        """The margin was changed on purpose: what was seen lies a frame lower."""
        for at, (least, greatest) in enumerate(self.parts):
            self.parts[at] = (least - FRAME_SECONDS, greatest - FRAME_SECONDS)


_PART: Final = round(WATCHED / 4 / FRAME_SECONDS)


class JitterBuffer:
    """One speaker's packets. No lock: whoever calls from two threads holds one."""

    def __init__(self, first: int = 0) -> None:
        """`first` is the number with which every key begins."""
        self.counts = Counts()
        self._first = first
        self._keys: dict[Hashable, _Numbers] = {}
        self._packets: dict[int, bytes] = {}
        self._state = _State.IDLE
        self._next = 0
        self._newest = -1
        self._arrived = 0.0
        self._since = 0.0  # when the first packet came of those that are there
        self._due = 0.0  # when `get` is called next
        # Frames made up since the last packet, for which it is not decided whether it was lost.
        self._waited = 0
        self._played: deque[int] = deque(maxlen=LOST_AT_FIRST)
        self._wanted = False  # another frame of margin, since a packet came out of order and too late
        self._watch = _Watch()
        self._merged_at = 0.0

    @property
    def delay(self) -> float:
        """Seconds that somebody who begins to speak now is held back."""
        return min(LONGEST, max(SHORTEST, self._watch.spread + SHORTEST))

    @property
    def margin(self) -> float:
        """Seconds from the coming of the newest packet to its being played."""
        return self._watch.last

    def put(self, key: Hashable, number: int, packet: bytes, now: float) -> None:
        """A packet with its number under its key came at `now` (seconds of any clock that
        only goes forward).
        """
        place = self._place(key, number)
        if place is None or place < self._next:
            if place is not None and place in self._played:
                self.counts.repeated += 1
            else:
                self.counts.late += 1
                self._wanted = place is not None
            return
        if place in self._packets:
            self.counts.repeated += 1
            return
        if not self._packets:
            self._since = now
        self._packets[place] = packet
        if self._state is _State.PLAYING:
            self._watch.note(self._due + (place - self._next) * FRAME_SECONDS - now)
        if place > self._newest:
            self._newest, self._arrived = place, now
        if self._newest - self._next >= MOST_HELD:
            self._skip_to(self._newest - MOST_HELD + 1)

    def get(self, now: float) -> Decision:
        """What the next 20 ms are made of, asked for once in 20 ms."""
        self._due = now + FRAME_SECONDS
        if self._state is _State.IDLE and not self._begins(now):
            return Silence()
        if not self._packets:
            return self._starve()
        if self._next not in self._packets:
            self._settle()
        if self._next not in self._packets:
            return self._lost()
        return self._play(now)

    def _place(self, key: Hashable, number: int) -> int | None:
        """Where a packet lies in the order of all, or None if its place belongs to a later key."""
        numbers = self._keys.get(key)
        if numbers is None:
            missing = number - self._first if 0 <= number - self._first < LOST_AT_FIRST else 0
            begin = self._newest + 1
            for other in self._keys.values():
                other.end = begin if other.end is None else other.end
            numbers = self._keys[key] = _Numbers(begin + missing - number)
            if len(self._keys) > KEYS:
                del self._keys[next(iter(self._keys))]
        place = numbers.offset + number
        return place if numbers.end is None or place < numbers.end else None

    def _skip_to(self, place: int) -> None:
        for old in [one for one in self._packets if one < place]:
            del self._packets[old]
            self.counts.skipped += 1
        self._next = min(self._packets)

    def _begins(self, now: float) -> bool:
        """Whether somebody who was silent is heard from now on."""
        if not self._packets:
            return False
        oldest = min(self._packets)
        behind = (self._newest - oldest) * FRAME_SECONDS + now - self._arrived
        if max(behind, now - self._since) < self.delay:
            return False
        self._state, self._next, self._waited = _State.PLAYING, oldest, 0
        self._watch.ticks = 0  # a new stretch is watched before it is shortened
        return True

    def _starve(self) -> Decision:
        self._waited += 1
        if self._waited > MOST_CONCEALED:
            self._state = _State.IDLE
            return Silence()
        self.counts.concealed += 1
        return Conceal()

    def _settle(self) -> None:
        """What was made up while nothing came stood for what is now known to be lost."""
        self._next += min(self._waited, min(self._packets) - self._next)
        self._waited = 0

    def _lost(self) -> Decision:
        """The packet that is due is missing, and a later one is there."""
        if self._wanted and self._newest - self._next < MOST_HELD - 1:
            self._wanted = False  # it may come yet: this frame is made up, and what is due waits
            self.counts.concealed += 1
            return Conceal()
        self._next += 1
        if (following := self._packets.get(self._next)) is not None:
            self.counts.recovered += 1
            return Fec(following)
        self.counts.concealed += 1
        return Conceal()

    def _play(self, now: float) -> Decision:
        self._waited = 0
        packet = self._take()
        if self._watch.least < 2 * FRAME_SECONDS or now - self._merged_at < BETWEEN_MERGES:
            return Packet(packet)
        if self._next not in self._packets:
            return Packet(packet)
        self._merged_at = now
        self._watch.moved()
        self.counts.merged += 1
        return Merge(packet, self._take())

    def _take(self) -> bytes:
        self._played.append(self._next)
        self.counts.played += 1
        self._next += 1
        return self._packets.pop(self._next - 1)
