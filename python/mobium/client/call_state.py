"""A call between two as a machine without I/O: at most one at a time, and no state without a timer.

    who calls     PREPARING -> CALLING -> RINGING -> CONNECTING -> ACTIVE <-> RECONNECTING
    who is called            INCOMING -> ANSWERING -> CONNECTING -> ACTIVE <-> RECONNECTING

What a person does, what the other side says and what becomes of a link go in together with the time, in
seconds of any clock that only goes forward; a list of effects comes out, to be carried out in order. Signals
get lost, so an offer is repeated until it is answered, and whatever is said twice is answered twice. A link
is named by the call's id and the number of the attempt: the side that offers, which is the one that called,
makes every new attempt. Not its concern: who may call (`mobium.client.calls`), what a session description
says (`mobium.media.description`), sound.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from mobium.client.call_values import Apply, Drop, Effect, Missed, Phase, Prepare, Say, Step, Talk, Tell
from mobium.client.events import CallState
from mobium.protocol.content import Call

__all__ = [
    "CONNECT",
    "GRACE",
    "PREPARE",
    "RECONNECT",
    "REPEAT",
    "RING",
    "SILENCE",
    "CallMachine",
]

RING: Final = 30.0
"""Seconds that a call rings, on either side; an offer that is older rings no more."""

PREPARE: Final = 12.0
"""Seconds for a session description: the library gives up on a server that does not answer after 5."""

CONNECT: Final = 20.0
"""Seconds from both descriptions to a connection."""

SILENCE: Final = 5.0
"""Seconds without a sign of the other side, after which the network counts as lost."""

GRACE: Final = 1.0
"""Seconds after the end of a link in which it may turn out that the call has ended."""

RECONNECT: Final = 30.0
"""Seconds until a lost call is over."""

REPEAT: Final = 3.0
"""Seconds until what was not answered is said again."""

_KEPT: Final = 64  # calls that are over, and what is answered if they are heard of again
_DOUBTED: Final = 8  # offers of another time, which may be those of a clock that is wrong
_LAST_ATTEMPT: Final = 255

_SHOWN: Final[dict[Phase, CallState]] = {
    Phase.PREPARING: "calling",
    Phase.CALLING: "calling",
    Phase.RINGING: "ringing",
    Phase.INCOMING: "incoming",
    Phase.ANSWERING: "connecting",
    Phase.CONNECTING: "connecting",
    Phase.ACTIVE: "active",
    Phase.RECONNECTING: "reconnecting",
}
_RINGS: Final = frozenset((Phase.CALLING, Phase.RINGING))
_BEFORE_TALKING: Final = frozenset((Phase.PREPARING, Phase.CALLING, Phase.RINGING, Phase.CONNECTING))


class CallMachine:
    """The call of one identity. Every method but the properties returns what is to be done."""

    def __init__(self) -> None:
        self._talk: Talk | None = None
        self._over: OrderedDict[tuple[bytes, bytes], Step] = OrderedDict()
        self._doubted: OrderedDict[tuple[bytes, bytes], tuple[int, float]] = OrderedDict()
        self._out: list[Effect] = []

    @property
    def talk(self) -> Talk | None:
        """The call that there is."""
        return self._talk

    def next_at(self) -> float | None:
        """When `tick` has something to do, if nothing happens before."""
        talk = self._talk
        if talk is None:
            return None
        moments = [talk.deadline]
        if talk.repeat is not None:
            moments.append(talk.repeat)
        if talk.pending is not None:
            moments.append(talk.pending_until)
        if talk.phase is Phase.ACTIVE:
            moments.append(talk.heard + SILENCE)
        return min(moments)

    # ------------------------------------------------------------ what a person does

    def dial(self, key: bytes, peer: bytes, now: float) -> list[Effect]:
        """Call `peer`, which nobody may be talked to or ringing for. `key` (16 bytes) names the call."""
        assert self._talk is None
        talk = Talk(key, key, peer, offers=True, phase=Phase.PREPARING, deadline=now + PREPARE)
        self._show(talk)
        self._out.append(Prepare(peer, key, 0))
        return self._flush()

    def accept(self, now: float) -> list[Effect]:
        """Take the call that rings; nothing if none does."""
        talk = self._talk
        if talk is not None and talk.phase is Phase.INCOMING:
            self._take(talk, now)
        return self._flush()

    def hang_up(self, reason: str | None = None) -> list[Effect]:
        """End the call in whatever state it is; nothing if there is none."""
        talk = self._talk
        if talk is None:
            return []
        if talk.phase is Phase.INCOMING:
            self._end(talk, "declined", "decline", reason)
        elif talk.phase in _RINGS:
            self._end(talk, "cancelled", "cancel", reason)
        elif talk.phase is Phase.PREPARING:
            self._end(talk, "cancelled", None)
        else:
            self._end(talk, "hung_up", "hangup", reason)
        return self._flush()

    # ------------------------------------------------------------ what the other side says

    def received(self, peer: bytes, signal: Call, now: float, now_ms: int) -> list[Effect]:
        """A signal of `peer`, who may call; `now_ms` is the wall clock's."""
        talk = self._talk
        if talk is not None and (talk.peer, talk.call) == (peer, signal.call_id):
            if talk.offers:
                self._as_caller(talk, signal, now)
            else:
                self._as_called(talk, signal, now)
        elif signal.step == "offer":
            self._offered(peer, signal, now, now_ms)
        elif signal.step in {"answer", "again"} and (peer, signal.call_id) in self._over:
            self._reply(peer, signal.call_id, "hangup")
        return self._flush()

    def _offered(self, peer: bytes, signal: Call, now: float, now_ms: int) -> None:
        name = (peer, signal.call_id)
        if name in self._over:
            self._reply(peer, signal.call_id, self._over[name])
        elif signal.attempt == 0 and self._fresh(name, signal.sent, now, now_ms):
            talk = self._talk
            if talk is None:
                self._ring(peer, signal, now)
            elif talk.peer == peer:
                self._crossed(talk, signal, now)
            else:
                self._remember(name, "busy")
                self._out.append(Missed(signal.call_id, peer))
                self._reply(peer, signal.call_id, "busy")

    def _fresh(self, name: tuple[bytes, bytes], sent: int, now: float, now_ms: int) -> bool:
        """Whether an offer was made just now.

        By the clocks of both; where they differ, by two offers that come as far apart as they were sent: what
        waited somewhere comes all at once.
        """
        if abs(now_ms - sent) <= RING * 1000:
            return True
        before = self._doubted.get(name)
        if before is not None:
            sent_apart, apart = (sent - before[0]) / 1000, now - before[1]
            if apart >= REPEAT / 2 and abs(sent_apart - apart) < REPEAT / 2:
                return True
        self._doubted[name] = (sent, now)
        while len(self._doubted) > _DOUBTED:
            self._doubted.popitem(last=False)
        return False

    def _ring(self, peer: bytes, signal: Call, now: float) -> None:
        assert signal.sdp is not None
        call = signal.call_id
        self._show(
            Talk(call, call, peer, offers=False, phase=Phase.INCOMING, deadline=now + RING, offer=signal.sdp)
        )
        self._reply(peer, call, "ringing")

    def _crossed(self, talk: Talk, signal: Call, now: float) -> None:
        """The one with whom there is a call, or who is called, offers another one."""
        assert signal.sdp is not None
        if talk.phase is Phase.PREPARING or (talk.phase in _RINGS and signal.call_id < talk.call):
            # Both called, so both want to talk. The smaller id wins, of those that both have heard of.
            self._out.append(Drop(talk.call, 0))
            self._take(
                Talk(
                    talk.key, signal.call_id, talk.peer, offers=False, phase=talk.phase,
                    deadline=talk.deadline, offer=signal.sdp,
                ),
                now,
            )  # fmt: skip
        elif talk.phase in _RINGS:
            self._repeat(talk, now)  # which the other side may not have heard yet
        elif talk.phase is Phase.RECONNECTING:
            # Of a program that has begun anew: it knows nothing of the call that we have.
            self._end(talk, "lost", None)
            self._ring(talk.peer, signal, now)

    def _as_caller(self, talk: Talk, signal: Call, now: float) -> None:
        match signal.step:
            case "ringing" if talk.phase is Phase.CALLING:
                self._show(msgspec.structs.replace(talk, phase=Phase.RINGING))
            case "answer":
                self._answered(talk, signal, now)
            case "decline" if talk.phase in _BEFORE_TALKING:
                self._end(talk, "declined" if signal.reason is None else "not_taken", None)
            case "busy" if talk.phase in _BEFORE_TALKING:
                self._end(talk, "busy", None)
            case "hangup" if talk.phase in _RINGS:  # of somebody for whom it rings no more
                self._end(talk, "no_answer", None)
            case "hangup":
                self._end(talk, _why_ended(talk, signal), None)
            case "again" if talk.phase is Phase.ACTIVE and signal.attempt == talk.attempt:
                self._lose(talk, now, unheard=True)

    def _answered(self, talk: Talk, signal: Call, now: float) -> None:
        assert signal.sdp is not None
        if talk.phase in _RINGS and signal.attempt == 0:
            self._show(
                msgspec.structs.replace(talk, phase=Phase.CONNECTING, deadline=now + CONNECT, repeat=None)
            )
        elif talk.pending == signal.attempt and talk.repeat is not None:
            self._talk = msgspec.structs.replace(talk, repeat=None, pending_until=now + CONNECT)
        else:
            return
        self._out.append(Apply(talk.call, signal.attempt, signal.sdp))

    def _as_called(self, talk: Talk, signal: Call, now: float) -> None:
        match signal.step:
            case "offer" if talk.phase is Phase.INCOMING:
                self._reply(talk.peer, talk.call, "ringing")
            case "offer" if talk.description is not None and signal.attempt == talk.description[0]:
                self._reply(talk.peer, talk.call, "answer", *talk.description)
            case "offer" if signal.attempt > talk.newest and talk.phase is not Phase.ANSWERING:
                self._offered_again(talk, signal, now)
            case "cancel" | "hangup":
                missed = talk.phase is Phase.INCOMING
                self._end(talk, "missed" if missed else _why_ended(talk, signal), None)

    def _offered_again(self, talk: Talk, signal: Call, now: float) -> None:
        """A new attempt, which the other side makes since it has lost the link or hears that we have."""
        if talk.pending is not None:
            self._out.append(Drop(talk.call, talk.pending))
        again = msgspec.structs.replace(
            talk, phase=Phase.RECONNECTING, pending=signal.attempt, newest=signal.attempt, repeat=None,
            pending_until=now + PREPARE,
        )  # fmt: skip
        if talk.phase is Phase.RECONNECTING:
            self._talk = again
        else:
            self._show(msgspec.structs.replace(again, deadline=now + RECONNECT))
        self._out.append(Prepare(talk.peer, talk.call, signal.attempt, signal.sdp))

    # ------------------------------------------------------------ what becomes of links

    def described(self, call: bytes, attempt: int, sdp: str, now: float) -> list[Effect]:
        """The link is described, for the other side."""
        talk = self._of(call)
        if talk is None or attempt not in {talk.attempt, talk.pending}:
            return [Drop(call, attempt)]
        step: Step = "offer" if talk.offers else "answer"
        said = msgspec.structs.replace(
            talk, description=(attempt, sdp), repeat=now + REPEAT if talk.offers else None
        )
        if talk.phase is Phase.PREPARING:
            self._talk = msgspec.structs.replace(said, phase=Phase.CALLING, deadline=now + RING)
        elif talk.phase is Phase.ANSWERING:
            self._talk = msgspec.structs.replace(said, phase=Phase.CONNECTING, deadline=now + CONNECT)
        elif attempt == talk.pending:
            self._talk = msgspec.structs.replace(said, pending_until=now + CONNECT)
        else:
            return []
        self._say(talk.peer, call, step, attempt, sdp)
        return self._flush()

    def failed(self, call: bytes, attempt: int, code: str, now: float) -> list[Effect]:
        """The link could not be made, or is broken."""
        talk = self._of(call)
        if talk is None:
            return [Drop(call, attempt)]
        if attempt == talk.pending:
            self._give_up(talk, now)
        elif attempt == talk.attempt and talk.phase is Phase.ACTIVE:
            # The other side may have hung up, and its word is on its way still, through the server.
            self._talk = msgspec.structs.replace(talk, heard=min(talk.heard, now - SILENCE + GRACE))
        elif attempt == talk.attempt and talk.phase is not Phase.RECONNECTING:
            step: Step = "hangup"
            if talk.phase in _RINGS:
                step = "cancel"
            elif talk.phase is Phase.ANSWERING:
                step = "decline"
            self._end(talk, code, None if talk.phase is Phase.PREPARING else step, code)
        return self._flush()

    def connected(self, call: bytes, attempt: int, now: float) -> list[Effect]:
        """The link carries sound in both directions."""
        talk = self._of(call)
        if talk is None:
            return [Drop(call, attempt)]
        if talk.phase is Phase.CONNECTING and attempt == talk.attempt:
            self._activate(talk, now)
        elif attempt == talk.pending:
            self._out.append(Drop(call, talk.attempt))
            self._activate(msgspec.structs.replace(talk, attempt=attempt), now)
        return self._flush()

    def heard(self, call: bytes, attempt: int, now: float) -> list[Effect]:
        """The other side gave a sign of life on the link."""
        talk = self._of(call)
        if talk is None or attempt != talk.attempt:
            return []
        self._talk = talk = msgspec.structs.replace(talk, heard=now)
        if talk.phase is Phase.RECONNECTING and not talk.unheard and not self._under_way(talk):
            if talk.pending is not None:
                self._out.append(Drop(call, talk.pending))
            self._activate(talk, now)
        return self._flush()

    # ------------------------------------------------------------ what time does

    def tick(self, now: float) -> list[Effect]:
        """Carry out what is due."""
        talk = self._talk
        if talk is None:
            return []
        if now >= talk.deadline and talk.phase is not Phase.ACTIVE:
            self._late(talk)
        elif talk.phase is Phase.ACTIVE and now >= talk.heard + SILENCE:
            self._lose(talk, now)
        elif talk.pending is not None and now >= talk.pending_until:
            self._give_up(talk, now)
        elif talk.repeat is not None and now >= talk.repeat:
            self._repeat(talk, now)
        return self._flush()

    def _late(self, talk: Talk) -> None:
        match talk.phase:
            case Phase.PREPARING:
                self._end(talk, "failed", None)
            case Phase.CALLING:
                self._end(talk, "unreachable", "cancel")
            case Phase.RINGING:
                self._end(talk, "no_answer", "cancel")
            case Phase.INCOMING:
                self._end(talk, "missed", None)
            case Phase.ANSWERING:
                self._end(talk, "failed", "decline", "failed")
            case Phase.CONNECTING:
                self._end(talk, "not_connected", "hangup")
            case _:
                self._end(talk, "lost", "hangup")

    def _repeat(self, talk: Talk, now: float) -> None:
        """Say again what was not answered; with nothing under way, make the next attempt or ask for it."""
        self._talk = msgspec.structs.replace(talk, repeat=now + REPEAT)
        if talk.offers and talk.description is not None and self._offering(talk):
            self._say(talk.peer, talk.call, "offer", *talk.description)
        elif talk.offers and talk.phase is Phase.RECONNECTING and talk.pending is None:
            self._attempt(talk, now)
        elif not talk.offers and talk.phase is Phase.RECONNECTING and talk.pending is None:
            self._say(talk.peer, talk.call, "again", talk.attempt)

    @staticmethod
    def _offering(talk: Talk) -> bool:
        assert talk.description is not None
        return talk.phase in _RINGS or talk.description[0] == talk.pending

    @staticmethod
    def _under_way(talk: Talk) -> bool:
        """Whether the other side may know of a new attempt, from which only its end leads back."""
        if talk.pending is None:
            return False
        return not talk.offers or (talk.description is not None and talk.description[0] == talk.pending)

    def _lose(self, talk: Talk, now: float, *, unheard: bool = False) -> None:
        lost = msgspec.structs.replace(
            talk, phase=Phase.RECONNECTING, deadline=now + RECONNECT, unheard=unheard
        )
        self._show(lost)
        self._repeat(lost, now)

    def _attempt(self, talk: Talk, now: float) -> None:
        attempt = talk.newest + 1
        if attempt > _LAST_ATTEMPT:
            self._end(talk, "lost", "hangup")
            return
        self._talk = msgspec.structs.replace(
            talk, pending=attempt, newest=attempt, pending_until=now + PREPARE, repeat=None
        )
        self._out.append(Prepare(talk.peer, talk.call, attempt))

    def _give_up(self, talk: Talk, now: float) -> None:
        """The new attempt has failed; the next one, or the wish for it, follows unless the old link lives."""
        assert talk.pending is not None
        self._out.append(Drop(talk.call, talk.pending))
        self._talk = msgspec.structs.replace(talk, pending=None, repeat=now + REPEAT)

    # ------------------------------------------------------------ steps that several take

    def _take(self, talk: Talk, now: float) -> None:
        self._show(msgspec.structs.replace(talk, phase=Phase.ANSWERING, deadline=now + PREPARE, repeat=None))
        self._out.append(Prepare(talk.peer, talk.call, 0, talk.offer))

    def _activate(self, talk: Talk, now: float) -> None:
        self._show(
            msgspec.structs.replace(
                talk, phase=Phase.ACTIVE, deadline=float("inf"), heard=now, pending=None, repeat=None,
                unheard=False,
            )
        )  # fmt: skip

    def _end(self, talk: Talk, code: str, step: Step | None, reason: str | None = None) -> None:
        """The call is over; `step` tells the other side."""
        for attempt in (talk.attempt, talk.pending):
            if attempt is not None:
                self._out.append(Drop(talk.call, attempt))
        self._remember((talk.peer, talk.call), step if step in {"decline", "busy"} else "hangup")
        if step is not None:
            self._say(talk.peer, talk.call, step, reason=reason)
        self._talk = None
        self._out.append(Tell(talk.key, talk.peer, "ended", code))

    def _remember(self, name: tuple[bytes, bytes], step: Step) -> None:
        self._over[name] = step
        self._doubted.pop(name, None)
        while len(self._over) > _KEPT:
            self._over.popitem(last=False)

    def _show(self, talk: Talk) -> None:
        """Be in another phase, and say so if that is another state to a person."""
        before = self._talk
        self._talk = talk
        state = _SHOWN[talk.phase]
        if before is None or before.key != talk.key or _SHOWN[before.phase] != state:
            self._out.append(Tell(talk.key, talk.peer, state))

    def _say(
        self,
        peer: bytes,
        call: bytes,
        step: Step,
        attempt: int = 0,
        sdp: str | None = None,
        reason: str | None = None,
    ) -> None:
        self._out.append(Say(peer, call, step, attempt, sdp, reason))

    def _reply(self, peer: bytes, call: bytes, step: Step, attempt: int = 0, sdp: str | None = None) -> None:
        self._out.append(Say(peer, call, step, attempt, sdp, reply=True))

    def _of(self, call: bytes) -> Talk | None:
        return self._talk if self._talk is not None and self._talk.call == call else None

    def _flush(self) -> list[Effect]:
        out, self._out = self._out, []
        return out


def _why_ended(talk: Talk, signal: Call) -> str:
    return "not_connected" if talk.phase is Phase.CONNECTING and signal.reason is not None else "hung_up"
