"""A30: somebody makes identities without end at one address and fills mailboxes and channels with them, until
the whole disk is full: an address has so many bytes, a reserve stays free, and people who are there go on.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mobium.protocol import messages as m
from mobium_server import app, hub, space
from mobium_server.limits import HOUR, Rate
from mobium_server.space import Room
from tests.support.channels import begin, gather, write
from tests.support.server import Client, client, publication, server

pytestmark = pytest.mark.once

KIB = 1 << 10
AT_ONCE = 64 * KIB  # what an address may have kept here
ELSEWHERE = {"X-Forwarded-For": "203.0.113.77"}  # as a proxy that is trusted says
FAST = Rate(10_000, 10_000)  # no other rate stands in the way, but that of addresses is on


async def answer(one: Client) -> str:
    """What a message came to."""
    found = await one.receive()
    while not isinstance(found, m.Accepted | m.Error):
        found = await one.receive()
    return found.code if isinstance(found, m.Error) else "ack"


async def sent(one: Client, recipient: bytes) -> str:
    """The answer to one direct message of 569 bytes."""
    await one.post(recipient)
    return await answer(one)


# ---------------------------------------------------------------- what an address may fill


async def hoard(folder: Path, *headers: str) -> tuple[int, int, bool]:
    """From each address (X-Forwarded-For) ten identities write what they can to somebody who is away, and two
    of them into channels of their own; then a friend writes from elsewhere.

    Returns how many messages and posts were taken, and whether the friend's was.
    """
    taken = posts = 0
    async with server(folder, rate_general=FAST, rate_address_factor=1) as running:
        async with client(running.url, additional_headers=ELSEWHERE) as one:
            away = one.public
        for header in headers:
            for number in range(10):
                place = {"X-Forwarded-For": header}
                async with client(running.url, publish=False, additional_headers=place) as stranger:
                    for _ in range(15):
                        await stranger.post(away)
                    taken += [await answer(stranger) for _ in range(15)].count("ack")
                    if number % 5 == 0:
                        room = await begin(stranger)
                        for _ in range(20):
                            await write(stranger, room)
                        posts += [await answer(stranger) for _ in range(20)].count("ack")
        async with client(running.url, additional_headers=ELSEWHERE) as friend:
            return taken, posts, await sent(friend, away) == "ack"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address has 64 KiB, and a byte a second."""
    monkeypatch.setattr(hub, "KEPT", Rate(1, AT_ONCE))


@pytest.mark.usefixtures("small")
async def test_an_address_has_so_many_bytes_and_no_more(tmp_path: Path) -> None:
    taken, posts, friend = await hoard(tmp_path, "198.51.100.1")
    assert friend
    assert (AT_ONCE - 2_000) // 640 <= taken + posts <= AT_ONCE // 569 + 2


@pytest.mark.usefixtures("small")
async def test_a_site_has_four_times_that(tmp_path: Path) -> None:
    nets = [f"2001:db8:1:{number:x}::1" for number in range(6)]
    taken, posts, friend = await hoard(tmp_path, *nets)
    assert friend
    assert 4 * (AT_ONCE - 2_000) // 640 <= taken + posts <= 4 * AT_ONCE // 569 + 6


async def test_without_that_bound_ten_identities_take_ten_times_as_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "KEPT", Rate(0, 0))  # the defence, off
    assert await hoard(tmp_path, "198.51.100.1") == (150, 40, True)


@pytest.mark.usefixtures("small")
async def test_the_bound_tells_nobody_who_is_there(tmp_path: Path) -> None:
    """Whoever has used it up is refused alike for who is there and who is away."""
    async with server(tmp_path, rate_general=FAST, rate_address_factor=1) as running:
        async with client(running.url, additional_headers=ELSEWHERE) as one:
            away = one.public
        place = {"X-Forwarded-For": "198.51.100.1"}
        async with (
            client(running.url, additional_headers=ELSEWHERE) as here,
            client(running.url, publish=False, additional_headers=place) as stranger,
        ):
            # What reaches somebody does not count.
            for _ in range(30):
                await stranger.post(here.public, bucket=4_096)
                await here.take()
                assert await answer(stranger) == "ack"
            for _ in range(30):
                await stranger.post(away, bucket=4_096)
            answers = [await answer(stranger) for _ in range(30)]
            assert answers.count("ack") == AT_ONCE // (4_096 + 57)
            assert set(answers) == {"ack", "rate_limited"}
            for public in (here.public, away):
                await stranger.post(public, bucket=4_096)
                assert await answer(stranger) == "rate_limited"


