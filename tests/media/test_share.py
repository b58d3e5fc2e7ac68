"""The pumps of a shared screen, in real time: fresh pictures, one thread, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from mobium.errors import CaptureUnavailable, CryptoError, InvalidInput
from mobium.media import share as share_module
from mobium.media.capture import Monitor, Shot
from mobium.media.fragments import Picture, Reassembly, read_picture
from mobium.media.link import Pictures
from mobium.media.pattern import PatternCapture, number_in
from mobium.media.screen import PRESETS, Preset, ScreenDecoder
from mobium.media.share import ScreenShare, ScreenSource
from mobium.protocol.limits import media_cost
from tests.support.screens import Keys, pixels

SMALL = Preset(320, 180, 200_000)
THREAD = "mobium screen"


class Watched(PatternCapture):
    """Patterns, and in which threads they were asked for."""

    def __init__(self) -> None:
        super().__init__([Monitor("one", 320, 180, default=True), Monitor("two", 200, 100, default=False)])
        self.threads = {threading.get_ident()}
        self.grabbed = 0
        self.closed = threading.Event()
        self.before: Callable[[], None] = lambda: None

    def grab(self) -> Shot:
        self.threads.add(threading.get_ident())
        self.before()
        self.grabbed += 1
        return super().grab()

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        super().close()
        self.closed.set()


class Stage:
    """A share, and who sees it at once."""

    def __init__(self, source: ScreenSource) -> None:
        self.keys = Keys()
        self.share = ScreenShare(source, self.keys.seal, media_cost)
        self._opener, self._whole, self._decoder = self.keys.opener(), Reassembly(), ScreenDecoder()

    async def pictures(self, count: int, slowly: float = 0.0) -> list[tuple[Picture, int]]:
        """The next pictures, and which pattern each shows."""
        found: list[tuple[Picture, int]] = []
        async with asyncio.timeout(30), contextlib.aclosing(self.share.bodies()) as bodies:
            async for body in bodies:
                await asyncio.sleep(slowly)
                sealed = self._whole.put("me", body, time.monotonic())
                if sealed is None:
                    continue
                picture = read_picture(self._opener.open(sealed.data, self.keys.place))
                shown = self._decoder.decode(picture)
                assert shown is not None
                found.append((picture, number_in(pixels(shown))))
                if len(found) == count:
                    break
        return found


async def test_every_picture_is_captured_sent_and_seen() -> None:
    capture = Watched()
    began = time.monotonic()
    async with ScreenSource(lambda: capture, SMALL) as source:
        found = await Stage(source).pictures(20)
    print(f"20 pictures in {time.monotonic() - began:.2f} s")
    assert [picture.number for picture, _ in found] == list(range(20))
    assert [shown for _, shown in found] == list(range(20))
    assert [picture.number for picture, _ in found if picture.encoded.keyframe] == [0]
    times = [picture.encoded.time for picture, _ in found]
    assert times == sorted(set(times))
    assert times[-1] >= 18 * 1_000 / 15  # never faster than it is to be


async def test_a_slow_network_gets_fewer_pictures_and_no_older_ones() -> None:
    capture = Watched()
    async with ScreenSource(lambda: capture, SMALL) as source:
        stage = Stage(source)
        found = await stage.pictures(5, slowly=0.3)
        assert [shown for _, shown in found] == list(range(5))
        # the next is captured when the one before it is out of the way, not while that waits
        assert capture.grabbed == 5
        assert found[4][0].encoded.time >= 1_100


async def test_who_asks_gets_a_keyframe() -> None:
    async with ScreenSource(Watched, SMALL) as source:
        stage = Stage(source)
        await stage.pictures(2)
        assert stage.share.ask("anna")
        found = await stage.pictures(25)
        assert [picture.encoded.keyframe for picture, _ in found].count(True) == 1
        assert stage.share.counts.keyframes == 2


async def test_another_monitor_is_shown_from_the_next_picture_on() -> None:
    async with ScreenSource(Watched, SMALL) as source:
        stage = Stage(source)
        [(picture, _)] = await stage.pictures(1)
        assert (picture.encoded.width, picture.encoded.height) == (320, 180)
        assert [one.name for one in await source.monitors()] == ["one", "two"]
        await source.choose("two")
        [(picture, _)] = await stage.pictures(1)
        assert (picture.encoded.width, picture.encoded.height) == (200, 100)
        with pytest.raises(InvalidInput):
            await source.choose("three")


async def test_a_capture_belongs_to_one_thread_which_ends_with_it() -> None:
    made: list[Watched] = []

    def opened() -> Watched:
        made.append(Watched())
        return made[0]

    async with ScreenSource(opened, SMALL) as source:
        await Stage(source).pictures(2)
    capture = made[0]
    assert await asyncio.to_thread(capture.closed.wait, 10)
    assert len(capture.threads) == 1
    assert threading.get_ident() not in capture.threads
    with pytest.raises(RuntimeError):
        await source.picture()
    await ended()


async def ended() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith(THREAD):
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()


async def test_a_screen_that_goes_away_ends_the_share() -> None:
    capture = Watched()
    async with ScreenSource(lambda: capture, SMALL) as source:
        stage = Stage(source)
        await stage.pictures(2)
        capture.close()
        with pytest.raises(CaptureUnavailable):
            await stage.pictures(1)
    await ended()


async def test_what_cannot_be_opened_leaves_no_thread() -> None:
    def refuses() -> Watched:
        raise CaptureUnavailable("There is no screen.")

    with pytest.raises(CaptureUnavailable):
        async with ScreenSource(refuses, SMALL):
            pytest.fail("it opened")
    capture = Watched()
    with pytest.raises(InvalidInput):
        async with ScreenSource(lambda: capture, SMALL, monitor="three"):
            pytest.fail("it opened")
    assert await asyncio.to_thread(capture.closed.wait, 10)
    await ended()


async def test_a_display_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    capture, answers = Watched(), threading.Event()
    async with ScreenSource(lambda: capture, SMALL) as source:
        stage = Stage(source)
        await stage.pictures(1)

        def stuck() -> None:
            answers.wait(30)

        capture.before = stuck
        monkeypatch.setattr(share_module, "ANSWERS", 0.2)
        with pytest.raises(CaptureUnavailable, match="does not answer"):
            await stage.pictures(1)
    answers.set()
    await ended()


def test_a_program_ends_though_a_display_does_not_answer() -> None:
    """Whoever hangs up could not do anything else with it."""
    ended = subprocess.run(
        [sys.executable, "-c", STUCK], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (0, "given up\n"), ended.stderr


STUCK = """
import asyncio, time
from mobium.errors import CaptureUnavailable
from mobium.media import share
from mobium.media.pattern import PatternCapture
from mobium.media.screen import PRESETS

