"""B18: processor time that a voice takes for each 20 ms: coding, decoding, and hearing 1, 2, 5 and 40 at
once.

Run as a module from the root: `python -m benches.python.bench_audio [--quick]`. The voice is a mixture of
tones and noise that swells and fades. Not its concern: sound cards, the network, sealing
(benches/python/bench_frame.py).
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, cycle
from typing import Any

from mobium.media.form import FRAME_SAMPLES, FRAME_SECONDS, RATE
from mobium.media.levels import level
from mobium.media.mixer import Mixer, Part
from mobium.media.opus import OpusDecoder, OpusEncoder
from mobium.media.pipeline import Incoming

SECTION = "Voice: what a stream takes (B18)"
ABOUT = "Processor time of one thread for each frame of 20 ms, and the share of a core at 50 frames a second."
SPEAKERS = (1, 2, 5, 40)

Row = dict[str, Any]


def voice(seconds: float = 2.0) -> list[bytes]:
    """Frames of something like speech."""
    draw = random.Random(18)
    frames = []
    for frame in range(round(seconds / FRAME_SECONDS)):
        pitch, loud = 110 + 40 * math.sin(frame / 9), 6_000 * max(0.05, math.sin(frame / 7))
        turn = 2 * math.pi * pitch / RATE
        frames.append(
            array(
                "h",
                [
                    round(
                        loud * sum(math.sin(turn * part * at) / part for part in range(1, 8)) / 2
                        + draw.gauss(0, loud / 20)
                    )
                    for at in range(frame * FRAME_SAMPLES, (frame + 1) * FRAME_SAMPLES)
                ],
            ).tobytes()
        )
    return frames


def median(once: Callable[[], object], repeats: int) -> float:
    """Microseconds of processor time of one call."""
    found = []
    for _ in range(repeats):
        began = time.thread_time_ns()
        once()
        found.append((time.thread_time_ns() - began) / 1_000)
    return statistics.median(found[repeats // 10 :])


def subjects() -> Iterator[tuple[str, Callable[[], object]]]:
    """What is measured: a name, and 20 ms of it."""
    frames = voice()
    spoken = cycle(frames)
    encoder = OpusEncoder()
    packets = [encoder.encode(frame) for frame in frames]
    coded, copies, decoder = cycle(packets), cycle(packets), OpusDecoder()
    yield "encode", lambda: encoder.encode(next(spoken))
    yield "decode", lambda: decoder.decode(next(coded))
    yield "recover a lost frame of the next packet", lambda: decoder.fec(next(copies))
    yield "make up a lost frame", decoder.plc
    yield "measure the level", lambda: level(frames[0])
    for speakers in SPEAKERS:
        parts = [Part(frames[index % len(frames)]) for index in range(speakers)]
        yield f"mix {speakers}", partial(Mixer().mix, parts)
    for speakers in SPEAKERS:
        yield f"hear {speakers}: jitter buffers, decoders, levels, mixer", hearing(packets, speakers)


def hearing(packets: list[bytes], speakers: int) -> Callable[[], object]:
    """20 ms of so many who speak at once."""
    incoming, numbers = Incoming(), count()

    def once() -> None:
        number = next(numbers)
        now = number * FRAME_SECONDS
        for speaker in range(speakers):
            incoming.put(speaker, 1, number, packets[(number + 7 * speaker) % len(packets)], now)
        incoming.pull(now + FRAME_SECONDS / 2)

    return once


def rows(quick: bool = False, repeats: int = 0) -> list[Row]:
    """All rows; `repeats` is the frames of each, 0 the usual."""
    found = []
    for name, once in subjects():
        used = median(once, repeats or (100 if quick else 1_000))
        share = used / (FRAME_SECONDS * 1e6) * 100
        figures = {"what": name, "us for 20 ms": used, "% of a core": share}
        found.append({"id": "B18", "section": SECTION, "about": ABOUT, "figures": figures})
    return found


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in rows(parser.parse_args().quick):
        figures = row["figures"]
        print(f"{figures['what']:55} {figures['us for 20 ms']:9.1f} us  {figures['% of a core']:6.2f} %")


if __name__ == "__main__":
    main()
