"""A share and its viewers under whatever chance brings, against a model of VP8: a picture can be decoded if
it is a keyframe or the one before it was. Everything is real but the encoder, the decoder and the network,
which loses, repeats and reorders fragments, stands still, and has somebody on it who makes some up.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from mobium.crypto.media import FrameOpener
from mobium.errors import DecryptError, Invalid
from mobium.media.broadcast import Broadcast
from mobium.media.follow import MOST_BYTES, MOST_HELD
from mobium.media.fragments import LARGEST_FRAME, LARGEST_SEALED, MOST_PARTIAL, Picture, Reassembly
from mobium.media.pace import Pacer
from mobium.media.view import ScreenView
from mobium.protocol.limits import media_cost
from tests.support.screens import Keys, encoded
from tests.support.server import schedules

TROUBLE, CALM = 8.0, 5.0  # seconds; a viewer who asked too often is heard again after three
STEP = 0.004
UNDECODABLE = b"\xff" * 8


class ModelDecoder:
    """Decodes what VP8 could, fails as FFmpeg does at what is broken by its maker, and fails the test at what
    is built on a picture that it has not seen.
    """

    def __init__(self, works: Callable[[], None]) -> None:
        self._works = works
        self._at: tuple[int, int] | None = None

    def decode(self, picture: Picture) -> Any:
        self._works()
        data, place = picture.encoded.data, (picture.share, picture.number)
        if data[:8] == UNDECODABLE:
            self._at = None
            raise Invalid("broken")
        assert data[:8] == place[0].to_bytes(4, "big") + place[1].to_bytes(4, "big")
        if not picture.encoded.keyframe:
            assert self._at == (place[0], place[1] - 1), f"{place} is decoded after {self._at}"
        self._at = place
        return SimpleNamespace(place=place)


@dataclass
class Net:
    """What happens on the way to one viewer."""

    loss: float
    repeats: float
    jitter: float
    stalls: list[tuple[float, float]]

    def arrivals(self, now: float, draw: random.Random) -> list[float]:
        if now > TROUBLE:
            return [now + 0.02]
        if draw.random() < self.loss:
            return []
        stalled = max((end for begin, end in self.stalls if begin <= now < end), default=now)
        copies = 2 if draw.random() < self.repeats else 1
        return [stalled + 0.01 + draw.random() * self.jitter for _ in range(copies)]


@dataclass
class Viewer:
    """One who watches, and what is checked about him."""

    name: int
    joins: float
    looks_every: float
    decodes_in: float
    net: Net
    opener: FrameOpener
    place: bytes
    whole: Reassembly = field(default_factory=Reassembly)
    asks: list[float] = field(default_factory=list)
    shown: list[tuple[int, int]] = field(default_factory=list)
    requests: int = 0
    opened: int = 0
    busy_until: float = 0.0
    now: float = 0.0

    def __post_init__(self) -> None:
        self.view = ScreenView(lambda: self.asks.append(self.now), lambda: self.now)
        self.view._decoder = ModelDecoder(self.decode)  # type: ignore[assignment]

    def decode(self) -> None:
        """It takes a while."""
        self.now += self.decodes_in if self.now < TROUBLE else 0.004

    def arrives(self, body: bytes, now: float) -> None:
        self.now = max(self.now, now)
        sealed = self.whole.put("sender", body, self.now)
        assert self.whole.size <= MOST_PARTIAL * LARGEST_SEALED
        if sealed is None:
            return
        try:
            plaintext = self.opener.open(sealed.data, self.place)
        except DecryptError:
            return
        self.opened += 1
        self.view.put(plaintext)

    def looks(self, now: float) -> None:
        if now < self.busy_until:
            return
        self.now = max(self.now, now)
        self.view.poll()
        shown: Any = self.view.show()
        assert self.now - now < 1
        self.busy_until = max(self.now, now + self.looks_every)
        if shown is not None:
            self.shown.append(shown.place)

    def waiting(self) -> int:
        following = self.view._following
        assert len(following._held) <= MOST_HELD
        assert following._ready_bytes <= MOST_BYTES
        return len(following._held) + len(following._ready)


def viewer(name: int, keys: Keys, draw: random.Random) -> Viewer:
    begins = [draw.uniform(0, TROUBLE) for _ in range(draw.randrange(4))]
    net = Net(
        loss=draw.choice([0, 0.003, 0.03, 0.2]),
        repeats=draw.choice([0, 0.1]),
        jitter=draw.choice([0, 0.03, 0.2]),
        stalls=[(begin, begin + draw.uniform(0.1, 1.5)) for begin in begins],
    )
    joins = draw.choice([0.0, draw.uniform(0, TROUBLE)])
    looks, decodes = draw.choice([0.016, 0.066, 0.3]), draw.choice([0.004, 0.03, 0.15])
    return Viewer(name, joins, looks, decodes, net, keys.opener(), keys.place)


class Schedule:
    """One sender, up to four viewers, and what is between them."""

    def __init__(self, seed: int) -> None:
        self.draw = draw = random.Random(seed)
        self.keys = Keys()
        self.viewers = [viewer(name, self.keys, draw) for name in range(draw.randint(1, 4))]
        self.average = draw.choice([2_000, 10_000, 30_000])
        self.largest = draw.choice([3 * self.average, 200_000, LARGEST_FRAME])
        self.broken = draw.choice([0, 0, 0.01])
        self.forged = draw.choice([0, 0.05])
        self.requests_lost = draw.choice([0, 0.3])
        self.restart = draw.choice([math.inf, draw.uniform(0, TROUBLE)])
        self.happened: Counter[str] = Counter()
        self.now = 0.0
        self.made = (0, -1)
        self.keyframes: list[float] = []
        self.wire: list[tuple[float, int, str, Viewer, bytes]] = []
        self.order, self.shares = itertools.count(), itertools.count(1)
        self.pacer = Pacer(15, 0.0)
        self.begin()

    def begin(self) -> None:
        """A share begins."""
        self.share, self.began = next(self.shares), self.now
        self.broadcast = Broadcast(self.share, 4_000_000, self.keys.seal, media_cost, self.now)
        self.keyframes.clear()

    def run(self) -> None:
        for step in range(round((TROUBLE + CALM) / STEP)):
            self.now = step * STEP
            if self.now >= self.restart:
                self.restart = math.inf
                self.happened["restarts"] += 1
                self.begin()
            while (body := self.broadcast.take(self.now)) is not None:
                self.send(body)
            if self.pacer.wait(self.now) == 0 and self.broadcast.wait(self.now) == 0:
                self.make()
            self.deliver()
            self.watch()
        self.check()

    def send(self, body: bytes) -> None:
        draw = self.draw
        for one in self.viewers:
            for at in one.net.arrivals(self.now, draw) if self.now >= one.joins else []:
                heapq.heappush(self.wire, (at, next(self.order), "body", one, body))
                if draw.random() < self.forged and self.now < TROUBLE:
                    made_up = bytearray(body) if draw.random() < 0.5 else bytearray(draw.randbytes(40))
                    made_up[draw.randrange(len(made_up))] ^= 1 << draw.randrange(8)
                    heapq.heappush(self.wire, (at, next(self.order), "body", one, bytes(made_up)))
                    self.happened["forged"] += 1

    def make(self) -> None:
        self.pacer.began(self.now)
        keyframe, number = self.broadcast.keyframe_due(self.now), self.broadcast.counts.pictures
        small = self.draw.randint(8, 2 * self.average)
        size = self.draw.randint(self.average, self.largest) if keyframe else small
        picture = encoded(keyframe, size, round(1_000 * (self.now - self.began)), self.share, number)
        if self.draw.random() < self.broken and self.now < TROUBLE:
            picture = picture._replace(data=UNDECODABLE)
            self.happened["undecodable"] += 1
        self.broadcast.put(picture, self.now)
        self.made = (self.share, number)
        if keyframe:
            self.keyframes.append(self.now)

    def deliver(self) -> None:
        while self.wire and self.wire[0][0] <= self.now:
            _, _, kind, one, body = heapq.heappop(self.wire)
            if kind == "ask":
                self.broadcast.ask(one.name, self.now)
            else:
                one.arrives(body, self.now)

    def watch(self) -> None:
        for one in self.viewers:
            if self.now >= one.joins:
                one.looks(self.now)
            one.waiting()
            for _ in range(len(one.asks) - one.requests):
                one.requests += 1
                if self.draw.random() >= self.requests_lost or self.now > TROUBLE:
                    at = self.now + self.draw.uniform(0.01, 0.2)
                    heapq.heappush(self.wire, (at, next(self.order), "ask", one, b""))

    def check(self) -> None:
        assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(self.keyframes))
        for one in self.viewers:
            counts = one.view.counts
            # everything that was opened is somewhere
            assert one.opened == counts.taken + counts.late + counts.dropped + one.waiting()
            # nothing is shown twice or out of order
            assert all(earlier < later for earlier, later in itertools.pairwise(one.shown))
            assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(one.asks))
            # and once the network is well again everybody is live
            assert one.shown, "nothing was ever shown"
            assert one.shown[-1][0] == self.made[0]
            assert self.made[1] - one.shown[-1][1] <= 6
            self.note(one)

    def note(self, one: Viewer) -> None:
        counts, pieces = one.view.counts, one.whole.counts
        self.happened.update(lost=counts.lost, asked=counts.asked, dropped=counts.dropped, late=counts.late)
        self.happened.update(taken=counts.taken, malformed=pieces.malformed, given_up=pieces.given_up)
        self.happened.update(repeated=pieces.repeated)
        self.happened["late joiners"] += one.joins > 0


def test_schedules(seed: int) -> None:
    happened: Counter[str] = Counter()
    for number in range(schedules()):
        schedule = Schedule(seed + number)
        try:
            schedule.run()
        except BaseException:
            print(f"schedule {seed + number}")
            raise
        happened += schedule.happened
    print(dict(happened))
    # The schedules were ones in which things happened.
    assert happened["taken"] > 100 * schedules()
    for what in (
        "lost",
        "asked",
        "dropped",
        "late",
        "malformed",
        "repeated",
        "given_up",
        "restarts",
        "forged",
    ):
        assert happened[what] > 0, what
