"""B19: processor time that a shared screen takes for each picture, at every preset: of whom shows it, and of
whom looks.

Run as a module from the root: `python -m benches.python.bench_screen [--quick]`. The screen has 1,920 by
1,080 pixels full of letters, with something that moves and a page that scrolls each second; where Xvfb is
installed it is captured for real. Not its concern: the network, and what the X server takes itself.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mobium.crypto.media import FrameOpener
from mobium.media.capture import Capture, Monitor, ScreenCapture, Shot
from mobium.media.fragments import Encoded, Picture, Reassembly, Sealed, cut, read_picture, write_picture
from mobium.media.pattern import Pattern, PatternCapture
from mobium.media.screen import FPS, PRESETS, Preset, ScreenDecoder, ScreenEncoder, scaled
from tests.support.display import display
from tests.support.programs import where
from tests.support.screens import Keys

SECTION = "Screens: what a picture takes (B19)"
ABOUT = (
    "Processor time of one thread in ms for each picture of a screen of 1,920 x 1,080: medians. The sums are "
    "the share of a core at 15 pictures a second."
)
SCREEN = (1_920, 1_080)
SHOWS = ("capture", "scale, and convert to YUV", "encode", "seal, and cut into fragments")
LOOKS = ("put together, and open", "decode", "convert to RGB")

Row = dict[str, Any]
Times = dict[str, list[float]]
Result = TypeVar("Result")


@contextmanager
def capturing() -> Iterator[tuple[str, Capture]]:
    """A real screen where there can be one, else a drawn one; and what it is."""
    if where("Xvfb") is None:
        yield "drawn, since there is no Xvfb here", PatternCapture([Monitor("drawn", *SCREEN, default=True)])
        return
    with tempfile.TemporaryDirectory() as folder, display(Path(folder), *SCREEN) as shown:
        shown.paint(Pattern(*SCREEN).draw(1).tobytes())
        capture = ScreenCapture(shown.environ)
        yield "mss on Xvfb", capture
        capture.close()


def noted(times: Times, name: str, work: Callable[[], Result]) -> Result:
    """Does it, and notes the milliseconds of processor time."""
    began = time.thread_time_ns()
    result = work()
    times.setdefault(name, []).append((time.thread_time_ns() - began) / 1e6)
    return result


def measured(preset: Preset, capture: Capture, pictures: int) -> Times:
    """So many pictures from a screen to another one."""
    times: Times = {}
    shots = [Shot(*SCREEN, pattern.tobytes()) for pattern in map(Pattern(*SCREEN).draw, range(30))]
    encoder, decoder = ScreenEncoder(preset.bit_rate), ScreenDecoder()
    keys, whole = Keys(), Reassembly()
    opener = keys.opener()
    for number in range(pictures):
        noted(times, "capture", capture.grab)
        frame = noted(times, SHOWS[1], partial(scaled, shots[number % 30], preset))
        keyframe = number % 45 == 30
        encode = partial(encoder.encode, frame, 66 * number, keyframe=keyframe)
        encoded = noted(times, "a keyframe: encode" if keyframe else "encode", encode)
        assert encoded is not None
        times.setdefault("a keyframe: KiB" if keyframe else "KiB", []).append(len(encoded.data) / 1_024)
        seal_and_look(times, number, encoded, keys, whole, opener, decoder)
    return times


def seal_and_look(
    times: Times,
    number: int,
    encoded: Encoded,
    keys: Keys,
    whole: Reassembly,
    opener: FrameOpener,
    decoder: ScreenDecoder,
) -> None:
    """What is left of the way of one picture."""

    def sealed() -> list[bytes]:
        return cut(Sealed(0, number, keys.seal(write_picture(Picture(0, number, encoded)))))

    def opened() -> Picture:
        *_, found = [whole.put("sender", body, number / FPS) for body in bodies]
        assert found is not None
        return read_picture(opener.open(found.data, keys.place))

    bodies = noted(times, SHOWS[3], sealed)
    picture = noted(times, LOOKS[0], opened)
    shown = noted(times, LOOKS[1], lambda: decoder.decode(picture))
    assert shown is not None
    noted(times, LOOKS[2], shown.rgb)


def figures(of: dict[str, Times], captured: str) -> Iterator[dict[str, Any]]:
    """The rows: the name of what is measured, and a column for each preset."""
    medians = {
        preset: {name: statistics.median(found) for name, found in times.items()}
        for preset, times in of.items()
    }

    def row(what: str, names: tuple[str, ...], factor: float = 1.0) -> dict[str, Any]:
        return {"what": what} | {
            preset: factor * sum(found[name] for name in names) for preset, found in medians.items()
        }

    share = FPS / 1_000 * 100
    yield row(f"capture ({captured})", ("capture",))
    for name in (*SHOWS[1:], "a keyframe: encode"):
        yield row(name, (name,))
    yield row("who shows: % of a core", SHOWS, share)
    for name in LOOKS:
        yield row(name, (name,))
    yield row("who looks: % of a core", LOOKS, share)
    yield row("a picture: KiB", ("KiB",))
    yield row("a keyframe: KiB", ("a keyframe: KiB",))


def rows(quick: bool = False, pictures: int = 0) -> list[Row]:
    """All rows; `pictures` is how many of each preset, 0 the usual."""
    pictures = pictures or (60 if quick else 300)
    with capturing() as (captured, capture):
        of = {name: measured(preset, capture, pictures) for name, preset in PRESETS.items()}
    return [
        {"id": "B19", "section": SECTION, "about": ABOUT, "figures": one} for one in figures(of, captured)
    ]


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in rows(parser.parse_args().quick):
        what, *columns = row["figures"].values()
        print(f"{what:45} {' '.join(f'{one:9.2f}' for one in columns)}")


if __name__ == "__main__":
    main()
