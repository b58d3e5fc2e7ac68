"""A call with real sound, as far as a machine without a sound card has it: PulseAudio's microphones and
speakers, through PortAudio. It rings to be heard, and what is said at one end is understood at the other.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mobium.client.transport import dial
from mobium.media.form import FRAME_BYTES, FRAME_SECONDS
from tests.support.calls import Phone
from tests.support.engines import Ear, World, settle
from tests.support.hearing import coded, lag, understood
from tests.support.server import server
from tests.support.sound import SHORT, SOUND, devices_of, pulse, speech

pytestmark = [pytest.mark.usefixtures("on_loopback"), *SOUND]
pytest.importorskip("aiortc")


async def test_speech_goes_from_a_microphone_to_the_other_s_speaker(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        sound = stack.enter_context(pulse(tmp_path, ("alice", "bob"), ("mouth", "other")))
        devices = devices_of(sound, monkeypatch, stack)
        one = await stack.enter_async_context(server(folder / "server"))
        world = await stack.enter_async_context(World(folder, dial, one.url))
        people = []
        for name, microphone in (("alice", "mouthsrc"), ("bob", "othersrc")):
            engine = await stack.enter_async_context(world.opened(name))
            engine.calls.use(devices, microphone=microphone, speaker=name)
            people.append(engine)
        alice, bob = people
        await settle(alice, bob)
        for first, second in ((alice, bob), (bob, alice)):
            await first.contacts.add(second.me)
        for first, second in ((alice, bob), (bob, alice)):
            await first.wait(await first.send(second.me, "hello"), "delivered", 15)
        for first, second in ((alice, bob), (bob, alice)):
            await first.contacts.verify(second.me)
        ears = [Phone("", engine, Ear(engine), None, None, None) for engine in people]  # type: ignore[arg-type]
        with sound.recording("bob") as ringtone, sound.recording("alice") as ringback:
            await alice.call(bob.me)
            await ears[1].state("incoming")
            await ears[0].state("ringing")
            await asyncio.sleep(1.5)
        assert any(ringtone.pcm), "somebody calls"
        assert any(ringback.pcm), "it rings there"
        await bob.calls.accept()
        for ear in ears:
            await ear.state("active")
        with sound.recording("bob") as heard, sound.recording("mouth") as mouth:
            await asyncio.sleep(0.3)
            feeding = sound.feed(speech(SHORT), "mouth")
            await asyncio.sleep(len(speech(SHORT)) / FRAME_BYTES * FRAME_SECONDS + 1.5)
            feeding.wait(20)
        score = understood(coded(speech(SHORT)), heard.pcm)
        delay = heard.began + lag(speech(SHORT), heard.pcm) - mouth.began - lag(speech(SHORT), mouth.pcm)
        print(f"STOI {score:.3f}, from microphone to speaker {delay * 1_000:.0f} ms; {bob.calls.report()}")
        assert score > 0.7  # 0.97 on a machine that does nothing else
        await bob.calls.hang_up()
        await ears[0].state("ended", "hung_up")
