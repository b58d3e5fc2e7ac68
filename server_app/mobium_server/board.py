"""Messages of channels: taken, committed together, numbered, and shown to every member who is connected
(docs/PROTOCOL.md, Delivery).

Sans-I/O, as `mobium_server.delivery` is: connections are `Outlet`s, the database is a queue of jobs whose
answers come back in order, timers are given. That order is what makes it right: when the answer about a
message arrives, everything committed before it has been reported, so those who are here as readers are the
members for whom it was numbered. Nobody waits for a slow reader: what it does not get is there to be fetched.
Not its concern: what a statement says (`mobium_server.channels`), pages (`mobium_server.pages`), rows
(`mobium_server.storage`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from mobium.protocol import codec
from mobium.protocol.codes import ErrorCode
from mobium.protocol.messages import ChannelHead, ChannelMessage
from mobium_server.envelope import Desk, refusal
from mobium_server.frames import header
from mobium_server.health import Health
from mobium_server.holding import Holding
from mobium_server.pace import BATCH, BATCH_BYTES, FULL_AFTER, RETRY_AFTER, TICK, Cancel, Later
from mobium_server.recent import Recent
from mobium_server.space import Space
from mobium_server.storage.base import GonePost, NewPost, Posted, Refused, Storage
from mobium_server.storage.worker import Jobs

__all__ = ["Board", "Seat"]

# Frame bytes that are sent to all readers unasked. Of a larger message only the number is told: all of its
# copies would be in memory at once, where those that are fetched come one by one.
PUSH_MOST = 70_000

_CODES = {
    Refused.UNKNOWN: ErrorCode.UNKNOWN_CHANNEL,
    Refused.NOT_MEMBER: ErrorCode.NOT_A_MEMBER,
    Refused.STALE: ErrorCode.STALE_ROSTER,
    Refused.FULL: ErrorCode.QUEUE_FULL,
}


class Seat:
    """A login as a reader of its channels."""

    __slots__ = ("behind", "channels", "desk")

    def __init__(self, desk: Desk, channels: Iterable[bytes]) -> None:
        self.desk = desk
        self.channels = set(channels)
        self.behind: dict[bytes, int] | None = None
        """Channels of which not everything was sent here, and how far each has come."""


class _Post:
    """A message on its way to its number."""

    __slots__ = ("answers", "channel", "delivery", "digest", "index", "key", "payload", "sender", "size")

    def __init__(
        self, sender: bytes, channel: bytes, delivery: bytes, index: int, payload: bytes, key: bytes
    ) -> None:
        self.sender = sender
        self.channel = channel
        self.delivery = delivery
        self.index = index
        self.payload = payload
        self.size = len(payload)
        self.key = key
        self.answers: list[tuple[Desk, int | None]] = []


class Board:
    """All messages that wait for their numbers, and all readers. `now` is the server's own clock, seconds."""

    def __init__(
        self,
        storage: Storage,
        jobs: Jobs,
        later: Later,
        *,
        now: Callable[[], int],
        steady: Callable[[], float],
        holding: Holding,
        health: Health,
        space: Space,
    ) -> None:
        self._storage = storage
        self._jobs = jobs
        self._later = later
        self._now = now
        self._holding = holding
        self._health = health
        self._space = space
        self._steady = steady
        self._recent = Recent(steady)
        self._seats: dict[bytes, Seat] = {}
        self._readers: dict[bytes, dict[bytes, Seat]] = {}
        self._live: dict[bytes, _Post] = {}
        self._waiting: dict[bytes, _Post] = {}
        self._tick: Cancel | None = None
        self._writing = False
        self._due = False
        self._idle: list[Callable[[], None]] = []
        self.stored = 0
        self.shown = 0
        self.behinds = 0

    @property
    def remembered(self) -> int:
        """How many delivery ids are answered from memory."""
        return len(self._recent)

    # ------------------------------------------------------------ readers

    def sit_down(self, desk: Desk, channels: Iterable[bytes]) -> Seat:
        """Begin to show somebody who logs in its channels, in the step in which the answer of the storage
        about them arrives. An older seat of the same identity is given up.
        """
        older = self._seats.get(desk.identity)
        if older is not None:
            self.get_up(older)
        seat = self._seats[desk.identity] = Seat(desk, channels)
        for channel in seat.channels:
            self._readers.setdefault(channel, {})[desk.identity] = seat
        return seat

    def get_up(self, seat: Seat) -> None:
        """The connection ended. Of a seat that was given up it changes nothing."""
        if self._seats.get(seat.desk.identity) is not seat:
            return
        del self._seats[seat.desk.identity]
        for channel in seat.channels:
            self._leave(channel, seat.desk.identity)

    def seat(self, identity: bytes) -> Seat | None:
        """Where somebody who is connected sits."""
        return self._seats.get(identity)

    def readers(self, channel: bytes) -> Mapping[bytes, Seat]:
        """The members of a channel who are connected, by identity."""
        return self._readers.get(channel, {})

    def _leave(self, channel: bytes, identity: bytes) -> None:
        readers = self._readers[channel]
        del readers[identity]
        if not readers:
            del self._readers[channel]

    def enter(self, channel: bytes, identity: bytes) -> None:
        """Somebody has become a member."""
        seat = self._seats.get(identity)
        if seat is not None:
            seat.channels.add(channel)
            self._readers.setdefault(channel, {})[identity] = seat

    def leave(self, channel: bytes, identity: bytes) -> None:
        """Somebody has ceased to be one."""
        seat = self._seats.get(identity)
        if seat is not None and channel in seat.channels:
            seat.channels.discard(channel)
            self._leave(channel, identity)

    def show(self, channel: bytes, number: int, frame: bytes, but: Collection[Desk]) -> None:
        """Send every reader the frame of the entry `number`; those at the desks `but` know it."""
        readers = self._readers.get(channel)
        if not readers:
            return
        small = len(frame) <= PUSH_MOST
        data = header(len(frame)) + frame if small else b""  # the same bytes for all
        for seat in readers.values():
            desk = seat.desk
            if desk in but:
                continue
            behind = seat.behind
            if small and (behind is None or channel not in behind) and desk.outlet.relay(data):
                self.shown += 1
                continue
            if behind is None:
                behind = seat.behind = {}
            if channel not in behind:
                self.behinds += 1
            behind[channel] = number
            if not small:
                self.catch_up(seat)

    def catch_up(self, seat: Seat) -> None:
        """The socket takes more: say how far the channels have come of which something was not sent."""
        behind = seat.behind
        outlet = seat.desk.outlet
        while behind and outlet.writable():
            channel = next(iter(behind))
            outlet.send(codec.encode(ChannelHead(channel, behind.pop(channel))))
        if not behind:
            seat.behind = None

    # ------------------------------------------------------------ from senders

    def post(
        self, desk: Desk, rid: int | None, channel: bytes, index: int, delivery: bytes, payload: bytes
    ) -> None:
        """Take a message of `desk`'s identity, who knew the roster up to `index`. The answer follows when it
        is committed, with its number.
        """
        key = desk.identity + channel + delivery
        post = self._live.get(key)
        if post is None:
            if self._recent.digest(key) in self._recent:
                desk.outlet.send(codec.encode_accepted(delivery, rid))
                return
            post = self._live[key] = _Post(desk.identity, channel, delivery, index, payload, key)
            self._waiting[key] = post
        elif (desk, rid) in post.answers:
            return
        post.answers.append((desk, rid))
        self._holding.take(desk, post.size)
        if len(self._waiting) >= BATCH:
            self._commit_when_free()
        else:
            self._arm()

    def _arm(self) -> None:
        if self._tick is None:
            self._tick = self._later(TICK, self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        if self._waiting:
            self._commit_when_free()

    def _commit_when_free(self) -> None:
        if self._writing:
            self._due = True
        else:
            self._commit()

    def _commit(self) -> None:
        """Write what waits in one transaction. Its answers leave when it is durable, never before."""
        self._due = False
        if self._waiting and self._space.low:
            for post in self._waiting.values():
                self._refuse(post, ErrorCode.STORAGE, FULL_AFTER)
            self._waiting.clear()
        batch: list[_Post] = []
        size = 0
        for post in self._waiting.values():
            if size >= BATCH_BYTES or len(batch) >= BATCH:
                break
            batch.append(post)
            size += post.size
        if not batch:
            self._report_idle()
            return
        for post in batch:
            del self._waiting[post.key]
        self._writing = True
        began = self._steady()

        def done(outcome: list[Posted | Refused] | None, error: Exception | None) -> None:
            self._writing = False
            if outcome is None:
                self._health.fails(
                    "Channel messages could not be stored; their senders were told to try again", error
                )
                for post in batch:
                    self._refuse(post, ErrorCode.STORAGE, RETRY_AFTER)
            else:
                self._health.works()
                self._health.commits.add(self._steady() - began)
                self._committed(batch, outcome)
            self._go_on()

        posts = [NewPost(one.channel, one.sender, one.delivery, one.index, one.payload) for one in batch]
        self._jobs.submit(done, self._storage.post, posts, self._now())

    def _committed(self, batch: list[_Post], outcome: list[Posted | Refused]) -> None:
        for post, result in zip(batch, outcome, strict=True):
            if isinstance(result, Refused):
                self._refuse(post, _CODES[result], FULL_AFTER if result is Refused.FULL else None)
                continue
            number = result.number
            self._answer(post, [codec.encode_accepted(post.delivery, rid, number) for _, rid in post.answers])
            if result.new:
                self.stored += 1
                frame = codec.encode(ChannelMessage(post.channel, number, post.sender, post.payload))
                self.show(post.channel, number, frame, [desk for desk, _ in post.answers])

    def _refuse(self, post: _Post, code: ErrorCode, retry_after: float | None) -> None:
        self._answer(post, [refusal(post.delivery, rid, code, retry_after) for _, rid in post.answers])

    def _answer(self, post: _Post, frames: list[bytes]) -> None:
        del self._live[post.key]
        for (desk, _), frame in zip(post.answers, frames, strict=True):
            self._holding.give_back(desk, post.size)
            if desk.open:
                desk.outlet.send(frame)

    def _go_on(self) -> None:
        if self._waiting:
            if self._due or self._idle or len(self._waiting) >= BATCH:
                self._commit()
            else:
                self._arm()
        else:
            self._report_idle()

    # ------------------------------------------------------------ expiry and the end

    def forget(self, gone: list[GonePost]) -> None:
        """Messages expired: their delivery ids stay answered for a while, without a number."""
        for channel, sender, delivery in gone:
            self._recent.add(self._recent.digest(sender + channel + delivery))

    def drain(self, done: Callable[[], None]) -> None:
        """Commit and answer everything that waits, without waiting for a tick, then call `done`."""
        self._idle.append(done)
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._commit_when_free()

    def _report_idle(self) -> None:
        idle, self._idle = self._idle, []
        for done in idle:
            done()