def test_an_address_fills_ten_gibibytes_in_the_week_that_mail_is_kept() -> None:
    address = hub.KEPT.times(10)
    assert address.burst + address.per_second * 168 * HOUR <= 10.5 * 2**30


# ---------------------------------------------------------------- the reserve


class Volume:
    """A disk whose free bytes the test sets."""

    def __init__(self) -> None:
        self.free = 10 << 30

    def look(self) -> Room:
        return Room(self.free, 20 << 30)


@pytest.fixture
def volume(monkeypatch: pytest.MonkeyPatch) -> Volume:
    """The disk that the server sees."""
    one = Volume()
    monkeypatch.setattr(app, "on_disk", lambda _path: one.look)
    monkeypatch.setattr(space, "LOOK", 0.0)
    return one


async def press(folder: Path, volume: Volume, free: int) -> dict[str, str]:
    """What becomes of four requests with so many bytes free, and of one when there is room again."""
    found = {}
    async with server(folder) as running, client(running.url) as anna, client(running.url) as ben:
        async with client(running.url) as one:
            away = one.public
        room = await gather(anna, ben)
        volume.free = free
        found["to who is away"] = await sent(anna, away)
        await anna.post(ben.public)
        await ben.take()
        found["to who is there"] = await answer(anna)
        await write(anna, room)
        found["to a channel"] = await answer(anna)
        async with client(running.url, publish=False) as carl:
            await carl.send(publication())
            reply = await carl.receive()
            found["new identity"] = reply.code if isinstance(reply, m.Error) else "ack"
        volume.free = 10 << 30
        found["afterwards"] = await sent(anna, away)
    return found


async def test_a_reserve_stays_free_and_who_is_there_goes_on(
    tmp_path: Path, volume: Volume, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "mobium_server"):
        assert await press(tmp_path, volume, 1_023 << 20) == {
            "to who is away": "storage",
            "to who is there": "ack",
            "to a channel": "storage",
            "new identity": "storage",
            "afterwards": "ack",
        }
    # It is said once when it begins and once when it ends.
    assert [record.levelname for record in caplog.records if "free on the" in record.message] == ["ERROR"]
    assert [record.levelname for record in caplog.records if "room on the" in record.message] == ["WARNING"]


async def test_without_the_reserve_the_last_byte_is_used(
    tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "reserve", lambda _total: 0)  # the defence, off
    assert set((await press(tmp_path, volume, 1)).values()) == {"ack"}


@pytest.mark.parametrize(
    ("total", "kept"),
    [
        (0, 0),
        (64 << 20, 16 << 20),
        (4 << 30, 256 << 20),
        (10 << 30, 512 << 20),
        (32 << 30, 1 << 30),
        (4 << 40, 1 << 30),
    ],
)
def test_how_much_stays_free(total: int, kept: int) -> None:
    assert space.reserve(total) == kept


def test_a_disk_that_nobody_can_look_at_is_not_low(tmp_path: Path) -> None:
    assert not space.Space(space.on_disk(tmp_path / "nothing"), lambda: 0.0).low


def test_the_disk_is_looked_at_once_a_second() -> None:
    looks = 0
    now = 5.0

    def look() -> Room:
        nonlocal looks
        looks += 1
        return Room(1 << 40, 1 << 40)

    one = space.Space(look, lambda: now)
    for _ in range(10):
        assert not one.low
    assert looks == 1
    now += space.LOOK
    assert one.room.free == 1 << 40
    assert looks == 2
