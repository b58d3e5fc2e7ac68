"""Which message goes out next: one lane for each peer, or channel, so that order survives every refusal.

In a lane one message is under way at a time, and the next follows when it is taken; a refusal that may pass
holds the lane, and the refused message stays its first. Time is an argument, in seconds of any clock. Not its
concern: the store, the network, and the server's pace (`mobium.client.outbox`, `mobium.client.pace`).
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from mobium.protocol.codes import ErrorCode
from mobium.protocol.messages import ChannelPost, Distribute, SendMessage

__all__ = ["PASSING", "Lanes", "Ready"]

PASSING: Final = frozenset(
    (
        ErrorCode.QUEUE_FULL,
        ErrorCode.RATE_LIMITED,
        ErrorCode.STORAGE,
        ErrorCode.SHUTTING_DOWN,
        ErrorCode.INTERNAL,
    )
)
"""Refusals that may pass: what was refused goes out again later."""

_UNDER_WAY: Final = 32  # messages at once, over all lanes
_ANSWER_TIME: Final = 30.0  # seconds after which an unanswered message goes out again
_FIRST_HOLD: Final = 5.0  # seconds that a lane waits after a refusal; doubled up to
_LONGEST_HOLD: Final = 300.0


class Ready(msgspec.Struct, frozen=True):
    """An encrypted message, its row in the store, and the peer (or channel) in whose lane it is.

    `later`: nobody waits for it, so what a person wrote to others goes first.
    """

    row: int
    peer: int
    message: SendMessage | ChannelPost | Distribute
    later: bool = False


class _Flight(msgspec.Struct):
    peer: int
    since: float
    answered: bool = False


class _Hold(msgspec.Struct, frozen=True):
    until: float
    seconds: float


class Lanes:
    """What is ready, under way and held on the present connection."""

    def __init__(self) -> None:
        self._ready: dict[int, deque[Ready]] = {}
        self._flights: dict[bytes, _Flight] = {}
        self._holds: dict[int, _Hold] = {}

    def reset(self) -> None:
        """The connection has changed: everything that is not settled is to be taken from the store again."""
        self._ready.clear()
        self._flights.clear()
        self._holds.clear()

    def recall(self) -> None:
        """Who may be written to has changed: what is ready is to be taken from the store again."""
        self._ready.clear()

    def add(self, ready: Ready) -> None:
        """A message may go out, behind those of its peer that were added before."""
        self._ready.setdefault(ready.peer, deque()).append(ready)

    def next(self, now: float) -> Ready | None:
        """The message that may go out now and was queued first, of those that somebody waits for if there are
        some.
        """
        flying = {flight.peer for flight in self._flights.values() if not flight.answered}
        if len(flying) >= _UNDER_WAY:
            return None
        heads = [
            lane[0] for peer, lane in self._ready.items() if peer not in flying and not self._held(peer, now)
        ]
        return min(heads, key=lambda ready: (ready.later, ready.row), default=None)

    def take_off(self, ready: Ready, now: float) -> None:
        """`ready`, which `next` has given, goes out."""
        lane = self._ready[ready.peer]
        lane.popleft()
        if not lane:
            del self._ready[ready.peer]
        self._flights[ready.message.id] = _Flight(ready.peer, now)

    def answered(self, delivery: bytes) -> int | None:
        """The server has answered for a delivery id; returns the peer, or None if that was not under way."""
        flight = self._flights.get(delivery)
        if flight is None or flight.answered:
            return None
        flight.answered = True
        return flight.peer

    def release(self, peer: int) -> None:
        """A message of this lane was taken."""
        self._holds.pop(peer, None)

    def hold(self, peer: int, now: float, seconds: float | None) -> None:
        """Let a lane wait after a refusal: `seconds` if the server named them, and longer each time."""
        before = self._holds.get(peer)
        wait = min(2 * before.seconds, _LONGEST_HOLD) if before and before.seconds else _FIRST_HOLD
        self._holds[peer] = _Hold(now + max(wait, min(seconds or 0, _LONGEST_HOLD)), wait)
        self._ready.pop(peer, None)  # the refused one goes before them

    def delay(self, peer: int, now: float, seconds: float) -> None:
        """Let a lane wait so long, which makes no later wait longer."""
        self._holds[peer] = _Hold(now + seconds, 0.0)
        self._ready.pop(peer, None)

    def settled(self, delivery: bytes) -> None:
        """What was answered for a delivery id is stored."""
        self._flights.pop(delivery, None)

    def busy(self, now: float) -> set[int]:
        """The peers of whom something is ready, or who are held: nothing is to be taken from the store for
        them.
        """
        return self._ready.keys() | {peer for peer in self._holds if self._held(peer, now)}

    def flying(self) -> set[int]:
        """The peers to whom something is under way, or answered and not settled: for them neither, since a
        refusal would be overtaken.
        """
        return {flight.peer for flight in self._flights.values()}

    def overdue(self, now: float) -> None:
        """Let messages that nobody has answered for too long go out again, first in their lanes."""
        for delivery, flight in list(self._flights.items()):
            if not flight.answered and flight.since + _ANSWER_TIME <= now:
                del self._flights[delivery]
                self._ready.pop(flight.peer, None)

    def next_change(self, now: float, since: float | None = None) -> float | None:
        """Seconds until a hold ends or an answer is overdue, if nothing happens before.

        Holds that had ended at `since` (by default now), when the store was last asked, change nothing more.
        """
        looked_at = now if since is None else since
        moments = [hold.until for hold in self._holds.values() if hold.until > looked_at]
        moments += [flight.since + _ANSWER_TIME for flight in self._flights.values() if not flight.answered]
        return max(0.0, min(moments) - now) if moments else None

    def _held(self, peer: int, now: float) -> bool:
        hold = self._holds.get(peer)
        return hold is not None and hold.until > now
