"""The steps of calls on their way out: one's own first, then what the steps of others are answered.

One's own are what a person, a timer or a link makes: an offer, an answer, an end. A reply only answers a step
of the other side, which says it again if it hears nothing; so replies to each peer are few, and none is
waited for. Not its concern: which steps there are (`mobium.client.call_state`), and sessions
(`mobium.client.signals`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Final

from mobium.client.call_values import Say
from mobium.errors import CryptoError, InvalidInput, MobiumError

__all__ = ["CallSteps"]

log = logging.getLogger(__name__)

_SEND: Final = 5.0  # seconds for a signal; what is not said by then is repeated or over
_OWN: Final = 32  # steps of one's own that wait; beyond, the oldest go
_REPLIES: Final = 16
_RATE: Final = 1.0  # replies a second to a peer
_BURST: Final = 4.0  # at once, as when somebody calls, gives up and calls again
_PEERS: Final = 256  # whose replies are counted


class CallSteps:
    """Says one step after the other.

    `send(step)` says it, and may raise MobiumError; `failed(step, why)` is called for one of one's own that
    cannot be said at all. `time` gives seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        send: Callable[[Say], Awaitable[None]],
        failed: Callable[[Say, str], None],
        time: Callable[[], float],
    ) -> None:
        self._send = send
        self._failed = failed
        self._time = time
        self._own: deque[Say] = deque(maxlen=_OWN)
        self._replies: deque[Say] = deque(maxlen=_REPLIES)
        self._held: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._some = asyncio.Event()

    @property
    def pending(self) -> int:
        """Steps of one's own that were not said yet."""
        return len(self._own)

    def put(self, say: Say) -> None:
        """Queue a step. One that waits still is not said twice; a reply beyond the peer's rate is dropped."""
        if say.reply and not self._may_reply(say.peer):
            return
        queue = self._replies if say.reply else self._own
        name = (say.peer, say.call, say.step)
        for other in [one for one in queue if (one.peer, one.call, one.step) == name]:
            queue.remove(other)
        queue.append(say)
        self._some.set()

    def _may_reply(self, peer: bytes) -> bool:
        now = self._time()
        held, since = self._held.pop(peer, (_BURST, now))
        held = min(_BURST, held + (now - since) * _RATE)
        may = held >= 1
        self._held[peer] = (held - 1 if may else held), now
        while len(self._held) > _PEERS:
            self._held.popitem(last=False)
        return may

    async def run(self) -> None:
        """Say what is queued, until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            while queue := self._own or self._replies:
                say = queue[0]
                try:
                    await self._say(say)
                finally:
                    if queue and queue[0] is say:
                        queue.popleft()

    async def _say(self, say: Say) -> None:
        try:
            async with asyncio.timeout(_SEND):
                await self._send(say)
        except (CryptoError, InvalidInput) as error:
            if not say.reply:
                self._failed(say, str(error))
        except (MobiumError, TimeoutError) as error:
            log.debug("A step of a call was not said: %s", error)
