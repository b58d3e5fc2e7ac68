"""The programs of examples/ run as they stand, against a real server process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from examples.file_to_channel import LONGEST, Follower
from mobium.client import Engine, MessageReceived, Voice
from mobium.media.devices import VirtualDevices
from mobium.media.levels import level
from mobium.media.sources import MemorySink, PcmSource, Tone
from tests.e2e.test_documents import FENCE, programs
from tests.meta.tree import ROOT
from tests.support.server import ServerProcess

PASSWORD = "a password of a bot"
WAIT = 60.0  # seconds
FRAME = 1_920  # bytes of 20 ms
HERE = ROOT / "examples"


@contextmanager
def started(name: str, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """An example that runs, and has complained of nothing when it is ended."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / name), *arguments],
        cwd=folder,
        env={**os.environ, "MOBIUM_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        _, errors = process.communicate(timeout=WAIT)
    assert errors == ""


async def line(process: subprocess.Popen[str], begin: str) -> None:
    """Wait until the example prints a line that begins so."""
    assert process.stdout is not None
    async with asyncio.timeout(WAIT):
        while True:
            said = await asyncio.to_thread(process.stdout.readline)
            if said.startswith(begin):
                return
            assert said, "the example has ended"


@asynccontextmanager
async def garden(folder: Path, server: ServerProcess) -> AsyncIterator[Engine]:
    """Somebody with a channel in which the bot is, whose profile lies in `folder`."""
    for name in ("bot", "person"):
        await Engine.create(folder / name, PASSWORD)
    async with asyncio.timeout(WAIT), Engine.open(folder / "person", PASSWORD) as person:
        await person.connect(server.url)
        await person.create_channel("garden")
        link = await person.invite("#garden")
        async with Engine.open(folder / "bot", PASSWORD) as bot:
            await bot.connect(server.url)
            await bot.join(link)
            await bot.settled(WAIT)
        yield person


def test_every_example_is_in_the_list_and_is_tried_here() -> None:
    listed = (HERE / "README.md").read_text("utf-8")
    tried = Path(__file__).read_text("utf-8")
    found = sorted(file.name for file in HERE.glob("*.py"))
    assert len(found) == 4
    assert [name for name in found if f"[{name}]({name})" not in listed or f'"{name}"' not in tried] == []


def test_the_echo_bot_is_the_program_of_the_readme() -> None:
    """Which tests/e2e/test_documents.py runs."""
    _, _, program = (HERE / "echo_bot.py").read_text("utf-8").partition('"""\n\n')
    assert [program] == programs("README.md") == FENCE.findall((ROOT / "README.md").read_text("utf-8"))


def test_the_tour_goes_through_all_kernels() -> None:
    command = [sys.executable, str(HERE / "kernels_tour.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    begins = [each[:10].strip() for each in done.stdout.splitlines()]
    assert set(begins) == {"kernels", "padding", "identity", "session", "sender key", "frame"}
    assert "opened before" in done.stdout


async def test_new_lines_of_a_file_come_to_the_channel(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("what was there before\n")
    with ServerProcess(tmp_path / "server") as server:
        async with garden(tmp_path, server) as person:
            events = person.events()
            with started("file_to_channel.py", tmp_path, str(file), "#garden", server.url) as bot:
                await line(bot, "following")
                with file.open("a") as log:
                    log.write("a first line\nand a second\nhalf of a th")
                assert [await heard(events) for _ in range(2)] == ["a first line", "and a second"]
                with file.open("a") as log:
                    log.write("ird\n")
                assert await heard(events) == "half of a third"
                file.write_text("anew\n")  # shorter than what was there
                assert await heard(events) == "anew"


async def heard(events: AsyncIterator[object]) -> str | None:
    """The next text in the channel."""
    async for event in events:
        if isinstance(event, MessageReceived):
            assert event.channel == "#garden"
            return event.text
    return None


def test_a_file_is_followed_whatever_becomes_of_it(tmp_path: Path) -> None:
    file = tmp_path / "log"
    follower = Follower(file)  # there is none yet
    assert follower.lines() == []
    file.write_bytes(b"one\r\n\n  \ntwo \xff\nthr")
    assert follower.lines() == ["one", "two \ufffd"]
    (tmp_path / "new").write_text("of a new file\n" + "x" * (LONGEST + 1) + "\n")
    (tmp_path / "new").rename(file)
    assert follower.lines() == ["of a new file", "x" * LONGEST]
    file.unlink()
    assert follower.lines() == []
    file.write_text("back\n")
    assert follower.lines() == ["back"]


@pytest.mark.serial
@pytest.mark.needs("libopus")
async def test_a_sound_file_is_heard_in_the_room(tmp_path: Path) -> None:
    tone = Tone(440.0)
    said = tmp_path / "said.wav"
    with wave.open(str(said), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(b"".join(tone.read() for _ in range(50)))
    sink = MemorySink(60.0)
    devices = VirtualDevices({"silence": PcmSource(b"")}, {"memory": sink})
    with ServerProcess(tmp_path / "server") as server, devices.running():
        async with garden(tmp_path, server) as person:
            with started("voice_bot.py", tmp_path, str(said), "#garden", server.url) as bot:
                await line(bot, "in the voice room")
                voice = await Voice.join(person.rooms, "#garden", devices)
                assert await asyncio.to_thread(bot.wait, WAIT) == 0
                await voice.leave()
    frames = [sink.pcm[at : at + FRAME] for at in range(0, len(sink.pcm) - FRAME + 1, FRAME)]
    loud = sum(level(frame) > -40 for frame in frames)
    print(f"{loud} of 50 frames were heard")
    assert loud >= 25


@pytest.mark.parametrize("name", ["file_to_channel.py", "voice_bot.py"])
def test_without_arguments_it_says_what_it_takes(name: str) -> None:
    command = [sys.executable, str(HERE / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"usage: python {name} FILE CHANNEL")
