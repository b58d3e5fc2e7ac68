"""The steps of calls that have come and wait to be looked at: so many of each peer, one of each in turn.

Whoever says a lot pushes out what he said himself, and holds nobody else up. Not its concern: who may call,
and what a step does (`mobium.client.calls`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from mobium.protocol.content import Call

__all__ = ["HeardSteps"]

_OF_EACH: Final = 16  # steps of one peer; the oldest go, and whoever waits for an answer says it again
_PEERS: Final = 256  # who have said something; of fellow members too, who may not call


class HeardSteps:
    """What was heard, by peer (an identity key, 32 bytes)."""

    def __init__(self) -> None:
        self._steps: OrderedDict[bytes, deque[Call]] = OrderedDict()

    def put(self, peer: bytes, step: Call) -> None:
        """A step has come."""
        if peer in self._steps or len(self._steps) < _PEERS:
            self._steps.setdefault(peer, deque(maxlen=_OF_EACH)).append(step)

    def take(self) -> tuple[bytes, Call] | None:
        """The oldest step of the peer whose turn it is; None if nothing waits."""
        if not self._steps:
            return None
        peer, steps = self._steps.popitem(last=False)
        step = steps.popleft()
        if steps:
            self._steps[peer] = steps
        return peer, step
