"""A world for machines of calls in which time is a number: people, their links, and what is on its way.

Not its concern: what is asserted, but for what holds at every step.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from mobium.client.call_state import CallMachine
from mobium.client.call_values import Apply, Drop, Effect, Missed, Prepare, Say, Tell
from mobium.protocol.content import Call

ANNA, BEN, EVE = b"a" * 32, b"b" * 32, b"e" * 32
EPOCH = 1_800_000_000_000


@dataclass
class Link:
    """One side's link."""

    described: bool = False
    applied: bool = False
    connected: bool = False
    deaf: bool = False


@dataclass
class Side:
    """One person: the machine, its links, and what was told."""

    name: bytes
    clock: float = 0.0
    machine: CallMachine = field(default_factory=CallMachine)
    links: dict[tuple[bytes, int], Link] = field(default_factory=dict)
    told: list[Tell] = field(default_factory=list)
    said: list[Say] = field(default_factory=list)
    missed: list[bytes] = field(default_factory=list)

    @property
    def state(self) -> str:
        """What a person sees."""
        return self.told[-1].state if self.told else "ended"

    @property
    def codes(self) -> list[str]:
        """Why calls ended."""
        return [tell.code for tell in self.told if tell.state == "ended"]


class World:
    """People, signals on their way, links between them, and a clock."""

    def __init__(self, dice: random.Random, loss: float = 0.0, delay: float = 0.05) -> None:
        self.now = 100.0
        self.dice = dice
        self.loss = loss
        self.delay = delay
        self.sides = {name: Side(name) for name in (ANNA, BEN, EVE)}
        self.up = True
        self.connects = True
        self.describes = True
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._beat()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._count), act))

    def run(self, seconds: float) -> None:
        """Let time pass; timers are carried out when they are due."""
        end = self.now + seconds
        while True:
            due = [at for side in self.sides.values() if (at := side.machine.next_at()) is not None]
            moment = min([end, *due, *(self._queue[0][:1] if self._queue else ())])
            if moment >= end:
                break
            self.now = max(self.now, moment)
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
            for side in self.sides.values():
                self._tick(side)
            self.check()
        self.now = end

    def _tick(self, side: Side) -> None:
        for _ in range(10):
            at = side.machine.next_at()
            if at is None or at > self.now:
                return
            self.carry_out(side, side.machine.tick(self.now))
        raise AssertionError("a timer that is due for ever")

    def carry_out(self, side: Side, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Say():
                    side.said.append(effect)
                    self._send(side, effect)
                case Tell():
                    side.told.append(effect)
                case Prepare():
                    self._prepare(side, effect)
                case Apply():
                    side.links[effect.call, effect.attempt].applied = True
                    self._connect(effect.call, effect.attempt)
                case Drop():
                    side.links.pop((effect.call, effect.attempt), None)
                case Missed():
                    side.missed.append(effect.peer)

    def _send(self, side: Side, said: Say) -> None:
        if self.dice.random() < self.loss:
            return
        sent = EPOCH + int((self.now + side.clock) * 1000)
        signal = Call(bytes(16), sent, said.call, said.step, said.attempt, said.sdp, said.reason)
        self.later(
            self.delay * self.dice.uniform(0.5, 1 if self.loss == 0 else 40),
            lambda: self.deliver(side.name, said.peer, signal),
        )

    def deliver(self, sender: bytes, recipient: bytes, signal: Call) -> None:
        side = self.sides[recipient]
        now_ms = EPOCH + int((self.now + side.clock) * 1000)
        self.carry_out(side, side.machine.received(sender, signal, self.now, now_ms))

    def _prepare(self, side: Side, wanted: Prepare) -> None:
        link = side.links[wanted.call, wanted.attempt] = Link(applied=wanted.offer is not None)
        kind = "offer" if wanted.offer is None else "answer"

        def done() -> None:
            if side.links.get((wanted.call, wanted.attempt)) is not link:
                return
            if not self.describes:
                self.carry_out(side, side.machine.failed(wanted.call, wanted.attempt, "failed", self.now))
                return
            link.described = True
            sdp = f"{kind} {wanted.attempt} of {side.name[:1].decode()}"
            self.carry_out(side, side.machine.described(wanted.call, wanted.attempt, sdp, self.now))

        self.later(self.dice.uniform(0.01, 0.3), done)

    def _both(self, call: bytes, attempt: int) -> list[tuple[Side, Link]]:
        pairs = [(side, side.links.get((call, attempt))) for side in self.sides.values()]
        return [(side, link) for side, link in pairs if link is not None and link.described and link.applied]

    def _connect(self, call: bytes, attempt: int) -> None:
        def done() -> None:
            both = self._both(call, attempt)
            if len(both) != 2 or not self.up or not self.connects:
                return
            for side, link in both:
                link.connected = True
                self.carry_out(side, side.machine.connected(call, attempt, self.now))

        self.later(self.dice.uniform(0.05, 0.5), done)

    def _beat(self) -> None:
        """Sound flows on connected links, twice a second."""
        for side in list(self.sides.values()):
            for (call, attempt), link in list(side.links.items()):
                others = [one for who, one in self._both(call, attempt) if who is not side and one.connected]
                if self.up and link.connected and not link.deaf and others:
                    self.carry_out(side, side.machine.heard(call, attempt, self.now))
        self.later(0.5, self._beat)

    def check(self) -> None:
        """What is so at every moment."""
        for side in self.sides.values():
            open_keys: list[bytes] = []
            for tell in side.told:
                if tell.state == "ended":
                    assert open_keys == [tell.key], "something ended that was not there"
                    open_keys.clear()
                elif tell.key not in open_keys:
                    open_keys.append(tell.key)
                assert len(open_keys) <= 1, "two calls"
            assert bool(open_keys) == (side.machine.talk is not None)
            at = side.machine.next_at()
            assert at is None or at >= self.now - 1e-9, "a timer was missed"
            talk = side.machine.talk
            wanted = set() if talk is None else {(talk.call, talk.attempt), (talk.call, talk.pending)}
            assert set(side.links) <= wanted, "a link nobody has use for"

    # ------------------------------------------------------------ people

    def dial(self, caller: bytes, called: bytes, key: bytes | None = None) -> bytes:
        side = self.sides[caller]
        key = key or self.dice.randbytes(16)
        self.carry_out(side, side.machine.dial(key, called, self.now))
        return key

    def accept(self, who: bytes) -> None:
        side = self.sides[who]
        self.carry_out(side, side.machine.accept(self.now))

    def hang_up(self, who: bytes) -> None:
        side = self.sides[who]
        self.carry_out(side, side.machine.hang_up())

    def states(self) -> tuple[str, str]:
        return self.sides[ANNA].state, self.sides[BEN].state


def talking(world: World) -> bytes:
    """Anna and Ben talk; Anna has called."""
    key = world.dial(ANNA, BEN)
    world.run(2)
    assert world.states() == ("ringing", "incoming")
    world.accept(BEN)
    world.run(2)
    assert world.states() == ("active", "active")
    return key
