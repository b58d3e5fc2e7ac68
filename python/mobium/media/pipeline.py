"""From a microphone to packets, and from the packets of many speakers to a loudspeaker.

    Outgoing    frame -> level, speaking -> packet, unless muted
    Incoming    put: packet -> the speaker's jitter buffer
                pull: jitter buffers -> decoders -> volumes -> mixer -> frame

No thread, no clock and no device in here: whoever has a microphone calls `feed`, whoever has a speaker calls
`pull` once in 20 ms. `Incoming` may be used from two threads, as the network has one and the sound card
another. Not its concern: devices (`mobium.media.devices`), keys and the wire.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

from mobium.errors import InvalidInput
from mobium.media.form import check_frame, needed
from mobium.media.jitter import Conceal, Counts, Fec, JitterBuffer, Merge, Packet, Silence
from mobium.media.levels import QUIETEST, Speaking, level
from mobium.media.mixer import Mixer, Part, fade
from mobium.media.opus import OpusDecoder, OpusEncoder

__all__ = ["LOUDEST", "Cost", "Incoming", "Outgoing", "SpeakerReport"]

LOUDEST: Final = 2.0
"""The greatest volume of one speaker: twice as loud as he came."""


class Outgoing:
    """One's own voice: what the microphone gives becomes packets."""

    def __init__(
        self,
        send: Callable[[bytes], None],
        on_speaking: Callable[[bool], None] = lambda _: None,
        encoder: OpusEncoder | None = None,
    ) -> None:
        """`send` is given each packet (1 to 119 bytes), `on_speaking` each change, both by whoever calls
        `feed`; `encoder` is another one than that of rooms.

        Raises MediaUnavailable, of which OpusUnavailable is one, where something is missing.
        """
        needed("numpy", "Measuring how loud a voice is")
        self.muted = False
        """Nothing is sent while this is true: no packet at all, and no sign that somebody speaks."""
        self.level = QUIETEST
        """dBFS of the last frame, muted or not."""
        self.encoder: Final = encoder or OpusEncoder()
        self._send = send
        self._on_speaking = on_speaking
        self._speaking = Speaking()

    @property
    def speaking(self) -> bool:
        """Whether something is said, and sent."""
        return self._speaking.now

    def feed(self, pcm: bytes) -> None:
        """20 ms of the microphone (1,920 bytes). Raises InvalidInput for another length."""
        check_frame(pcm)
        self.level = level(pcm)
        muted = self.muted
        if self._speaking.note(QUIETEST if muted else self.level):
            self._on_speaking(self._speaking.now)
        if not muted:
            self._send(self.encoder.encode(pcm))


@dataclass(frozen=True, slots=True)
class SpeakerReport:
    """How it is with one speaker."""

    speaking: bool
    level: float
    """dBFS of what is heard of him, before his volume."""
    delay: float
    """Seconds for which his newest packet waits until it is played."""
    counts: Counts


@dataclass(slots=True)
class Cost:
    """What being heard takes of this machine."""

    pulled: int = 0
    """Frames given to the loudspeaker."""
    decoded: int = 0
    """Frames decoded or made up for them."""
    seconds: float = 0.0
    """Processor time of both."""


@dataclass(slots=True)
class _Speaker:
    jitter: JitterBuffer
    decoder: OpusDecoder = field(default_factory=OpusDecoder)
    speaking: Speaking = field(default_factory=Speaking)
    level: float = QUIETEST
    delay: float = 0.0
    volume: float = 1.0


class Incoming:
    """The voices of others: their packets become what the loudspeaker plays. All who speak are decoded."""

    def __init__(
        self, on_speaking: Callable[[Hashable, bool], None] = lambda *_: None, first: int = 0
    ) -> None:
        """`on_speaking` is told by whoever calls `pull`; every key of a speaker begins with the number
        `first`.

        Raises MediaUnavailable, of which OpusUnavailable is one, where something is missing.
        """
        OpusDecoder()
        self.deafened = False
        """Nothing is heard while this is true; who speaks is shown still."""
        self.cost: Final = Cost()
        self._on_speaking = on_speaking
        self._first = first
        self._speakers: dict[Hashable, _Speaker] = {}
        self._volumes: dict[Hashable, float] = {}
        self._mixer = Mixer()
        self._lock = threading.Lock()

    def put(self, speaker: Hashable, key: Hashable, number: int, packet: bytes, now: float) -> None:
        """A packet of a speaker, the one of this number under this key, came at `now` (seconds)."""
        with self._lock:
            found = self._speakers.get(speaker)
            if found is None:
                found = self._speakers[speaker] = _Speaker(JitterBuffer(self._first))
                found.volume = self._volumes.get(speaker, 1.0)
            found.jitter.put(key, number, packet, now)

    def remove(self, speaker: Hashable) -> None:
        """A speaker has gone. His volume is kept."""
        with self._lock:
            gone = self._speakers.pop(speaker, None)
        if gone is not None and gone.speaking.now:
            self._on_speaking(speaker, False)

    def set_volume(self, speaker: Hashable, volume: float) -> None:
        """How loud a speaker is heard, now and when he comes back: 0 to 2, and 1 is as he came.

        Raises InvalidInput for anything else.
        """
        if not 0.0 <= volume <= LOUDEST:
            raise InvalidInput("A volume lies between 0 and 2.")
        with self._lock:
            self._volumes[speaker] = volume

    def pull(self, now: float) -> bytes:
        """The next 20 ms for the loudspeaker (1,920 bytes), at `now` of the same clock as in `put`."""
        began = time.thread_time()
        with self._lock:
            due = [
                (name, one, self._volumes.get(name, 1.0), one.jitter.get(now))
                for name, one in self._speakers.items()
            ]
        parts = []
        changed = []
        for name, one, volume, decision in due:
            pcm = _decode(one.decoder, decision)
            one.level = QUIETEST if pcm is None else level(pcm)
            if one.speaking.note(one.level):
                changed.append((name, one.speaking.now))
            if pcm is not None:
                parts.append(Part(pcm, volume, one.volume))
                one.delay = one.jitter.margin
                self.cost.decoded += 1
            one.volume = volume
        frame = self._mixer.mix([] if self.deafened else parts)
        self.cost.pulled += 1
        self.cost.seconds += time.thread_time() - began
        for name, speaking in changed:
            self._on_speaking(name, speaking)
        return frame

    def report(self) -> dict[Hashable, SpeakerReport]:
        """How it is with each speaker."""
        with self._lock:
            return {
                name: SpeakerReport(one.speaking.now, one.level, one.delay, one.jitter.counts)
                for name, one in self._speakers.items()
            }


def _decode(decoder: OpusDecoder, decision: Packet | Fec | Merge | Conceal | Silence) -> bytes | None:
    """The frame of what was decided, or None for silence."""
    match decision:
        case Packet(data):
            return decoder.decode(data)
        case Fec(following):
            return decoder.fec(following)
        case Merge(first, second):
            return fade(decoder.decode(first), decoder.decode(second))
        case Conceal():
            return decoder.plc()
        case Silence():
            return None
