"""A21: what the frames of a voice tell about words and silences: that somebody is there who is not muted, and
nothing else (docs/CRYPTO.md section 8). From the microphone to what is sealed; how a room sends it is not
looked at.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import mean

import pytest

from mobium.crypto.media import MediaKey, MediaKind, media_metadata, pad_voice
from mobium.media.form import SILENCE
from mobium.media.opus import OpusEncoder
from mobium.media.pipeline import Outgoing
from mobium.media.sources import Tone
from tests.support.sound import speech

SECONDS = 3
FRAMES = 50 * SECONDS
ROOM, SENDER = bytes(32), bytes(31) + b"\1"


def said(what: str) -> list[bytes]:
    draw, tone = random.Random(21), Tone(440, 0.5)
    if what == "words":
        pcm = speech()
        return [pcm[1_920 * at : 1_920 * (at + 1)] for at in range(FRAMES)]
    return [
        {"nothing": SILENCE, "a tone": tone.read(), "noise": draw.randbytes(1_920)}[what]
        for _ in range(FRAMES)
    ]


def on_the_wire(
    frames: list[bytes], pad: Callable[[bytes], bytes] = pad_voice, dtx: bool = False
) -> list[int]:
    """The sizes of what is sealed for these frames of a microphone."""
    sealer = MediaKey.create(MediaKind.VOICE, ROOM, SENDER).sealer()
    place = media_metadata(MediaKind.VOICE, ROOM, SENDER)
    sizes: list[int] = []
    outgoing = Outgoing(lambda packet: sizes.append(len(sealer.seal(pad(packet), place))))
    outgoing.encoder._encoder.dtx = int(dtx)
    for frame in frames:
        outgoing.feed(frame)
    return sizes


@pytest.mark.needs("espeak-ng")
def test_words_tones_noise_and_silence_look_alike() -> None:
    seen = {what: on_the_wire(said(what)) for what in ("words", "nothing", "a tone", "noise")}
    assert {len(sizes) for sizes in seen.values()} == {FRAMES}, "a frame every 20 ms, whatever is said"
    assert len({size for sizes in seen.values() for size in sizes}) == 1


def test_whether_somebody_who_is_muted_speaks_does_not_show() -> None:
    sent: list[bytes] = []
    outgoing = Outgoing(sent.append)
    outgoing.muted = True
    for frame in [*said("nothing"), *said("a tone")]:
        outgoing.feed(frame)
    assert sent == []


@pytest.mark.needs("espeak-ng")
def test_without_padding_the_sizes_tell_words_from_silence() -> None:
    """The defence, off: the attack is one."""
    words, nothing = (on_the_wire(said(what), pad=bytes) for what in ("words", "nothing"))
    assert len(set(words)) > 20
    assert mean(words) > 1.3 * mean(nothing)


def test_without_the_ban_on_dtx_silence_is_what_is_hardly_sent() -> None:
    """The other one, off: a packet of a byte or two is what others do not send at all."""
    sizes = on_the_wire(said("nothing"), pad=bytes, dtx=True)
    assert sizes.count(min(sizes)) > FRAMES / 2
    assert min(len(OpusEncoder().encode(SILENCE)) for _ in range(FRAMES)) > 2
