"""Screens in a voice room: real engines and a real server, VP8, and the test pattern of which every pixel is
known.
"""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from mobium.client import Engine, ScreenChanged, Voice
from mobium.errors import CaptureUnavailable, InvalidInput, NotConnected
from mobium.media.capture import Shot
from mobium.media.devices import VirtualDevices
from mobium.media.pattern import PatternCapture, number_in
from mobium.media.screen import PRESETS, Shown
from mobium.media.sources import MemorySink, Tone
from tests.support.channel_world import ChannelWorld
from tests.support.engines import PATIENCE, Ear, until

pytestmark = pytest.mark.needs("libopus")
np = pytest.importorskip("numpy")
pytest.importorskip("av")


async def joins(engine: Engine) -> Voice:
    devices = VirtualDevices({"mic": Tone()}, {"spk": MemorySink(0.0)})
    return await Voice.join(engine.rooms, "#garden", devices, listen_only=True)


def number_of(shown: Shown) -> int:
    rgb = np.frombuffer(shown.rgb(), np.uint8).reshape(shown.height, shown.width, 3)
    return number_in(rgb)


async def sees(viewer: Voice, speaker: str) -> Shown:
    """Wait until something is to be seen; returns the newest picture."""
    found: list[Shown] = []

    async def there() -> bool:
        view = viewer.screens.view(speaker)
        shown = None if view is None else view.show()
        if shown is not None:
            found.append(shown)
        return bool(found)

    await until(there)
    return found[-1]


async def test_a_screen_is_seen_by_everybody_and_by_whoever_comes_later(town: ChannelWorld) -> None:
    anna, ben, cleo = await town.gather("anna", "ben", "cleo")
    ear = Ear(ben)
    shows, looks = await joins(anna), await joins(ben)
    await shows.screens.share(PRESETS["360p"], capture=PatternCapture)
    assert shows.screens.sharing
    event = await ear.next(ScreenChanged)
    assert (event.peer, event.shown) == (anna.me, True)
    first = await sees(looks, anna.me)
    assert (first.width, first.height) == (640, 360)
    numbers = [number_of(first), *[number_of(await sees(looks, anna.me)) for _ in range(5)]]
    assert numbers == sorted(set(numbers)), "it goes on"
    late = await joins(cleo)
    await sees(late, anna.me)
    await shows.screens.stop()
    await ear.next(ScreenChanged, lambda event: not event.shown)
    assert looks.screens.shown == []
    await shows.screens.share(PRESETS["360p"], capture=PatternCapture)  # and once more
    await sees(looks, anna.me)
    await shows.leave()

    async def gone() -> bool:
        return looks.screens.shown == []

    await until(gone)


