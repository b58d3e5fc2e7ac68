"""The programs in README and docs run as they stand; the bot answers somebody through a real server."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mobium.client import Engine, MessageReceived
from tests.meta.tree import ROOT
from tests.support.server import ServerProcess

PASSWORD = "a password of a bot"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WAIT = 60.0


def programs(document: str) -> list[str]:
    return FENCE.findall((ROOT / document).read_text(encoding="utf-8"))


def environment() -> dict[str, str]:
    return {**os.environ, "MOBIUM_PASSWORD": PASSWORD}


@pytest.mark.parametrize("program", programs("docs/LIBRARY.md"))
def test_the_library_s_programs_run(program: str, tmp_path: Path) -> None:
    if '"localhost"' not in program:
        run(program, tmp_path)
        return
    with ServerProcess(tmp_path / "server") as server:
        assert "hello, all of you" in run(program.replace('"localhost"', repr(server.url)), tmp_path)


def run(program: str, folder: Path) -> str:
    """What a program prints that ends well and complains of nothing."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def start(program: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program]
    return subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True)


async def test_the_bot_of_the_readme_answers_a_stranger(tmp_path: Path) -> None:
    [bot] = programs("README.md")
    assert '"localhost"' in bot
    for name in ("bot", "person"):
        await Engine.create(tmp_path / name, PASSWORD)
    with ServerProcess(tmp_path / "server") as server:
        async with Engine.open(tmp_path / "bot", PASSWORD) as first_start:
            await first_start.connect(server.url)
            key = first_start.me
        process = start(bot.replace('"localhost"', repr(server.url)), tmp_path)
        try:
            assert await say_hello(tmp_path / "person", server.url, key) == "You said: hello"
            assert process.poll() is None
        finally:
            process.kill()
            _, errors = process.communicate(timeout=WAIT)
    assert errors == ""


async def say_hello(folder: Path, url: str, peer: str) -> str | None:
    """The peer's answer."""
    async with asyncio.timeout(WAIT), Engine.open(folder, PASSWORD) as person:
        await person.connect(url)
        events = person.events()
        await person.send(peer, "hello")
        async for event in events:
            if isinstance(event, MessageReceived):
                return event.text
    return None
