"""Whose media keys are used in a voice room, and when: what one sends under, and what opens what others send
(docs/CRYPTO.md section 8).

Everything is a value of the present join: a new one begins with fresh keys and empty windows. Time is an
argument, in seconds of any clock that never goes back. Not its concern: who is in the room, and how a key
travels (`mobium.client.rooms`); what a frame holds.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import msgspec

from mobium.crypto.media import FrameOpener, MediaKey, MediaKind, frame_header, media_metadata
from mobium.errors import CryptoError, Duplicate

__all__ = ["Handing", "OpenedFrame", "OwnKey", "TheirKeys"]

_SWITCH: Final = 0.5  # seconds after which a new key is used, whoever has not acknowledged it
_RENEW_PAUSE: Final = 2.0  # seconds between two new generations
_MAX_UNHEARD: Final = 8  # steps that a receiver follows at once
_HEARD: Final = 50  # frames under one step, after which a receiver is taken to have followed it
_LAST_STEP: Final = 255

_WAIT: Final = 0.5  # seconds that a frame of an unknown key waits for it
_OLD: Final = 10.0  # seconds that a key is kept after a newer one was first used
_UNUSED: Final = 3  # keys of one sender and kind that were handed over and not used yet
_HELD_BYTES: Final = 600 << 10  # of frames of one sender and kind that wait: more than one picture has
_HELD_FRAMES: Final = 30
_GENERATIONS: Final = 256  # of one sender and kind that are remembered, so that none begins anew
_ASK_FIRST: Final = 1.0  # seconds until a key that is missing is asked for again, doubled up to
_ASK_LAST: Final = 30.0


class Handing(NamedTuple):
    """A key that one's own side hands to a peer (an identity key, 32 bytes)."""

    peer: bytes
    kind: MediaKind
    key: MediaKey


class OpenedFrame(NamedTuple):
    """The plaintext of a frame, and under which KID and counter it came."""

    kid: int
    counter: int
    plaintext: bytes


class _Coming(msgspec.Struct):
    """A key of a new generation on its way to everybody."""

    key: MediaKey
    since: float
    waiting: set[bytes]


class OwnKey:
    """The key under which one seals one kind of media in one room, from the entrance to the exit.

    Somebody who enters is handed the next step, and opens nothing that was sealed before. Somebody who leaves
    makes a new generation due, which is used once everybody who is left has acknowledged it.
    """

    def __init__(self, kind: MediaKind, channel_id: bytes, me: bytes, now: float) -> None:
        self.kind = kind
        self._channel_id = channel_id
        self._me = me
        self._metadata = media_metadata(kind, channel_id, me)
        self._members: frozenset[bytes] = frozenset()
        self._coming: _Coming | None = None
        self._renew_at: float | None = None
        self._renewed_at = now - _RENEW_PAUSE
        self._drawn: deque[int] = deque(maxlen=_GENERATIONS)
        self._use(self._fresh())

    @property
    def kid(self) -> int:
        """The KID under which frames are sealed now."""
        return self._key.kid

    def seal(self, plaintext: bytes) -> bytes:
        """The SFrame of a plaintext, bound to the room, the sender and the kind."""
        self._sealed += 1
        if self._sealed >= _HEARD:
            self._unheard = 0
        return self._sealer.seal(plaintext, self._metadata)

    def set_members(self, members: Collection[bytes], now: float) -> list[Handing]:
        """Who is in the room besides oneself; returns the keys to hand over now."""
        before, self._members = self._members, frozenset(members) - {self._me}
        entered, left = self._members - before, before - self._members
        if self._coming is not None:
            self._coming.waiting &= self._members
        if left:
            # Whoever has left may have been handed what is on its way, too. It keeps out those who left
            # before, so it is used all the same, and another one follows.
            self._renew_at = max(now, self._renewed_at + _RENEW_PAUSE)
        handed: list[Handing] = []
        if entered and not self._step(alone=not before & self._members):
            self._renew_at = now
            entered = frozenset()  # handed the new generation, with everybody else
        for peer in sorted(entered):
            handed.append(Handing(peer, self.kind, self._key))
            if self._coming is not None:
                self._coming.waiting.add(peer)
                handed.append(Handing(peer, self.kind, self._coming.key))
        return handed + self.due(now)

    def handing(self, peer: bytes) -> list[Handing]:
        """What somebody in the room who lacks the key is handed again: nothing if he is not in it."""
        if peer not in self._members:
            return []
        keys = [self._key] + ([self._coming.key] if self._coming is not None else [])
        return [Handing(peer, self.kind, key) for key in keys]

    def acknowledged(self, peer: bytes, kid: int, now: float) -> None:
        """A peer's server has taken the key of `kid` for him."""
        if self._coming is not None and self._coming.key.kid == kid:
            self._coming.waiting.discard(peer)
            self._change_over(now)

    def due(self, now: float) -> list[Handing]:
        """Do what time asks for; returns the keys to hand over now."""
        self._change_over(now)
        if self._renew_at is None or now < self._renew_at:
            return []
        self._renew_at, self._renewed_at = None, now
        fresh = self._fresh()
        self._coming = _Coming(fresh, now, set(self._members))
        if not self._members:
            self._coming = None
            self._use(fresh)
        return [Handing(peer, self.kind, fresh) for peer in sorted(self._members)]

    def _change_over(self, now: float) -> None:
        """Use the key that is on its way, once everybody has it or has had the time."""
        coming = self._coming
        if coming is not None and (not coming.waiting or now >= coming.since + _SWITCH):
            self._coming = None
            self._use(coming.key)

    def next_time(self) -> float | None:
        """When `due` has something to do."""
        times = [] if self._renew_at is None else [self._renew_at]
        if self._coming is not None:
            times.append(self._coming.since + _SWITCH)
        return min(times, default=None)

    def _step(self, *, alone: bool) -> bool:
        """Go one step on; False if those who were there before might not follow, so that a new generation is
        due.
        """
        if alone:
            self._unheard = -1
        if self._unheard >= _MAX_UNHEARD or self._key.kid & 0xFF == _LAST_STEP:
            return False
        unheard = self._unheard + 1
        self._use(self._key.step())
        self._unheard = unheard
        return True

    def _use(self, key: MediaKey) -> None:
        self._key, self._sealer = key, key.sealer()
        self._unheard = self._sealed = 0

    def _fresh(self) -> MediaKey:
        """A key of a generation that was not drawn before as long as receivers remember: they would take it
        for one that they know, and hear nothing until the next.
        """
        while True:
            key = MediaKey.create(self.kind, self._channel_id, self._me)
            if (generation := key.kid >> 8) not in self._drawn:
                self._drawn.append(generation)
                return key