async def test_a_break_is_got_over(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    shows, looks = await joins(anna), await joins(ben)
    await shows.screens.share(PRESETS["360p"], capture=PatternCapture)
    await sees(looks, anna.me)
    town.tap("anna").refuses = True  # or she is back within the server's pause between two tellings
    town.tap("anna").cut()

    async def out() -> bool:
        return anna.me not in looks.people

    await until(out)
    town.tap("anna").refuses = False
    await sees(looks, anna.me)
    town.tap("ben").refuses = True
    town.tap("ben").cut()

    async def away() -> bool:
        return ben.connection != "online"

    await until(away)
    town.tap("ben").refuses = False
    before = number_of(await sees(looks, anna.me))  # it may have come before the break, the next one not
    assert number_of(await sees(looks, anna.me)) > before


async def test_a_lost_picture_is_made_good_by_a_keyframe(town: ChannelWorld) -> None:
    """Every third frame of the screen is lost on the way, for a while."""
    anna, ben = await town.gather("anna", "ben")
    shows, looks = await joins(anna), await joins(ben)
    count = 0
    fragment = looks.screens.fragment

    def losing(speaker: str, body: bytes) -> None:
        nonlocal count
        count += 1
        if count % 3 or count > 30:
            fragment(speaker, body)

    looks.screens.fragment = losing  # type: ignore[method-assign]
    await shows.screens.share(PRESETS["360p"], capture=PatternCapture)

    async def made_good() -> bool:
        await sees(looks, anna.me)
        view = looks.screens.view(anna.me)
        return count > 45 and view is not None and view.counts.keyframes >= 2 and not view.waits_for_keyframe

    async with asyncio.timeout(PATIENCE):
        await until(made_good)
    view = looks.screens.view(anna.me)
    assert view is not None
    assert view.counts.asked >= 1


class Vanishing(PatternCapture):
    """A monitor that is pulled out after some pictures."""

    left = 5

    def grab(self) -> Shot:
        self.left -= 1
        if self.left < 0:
            raise CaptureUnavailable("The monitor is gone.")
        return super().grab()


class Nothing(PatternCapture):
    """No display."""

    def choose(self, name: str | None) -> None:
        raise CaptureUnavailable("There is no screen to show.")


async def test_what_cannot_be_captured_is_said(town: ChannelWorld) -> None:
    [anna] = await town.gather("anna")
    ear = Ear(anna)
    voice = await joins(anna)
    with pytest.raises(CaptureUnavailable, match="no screen"):
        await voice.screens.share(capture=Nothing)
    with pytest.raises(InvalidInput, match="another"):
        await voice.screens.share(monitor="another", capture=PatternCapture)
    assert not voice.screens.sharing
    await voice.screens.share(PRESETS["360p"], capture=Vanishing)
    event = await ear.next(ScreenChanged)
    assert (event.peer, event.shown, event.reason) == ("", False, "The monitor is gone.")
    assert voice.screens.reason == "The monitor is gone."
    assert voice.state == "in", "the voice goes on"
    await voice.leave()
    await voice.over()
    with pytest.raises(NotConnected):
        await voice.screens.share(capture=PatternCapture)


class Slow(PatternCapture):
    """A display that takes its time."""

    def choose(self, name: str | None) -> None:
        time.sleep(0.3)
        super().choose(name)


class Faulty(PatternCapture):
    """A capture with a fault of its own."""

    def grab(self) -> Shot:
        raise ZeroDivisionError


async def test_a_share_that_is_given_up_or_fails_ends_nothing_else(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    voice, looks = await joins(anna), await joins(ben)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await voice.screens.share(PRESETS["360p"], capture=Slow)
    ear = Ear(anna)
    await voice.screens.share(PRESETS["360p"], capture=Faulty)
    event = await ear.next(ScreenChanged)
    assert "something went wrong" in event.reason
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(
            voice.screens.share(PRESETS["360p"], capture=PatternCapture),
            voice.screens.share(PRESETS["360p"], capture=PatternCapture),
        )
        await voice.screens.share(PRESETS["360p"], capture=PatternCapture)
    await sees(looks, anna.me)
    assert voice.state == "in"
    await voice.screens.stop()


async def test_whoever_comes_again_and_shows_again_is_seen_at_once(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    looks = await joins(ben)
    for _ in range(3):
        shows = await joins(anna)
        await shows.screens.share(PRESETS["360p"], capture=PatternCapture)
        await sees(looks, anna.me)
        await shows.leave()

        async def gone() -> bool:
            return looks.screens.shown == []

        await until(gone)
    assert looks.screens._reassembly.counts.repeated == 0


async def test_whoever_leaves_waits_for_no_display(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He is out at once, though he has just begun to show a screen that does not answer."""
    monkeypatch.setattr("mobium.media.share.ANSWERS", 3_600.0)
    anna, ben = await town.gather("anna", "ben")
    shows, looks = await joins(anna), await joins(ben)
    asked, answers = threading.Event(), threading.Event()

    class Hanging(PatternCapture):
        def __init__(self) -> None:
            asked.set()
            answers.wait(PATIENCE)
            super().__init__()

    sharing = asyncio.create_task(shows.screens.share(PRESETS["360p"], capture=Hanging))
    try:
        assert await asyncio.to_thread(asked.wait, PATIENCE)
        async with asyncio.timeout(PATIENCE / 2):
            await shows.leave()
        with pytest.raises(NotConnected):
            await sharing

        async def alone() -> bool:
            return not looks.people

        await until(alone)
    finally:
        answers.set()
