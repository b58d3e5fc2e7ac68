"""Voice rooms under load and on bad links: forty engines over real sockets, and one whose network stalls.

The engines share this process, the server has its own. Delays, processor time and the number of speakers that
this machine carries are printed, not asserted.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from mobium.client import Engine, Voice, VoiceListener, VoiceRoom
from mobium.client.address import Address
from mobium.client.transport import Transport, dial
from mobium.media.devices import VirtualDevices
from mobium.media.sources import MemorySink, PcmSource
from mobium.protocol.limits import MAX_SPEAKERS
from tests.support.engines import World, fast_folder, fast_vault
from tests.support.hearing import coded, lag, understood
from tests.support.server import ServerProcess, randomness
from tests.support.sound import speech

pytestmark = [pytest.mark.serial, pytest.mark.needs("libopus", "espeak-ng")]

TEXT = "Whoever speaks in this room is heard by everybody who is in it, and by nobody else at all."
FRAME = 1_920
LARGE = {
    "SC_RATE_GENERAL": "0",
    "SC_MAX_CONNECTIONS_PER_IP": "0",
    "SC_RATE_ADDRESS_FACTOR": "0",
}
PATIENCE = 90.0


class Listening(VoiceListener):
    """Counts what is opened, and plays nothing."""

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()
        self.people_now: Sequence[str] = ()

    def voice(self, speaker: str, key: int, number: int, packet: bytes) -> None:
        self.opened[speaker] += 1

    def people(self, people: Sequence[str]) -> None:
        self.people_now = people


async def until_all(true: Sequence[Callable[[], object]]) -> None:
    """Wait until every one of these gives something."""
    async with asyncio.timeout(PATIENCE):
        while not all([each() for each in true]):  # noqa: ASYNC110, C419 - each of them is asked
            await asyncio.sleep(0.05)


def heard_from(ear: Listening, voices: Sequence[Voice], names: Sequence[str]) -> bool:
    """Whether a listener has opened a frame of each of these voices, which say something now."""
    for voice in voices:
        voice._say(b"hello")
    return all(ear.opened[name] for name in names)


@asynccontextmanager
async def garden(folder: Path, server: ServerProcess, number: int) -> AsyncIterator[list[Engine]]:
    """So many engines in one channel."""
    async with World(folder, dial, server.url) as world:
        people = [await world.engine(f"person{index}") for index in range(number)]
        channel = await people[0].create_channel("garden")
        link = await people[0].invite(f"#{channel.id}", uses=0)
        for person in people[1:]:
            await person.join(link)
        for person in people:
            async with asyncio.timeout(PATIENCE):
                while (await person.channels.get(f"#{channel.id}")).members < number:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        yield people


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("number", [12, pytest.param(MAX_SPEAKERS, marks=pytest.mark.long)])
async def test_two_speak_and_all_others_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fast_vault(monkeypatch)
    said = speech(TEXT)
    seconds = len(said) / 2 / 48_000
    with ServerProcess(tmp_path / "server", LARGE) as server, fast_folder() as folder:
        async with garden(folder, server, number) as people, AsyncExitStack() as stack:
            speakers, listeners = people[:2], people[4:]
            rooms: list[tuple[VoiceRoom, Listening]] = []
            for person in listeners:
                ear = Listening()
                rooms.append((await person.rooms.join("#garden", ear), ear))
            heard = [MemorySink(seconds + 20) for _ in range(4)]
            voices: list[Voice] = []
            for index, person in enumerate(people[:4]):
                devices = VirtualDevices({"file": PcmSource(said)}, {"spk": heard[index]})
                stack.enter_context(devices.running())
                voices.append(await Voice.join(person.rooms, "#garden", devices, listen_only=True))
            began = time.monotonic()
            everybody = [lambda ear=ear: len(ear.people_now) == number - 1 for _, ear in rooms]
            everybody += [lambda voice=voice: len(voice.people) == number - 1 for voice in voices]
            await until_all(everybody)
            names = [person.me for person in speakers]
            await until_all([partial(heard_from, ear, voices[:2], names) for _, ear in rooms])
            print(
                f"\n{number} in the room; all hear both {time.monotonic() - began:.1f} s after the last came"
            )
            await asyncio.sleep(1.0)
            for _, ear in rooms:
                ear.opened.clear()
            before, used, start = [dict(room.lost) for room, _ in rooms], cpu(), time.monotonic()
            for voice in voices[:2]:
                voice.choose_microphone(None)
            await asyncio.sleep(seconds + 1.0)
            took, used = time.monotonic() - start, cpu() - used
            for voice in voices[:2]:
                voice.muted = True
            await asyncio.sleep(1.0)
            frames = round(seconds * 50)
            counts = [[ear.opened[name] for name in names] for _, ear in rooms]
            lost = [
                {reason: room.lost[reason] - first[reason] for reason in first}
                for (room, _), first in zip(rooms, before, strict=True)
            ]
            dropped = [voice._room.dropped for voice in voices[:2] if voice._room is not None]
            print(
                f"two speak for {took:.1f} s: each of {number - 4} listeners opened"
                f" {min(map(min, counts))} to {max(map(max, counts))} frames of each, {frames} with sound;"
                f" own frames that waited too long: {dropped};"
                f" this process used {100 * used / took:.0f} % of a core"
            )
            assert len({tuple(count) for count in counts}) == 1, "all listeners opened all frames"
            assert min(map(min, counts)) >= frames
            assert all(not any(each.values()) for each in lost)
            clean = understood(said, coded(said))
            for index in (2, 3):  # who decode and play, both speakers at once
                pcm = heard[index].pcm
                print(f"listener {index} plays {len(pcm) // FRAME} frames")
                assert len(pcm) > len(said)
            one = understood(said, heard[0].pcm)
            print(f"a speaker hears the other one: STOI {one:.3f}, through Opus alone {clean:.3f}")
            if number == MAX_SPEAKERS:
                await ceiling(rooms)


async def ceiling(rooms: list[tuple[VoiceRoom, Listening]]) -> None:
    """How many may speak at once, to all others, before frames are late or lost."""
    packet = bytes(60)
    for number in [some for some in (4, 8, 16) if some < len(rooms)]:
        for _, ear in rooms:
            ear.opened.clear()
        start = time.monotonic()
        for tick in range(100):
            for room, _ in rooms[:number]:
                room.say(packet)
            await asyncio.sleep(max(0.0, start + 0.02 * (tick + 1) - time.monotonic()))
        behind = time.monotonic() - start - 2.0
        await asyncio.sleep(1.0)
        ear = rooms[-1][1]
        got = sum(ear.opened.values())
        print(
            f"{number} speak: {got} of {100 * number} frames opened, {1000 * behind:.0f} ms behind the clock"
        )
        if got < 100 * number or behind > 0.2:
            return


# ---------------------------------------------------------------- a bad link


class Stalling:
    """A connection that, now and then, gives nothing for 100 to 500 ms and then everything at once, and that
    loses some media frames, as a server's queue drops them.
    """

    def __init__(self, inner: Transport, chance: random.Random, loss: float) -> None:
        self._inner = inner
        self._random = chance
        self._loss = loss
        self._stalled_until = 0.0
        self._next = time.monotonic() + chance.uniform(0.5, 1.5)
        self.dropped = 0

    async def send(self, data: bytes) -> None:
        await self._inner.send(data)

    async def receive(self) -> bytes:
        while True:
            data = await self._inner.receive()
            now = time.monotonic()
            if now >= self._next:
                self._stalled_until = now + self._random.uniform(0.1, 0.5)
                self._next = self._stalled_until + self._random.uniform(0.5, 1.5)
            if now < self._stalled_until:
                await asyncio.sleep(self._stalled_until - now)
            if data[:1] == b"\1" and self._random.random() < self._loss:
                self.dropped += 1
                continue
            return data

    async def close(self) -> None:
        await self._inner.close()


async def test_a_link_that_stalls_and_loses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast_vault(monkeypatch)
    seed = int(os.environ["MOBIUM_TEST_SEED"])
    print(f"\nstalls of 100 to 500 ms, seed {seed}")
    with ServerProcess(tmp_path / "server", LARGE) as server, fast_folder() as folder:
        async with asyncio.TaskGroup() as group:
            for loss in (0.0, 0.05):
                (folder / f"{loss}").mkdir()
                chance = randomness(seed, round(100 * loss))
                group.create_task(over_a_bad_link(folder / f"{loss}", server.url, chance, loss))


async def over_a_bad_link(folder: Path, url: str, chance: random.Random, loss: float) -> None:
    """Somebody speaks to one whose link stalls and loses so much."""
    said = speech(TEXT)
    clean = understood(said, coded(said))
    links: list[Stalling] = []

    async def stalling(address: Address) -> Transport:
        links.append(Stalling(await dial(address), chance, loss))
        return links[-1]

    async with World(folder, dial, url) as world:
        anna = await world.engine("anna")
        ben = await world.engine("ben", connector=stalling)
        channel = await anna.create_channel("garden")
        await ben.join(await anna.invite(f"#{channel.id}"))
        heard = MemorySink(60)
        here = VirtualDevices({"file": PcmSource(said)}, {"spk": MemorySink()})
        there = VirtualDevices({}, {"spk": heard})
        with here.running(), there.running():
            listens = await Voice.join(ben.rooms, "#garden", there, listen_only=True)
            speaks = await Voice.join(anna.rooms, "#garden", here, listen_only=True)
            await until_all([lambda: speaks.people and listens.people])
            await asyncio.sleep(1.0)
            speaks.choose_microphone(None)
            await asyncio.sleep(len(said) / 2 / 48_000 + 2.0)
            report = listens.report()[anna.me]
    stoi = understood(said, heard.pcm)
    print(
        f"{100 * loss:.0f} % lost: STOI {stoi:.3f}, through Opus alone {clean:.3f};"
        f" lag {lag(said, heard.pcm):.2f} s; {report.counts};"
        f" the newest packet waits {1000 * report.delay:.0f} ms"
    )
    assert stoi >= 0.7 * clean
    assert (links[-1].dropped > 0) == (loss > 0)