class _Opener(msgspec.Struct):
    key: MediaKey
    opener: FrameOpener
    used: bool = False
    replaced_at: float | None = None


class _Source:
    """What opens one kind of media of one sender."""

    def __init__(self, metadata: bytes) -> None:
        self.metadata = metadata
        self.openers: dict[int, _Opener] = {}
        self.steps: OrderedDict[int, int] = OrderedDict()
        self.waiting: deque[tuple[float, int, bytes]] = deque()
        self.size = 0
        self.ask_at: float | None = None
        self.ask_pause = _ASK_FIRST


class TheirKeys:
    """Opens what the others in a room send, each frame once, and says whose key is missing."""

    def __init__(self, channel_id: bytes) -> None:
        self._channel_id = channel_id
        self._members: frozenset[bytes] = frozenset()
        self._sources: dict[tuple[bytes, MediaKind], _Source] = {}
        self.dropped = {"key": 0, "duplicate": 0, "tag": 0}
        """Frames that were not shown, by the reason: no key in time, opened before, or not what it says."""

    def set_members(self, members: Collection[bytes]) -> None:
        """Whose media may be opened: everything of whoever has left is forgotten."""
        self._members = frozenset(members)
        for place in [place for place in self._sources if place[0] not in self._members]:
            del self._sources[place]

    def came_again(self, sender: bytes) -> None:
        """Somebody has left and entered at once: what has opened frames of before is forgotten, and a key
        that has opened nothing yet may be a new one that came early.
        """
        for place, source in self._sources.items():
            if place[0] == sender:
                for kid in [kid for kid, held in source.openers.items() if held.used]:
                    del source.openers[kid]

    def take(self, sender: bytes, kind: MediaKind, key: MediaKey, now: float) -> list[OpenedFrame]:
        """A key that its sender has handed over; returns what waited for it. One that is known, or a step
        back, is nothing.
        """
        if sender not in self._members:
            return []
        source = self._source(sender, kind)
        generation, step = divmod(key.kid, 256)
        if step <= source.steps.get(generation, -1):
            return []
        self._hold(source, key)
        source.ask_at, source.ask_pause = None, _ASK_FIRST
        unused = [kid for kid, held in source.openers.items() if not held.used]
        for kid in unused[:-_UNUSED]:
            del source.openers[kid]
        waiting, source.waiting, source.size = source.waiting, deque(), 0
        opened = []
        for since, kid, data in waiting:
            held = self._find(source, kid)
            if held is None and _before(source, kid):
                self.dropped["key"] += 1
            elif held is None:
                self._wait(source, since, kid, data)
            elif (frame := self._open(source, held, data, now)) is not None:
                opened.append(frame)
        return opened

    def open(self, sender: bytes, kind: MediaKind, data: bytes, now: float) -> OpenedFrame | None:
        """The frame, or None if it waits for its key or is nothing that its sender has sealed here."""
        if sender not in self._members:
            self.dropped["key"] += 1
            return None
        try:
            kid, _ = frame_header(data)
        except CryptoError:
            self.dropped["tag"] += 1
            return None
        source = self._source(sender, kind)
        self._expire(source, now)
        held = self._find(source, kid)
        if held is not None:
            return self._open(source, held, data, now)
        if _before(source, kid):
            self.dropped["key"] += 1
        else:
            self._wait(source, now, kid, data)
        return None

    def missing(self, now: float) -> list[tuple[bytes, MediaKind]]:
        """Whose key is to be asked for now: frames came, and waited for it in vain."""
        due = []
        for place, source in self._sources.items():
            self._expire(source, now)
            if source.ask_at is not None and now >= source.ask_at:
                source.ask_at = None
                due.append(place)
        return due

    def next_time(self) -> float | None:
        """When `missing` has something to do: to say, or to forget a key."""
        times = [source.ask_at for source in self._sources.values() if source.ask_at is not None]
        times += [source.waiting[0][0] + _WAIT for source in self._sources.values() if source.waiting]
        times += [
            held.replaced_at + _OLD
            for source in self._sources.values()
            for held in source.openers.values()
            if held.replaced_at is not None
        ]
        return min(times, default=None)

    def _source(self, sender: bytes, kind: MediaKind) -> _Source:
        place = (sender, kind)
        found = self._sources.get(place)
        if found is None:
            metadata = media_metadata(kind, self._channel_id, sender)
            found = self._sources[place] = _Source(metadata)
        return found

    def _find(self, source: _Source, kid: int) -> _Opener | None:
        """What may open frames under `kid`: a key that is held, or one that follows on the newest step."""
        held = source.openers.get(kid)
        if held is not None:
            return held
        newest = source.steps.get(kid >> 8)
        base = None if newest is None else source.openers.get(kid >> 8 << 8 | newest)
        if base is None:
            return None
        try:
            key = base.key.follow(kid)
        except CryptoError:
            return None
        return _Opener(key, key.opener())

    def _open(self, source: _Source, held: _Opener, data: bytes, now: float) -> OpenedFrame | None:
        kid = held.key.kid
        try:
            plaintext = held.opener.open(data, source.metadata)
        except Duplicate:
            self.dropped["duplicate"] += 1
            return None
        except CryptoError:
            self.dropped["tag"] += 1
            return None
        if not held.used:
            held.used = True
            source.openers[kid] = held  # a step is kept only now that a frame under it has opened
            self._remember(source, kid)
            for other, old in source.openers.items():
                if other != kid and old.replaced_at is None and (old.used or other >> 8 == kid >> 8):
                    old.replaced_at = now
        return OpenedFrame(kid, frame_header(data)[1], plaintext)

    def _hold(self, source: _Source, key: MediaKey) -> None:
        source.openers[key.kid] = _Opener(key, key.opener())
        self._remember(source, key.kid)

    def _remember(self, source: _Source, kid: int) -> None:
        generation, step = divmod(kid, 256)
        source.steps[generation] = max(step, source.steps.get(generation, 0))
        source.steps.move_to_end(generation)
        while len(source.steps) > _GENERATIONS:
            source.steps.popitem(last=False)

    def _wait(self, source: _Source, since: float, kid: int, data: bytes) -> None:
        source.waiting.append((since, kid, data))
        source.size += len(data)
        while source.size > _HELD_BYTES or len(source.waiting) > _HELD_FRAMES:
            self._lose(source, since)

    def _lose(self, source: _Source, now: float) -> None:
        _, _, data = source.waiting.popleft()
        source.size -= len(data)
        self.dropped["key"] += 1
        if source.ask_at is None:
            source.ask_at = now if source.ask_pause == _ASK_FIRST else now + source.ask_pause
            source.ask_pause = min(2 * source.ask_pause, _ASK_LAST)

    def _expire(self, source: _Source, now: float) -> None:
        while source.waiting and now >= source.waiting[0][0] + _WAIT:
            self._lose(source, now)
        for kid in _replaced(source.openers.items(), now):
            del source.openers[kid]


def _before(source: _Source, kid: int) -> bool:
    """Whether frames under `kid` were sealed before this side was handed the key, or too long ago."""
    return kid & 0xFF <= source.steps.get(kid >> 8, -1)


def _replaced(openers: Iterable[tuple[int, _Opener]], now: float) -> list[int]:
    return [kid for kid, held in openers if held.replaced_at is not None and now >= held.replaced_at + _OLD]
