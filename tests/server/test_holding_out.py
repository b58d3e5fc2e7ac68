"""What a machine does to a server: the disk is full, the file descriptors are used up. It says so once,
serves whom it can, and goes on by itself. (What people do: test_abuse.py; a clock that jumps: test_clock.py.)
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mobium.protocol import messages as m
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.channels import gather, write
from tests.support.raw import request
from tests.support.server import Client, Refused, ServerProcess, client, server
from tests.support.vfs import disk

# ---------------------------------------------------------------- a full disk


async def refused(one: Client) -> str:
    """The code of the error that comes."""
    with pytest.raises(Refused) as caught:
        await one.expect(m.Accepted)
    return caught.value.code


async def test_a_full_disk_costs_nothing_that_was_acknowledged_and_passes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with disk() as watched:
        storage = SqliteStorage(tmp_path / "m.db", 1_000, watched.connect)
        async with server(tmp_path, storage=storage) as one, client(one.url) as anna, client(one.url) as ben:
            async with client(one.url) as away:
                person = away.person
            room = await gather(anna, ben)
            await anna.post_and_wait(person.public, b"before")
            watched.full = True
            delivery = await anna.post(person.public, b"meanwhile")
            assert await refused(anna) == "storage"
            await write(anna, room, b"meanwhile")
            assert await refused(anna) == "storage"
            # The service goes on: logins, histories, and what is taken at once.
            async with client(one.url, publish=False) as carl:
                await carl.post(ben.public, b"hello")
                assert (await ben.take()).payload[1:6] == b"hello"
                await carl.send(m.Ping(7))
                await carl.expect(m.Pong)
            async with client(one.url, person, publish=False) as back:
                assert back.welcome.offline_count == 1
                assert (await back.take(ack=False)).payload[1:7] == b"before"
            watched.full = False
            # The same message again, under the same id, and nobody had to start anything.
            await anna.post_and_wait_any(person.public, b"meanwhile", delivery=delivery)
            await write(anna, room, b"afterwards")
            await anna.expect(m.Accepted)
            async with client(one.url, person, publish=False) as back:
                texts = [(await back.take()).payload[1:10].rstrip(b"\0") for _ in range(2)]
                assert texts == [b"before", b"meanwhile"]
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "full" in errors[0].getMessage()
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "The storage works again."
    ]


# ---------------------------------------------------------------- no file descriptors

FEW = 60


@contextlib.asynccontextmanager
async def crowd(port: int, size: int) -> AsyncIterator[None]:
    """So many sockets that say nothing."""
    writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(size)]
    try:
        yield
    finally:
        for writer in writers:
            writer.transport.abort()


@pytest.fixture
def starved(tmp_path: Path) -> ServerProcess:
    """A server that may open few files."""
    return ServerProcess(tmp_path, {"SC_AUTH_TIMEOUT": "60"})


@pytest.mark.skipif(sys.platform != "linux", reason="only there a limit is set for another process")
async def test_descriptors_used_up_are_said_once_and_passed(starved: ServerProcess) -> None:
    import resource

    with starved:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.prlimit(starved.pid, resource.RLIMIT_NOFILE, (FEW, limit))
        async with client(starved.url) as anna, client(starved.url) as ben:
            async with crowd(starved.port, 150):
                assert await asyncio.to_thread(starved.said, "A connection could not be taken")
                # Those who are in go on, disk and all.
                for _ in range(20):
                    await anna.post(ben.public, b"hello")
                    await ben.take()
                    await anna.expect(m.Accepted)
            # As soon as there is room again the next ones are taken.
            async with client(starved.url) as carl:
                await carl.post_and_wait(carl.public)
        assert (await request(starved.port, "/health")).body == b"OK"
    text = "".join(starved.errors)
    assert text.count("could not be taken") == 1
    assert "Traceback" not in text