class Stuck(PatternCapture):
    def grab(self):
        time.sleep(3_600)

async def show():
    async with share.ScreenSource(Stuck, PRESETS["360p"]) as source:
        share.ANSWERS = 0.1
        await source.picture()

try:
    asyncio.run(show())
except CaptureUnavailable:
    print("given up")
"""


async def test_a_key_that_is_missing_is_said_and_followed_by_a_keyframe() -> None:
    async with ScreenSource(Watched, SMALL) as source:
        stage = Stage(source)
        locked = True

        def seal(plaintext: bytes) -> bytes:
            if locked:
                raise CryptoError("There is no key yet.")
            return stage.keys.seal(plaintext)

        stage.share = ScreenShare(source, seal, media_cost)
        with pytest.raises(CryptoError):
            await stage.pictures(1)
        locked = False
        [(picture, _)] = await stage.pictures(1)
        assert (picture.number, picture.encoded.keyframe) == (0, True)


async def test_a_source_is_what_a_link_between_two_shows() -> None:
    async with ScreenSource(PatternCapture, PRESETS["360p"]) as source:
        pictures: Pictures = source
        waiting = asyncio.ensure_future(pictures.picture())
        await asyncio.sleep(0)
        waiting.cancel()  # as a link does that is to show something else
        frames = [await pictures.picture() for _ in range(3)]
    assert [(frame.width, frame.height, frame.format.name) for frame in frames] == [(640, 360, "yuv420p")] * 3
