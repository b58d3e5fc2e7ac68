"""A channel's past: any number of pages, members who were away for long and die while they catch up, messages
whose time is over, a server that cannot write for a while, and many channels within a server's rates.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine
from mobium.client.pace import Pace
from mobium.errors import NotConnected, ServerRefused, StoreError
from mobium.protocol.messages import (
    Channels,
    ClientMessage,
    Delivery,
    GetChannels,
    GetHistory,
    History,
    ServerMessage,
)
from mobium.signing import SigningKey
from mobium_server import upkeep
from mobium_server.limits import Rate
from mobium_server.storage.memory import MemoryStorage
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.channel_world import (
    ChannelWorld,
    Tap,
    calm,
    channel_world,
    enter,
    members_seen,
    said,
    shows,
    state,
    texts,
)
from tests.support.channel_world import lines as shown_lines
from tests.support.clocks import Hands
from tests.support.engines import fast_vault, inside, until
from tests.support.raw import request
from tests.support.server import randomness
from tests.support.server import server as real_server
from tests.support.vfs import disk

TOKEN = "0123456789abcdef"
LONG = 1_200  # entries that come in while somebody is away
ALL = 1_000_000


# ---------------------------------------------------------------- pages


class _Reader:
    """A wire that asks for small pages, and a machine that dies at one of them: when it has come and before
    it is stored, or when the next one is asked for.
    """

    def __init__(self, tap: Tap, chance: random.Random) -> None:
        self._tap, self._chance = tap, chance
        self.pages = 0
        self.died = asyncio.Event()
        tap.up, tap.down = self._up, self._down

    def live(self) -> None:
        """Until a page that chance chooses."""
        self.pages, self._last = 0, self._chance.randint(1, 6)
        self._stored = self._chance.random() < 0.5
        self.died.clear()

    def immortal(self) -> None:
        """From now on."""
        self._last = ALL

    def _up(self, message: ClientMessage) -> ClientMessage | None:
        if not isinstance(message, GetHistory):
            return message
        if self._stored and self.pages >= self._last:
            self.died.set()
            return None
        return GetHistory(message.channel_id, message.after, self._chance.randint(20, 80), message.rid)

    def _down(self, message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, History):
            self.pages += 1
            if not self._stored and self.pages == self._last:
                self.died.set()
        return message

    def kill(self, engine: Engine) -> None:
        """Whatever the engine would store after its death is not stored."""
        store = inside(engine).store
        commit = store._commit

        def dying() -> None:
            if self.died.is_set():
                raise StoreError("This machine has died.")
            commit()

        store._commit = dying  # type: ignore[method-assign]


async def test_a_long_absence_is_read_page_by_page_whatever_dies(town: ChannelWorld, seed: int) -> None:
    absent = ("ben", "dora", "emil")
    async with AsyncExitStack() as stack:
        away = [await stack.enter_async_context(town.opened(name)) for name in absent]
        anna, cleo = await town.people("anna", "cleo")
        key = await enter(anna, cleo, *away)
        await said(anna, "before", f"#{key}")
        for one in away:
            await shows(one, ["before"])
    wanted = await _many_entries(key, anna, cleo)
    end = (await anna.history(f"#{key}", limit=1))[0].position
    deaths = pages = 0
    for number, name in enumerate(absent):
        reader = _Reader(town.tap(name), randomness(seed, number))
        for _ in range(4):
            reader.live()
            with suppress(StoreError):
                async with town.opened(name, connect=False) as engine:
                    reader.kill(engine)
                    await engine.connect(town.url, wait=False)
                    async with asyncio.timeout(20):
                        await reader.died.wait()
            deaths += 1
            pages += reader.pages
        reader.immortal()
        async with town.opened(name) as engine:
            channel = f"#{key}"

            async def there(engine: Engine = engine, channel: str = channel) -> bool:
                return (await engine.history(channel, limit=1))[0].position == end

            await until(there)
            history = await engine.history(channel, limit=ALL)
            pages += reader.pages
        assert [line.text for line in history if line.kind == "text"] == wanted, f"MOBIUM_TEST_SEED={seed}"
        assert {line.kind for line in history} <= {"text", "notice"}
        numbers = [line.position for line in history]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "one after the other, each once"
    print(f"\n{LONG} entries, {deaths} deaths, {pages} pages, seed {seed}")


async def _many_entries(key: str, anna: Engine, cleo: Engine) -> list[str]:
    """Let messages and changes come in; returns the texts in the order of their numbers."""
    channel = f"#{key}"
    for start in range(0, LONG, 100):
        for number in range(start, start + 50):
            await anna.send(channel, f"a{number}")
            await cleo.send(channel, f"c{number}")
        await calm(anna, cleo)
        await anna.channels.set_topic(channel, f"topic {start}")
    await members_seen(channel, 5, anna, cleo)
    sent = [
        (line.position, line.text or "")
        for engine in (anna, cleo)
        for line in await engine.history(channel, limit=ALL)
        if line.outgoing
    ]
    assert len(sent) == LONG + 1
    return [text for _, text in sorted(sent)]


async def test_who_was_away_reads_those_who_came_meanwhile_through_every_departure(
    town: ChannelWorld,
) -> None:
    """Their chains come before the roster that knows of them, and each departure makes another one."""
    async with town.opened("ben") as ben:
        anna = await town.engine("anna")
        key = await enter(anna, ben)
    cleo = await town.engine("cleo")
    await cleo.join(await anna.invite("#garden"))
    wanted = []
    for number in range(20):
        await anna.channels.ban(f"#{key}", SigningKey.generate().public)
        await members_seen(f"#{key}", 3, anna, cleo)
        wanted.append(f"{number}")
        await said(cleo, wanted[-1], f"#{key}")
    ben = await town.engine("ben")
    await shows(ben, wanted, f"#{key}")


@pytest.mark.parametrize("how", ["left", "removed"])
async def test_who_has_gone_reads_what_was_written_before_though_the_key_comes_after(
    town: ChannelWorld, how: str
) -> None:
    anna, ben = await town.gather("anna", "ben")
    tap = town.tap("ben")
    tap.down = lambda message: None if isinstance(message, Delivery) and message.channel_id else message
    await said(anna, "before")
    await shows(ben, ["(closed)"])
    if how == "left":
        await ben.leave("#garden")
    else:
        await anna.remove("#garden", ben.me)
    await state(ben, how)
    tap.honest()
    tap.cut()
    await shows(ben, ["before"])
    assert (await ben.channels.get("#garden")).state == how


async def test_a_change_does_not_wait_for_a_connection_that_has_ended(town: ChannelWorld) -> None:
    anna, _ = await town.gather("anna", "ben")
    tap = town.tap("anna")
    tap.down = lambda message: None if isinstance(message, Channels) else message
    tap.cut()
    await tap.count(GetChannels, 2)
    change = asyncio.create_task(anna.rename("#garden", "orchard"))
    await asyncio.sleep(0.1)
    assert not change.done(), "it waits for what was missed"
    tap.refuses = True
    tap.cut()
    with pytest.raises(NotConnected):
        await asyncio.wait_for(change, 3)


async def test_who_is_in_reads_what_another_wrote_before_he_left_though_the_key_comes_after(
    town: ChannelWorld,
) -> None:
    anna, ben, _ = await town.gather("anna", "ben", "cleo")
    tap = town.tap("ben")
    tap.down = lambda message: None if isinstance(message, Delivery) and message.channel_id else message
    await anna.set_role("#garden", ben.me, "owner")
    await said(anna, "before")
    await shows(ben, ["(closed)"])
    await anna.leave("#garden")
    await members_seen("#garden", 2, ben)
    tap.honest()
    tap.cut()
    await shows(ben, ["before"])


# ---------------------------------------------------------------- rates


async def come_back(folder: Path, count: int) -> dict[str, Any]:
    """Two who are in so many channels come back to a server with the default rates: in each of them one has
    written meanwhile, and the other one writes at once. Returns the server's figures once all is shown.
    """
    settings: dict[str, Any] = {"max_offline_messages": 100_000, "admin_token": TOKEN}
    async with AsyncExitStack() as stack:
        async with real_server(folder / "server", **settings) as server:
            port = server.port
            world = await stack.enter_async_context(channel_world(folder, server.url, Hands()))
            anna = await world.engine("anna")
            async with world.opened("ben") as ben:
                keys = [await enter(anna, ben, name=f"n{n}", private=False) for n in range(count)]
                for key in keys:
                    await said(anna, "first", f"#{key}")
                await calm(anna, ben)
            for key in keys:
                await said(anna, "second", f"#{key}")
            await anna.disconnect()
        default = Rate(30, 60)
        async with real_server(folder / "server", port=port, rate_general=default, **settings) as server:
            ben = await world.engine("ben")
            await anna.connect()
            for key in keys:
                await ben.send(f"#{key}", "third")
            async with asyncio.timeout(60):
                for key in keys:
                    while await texts(anna, f"#{key}") != ["first", "second", "third"]:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                    assert await texts(ben, f"#{key}") == ["first", "second", "third"]
            answer = await request(server.port, "/admin/stats", headers={"Authorization": f"Bearer {TOKEN}"})
    stats: dict[str, Any] = json.loads(answer.body)
    print(f"\n{count} channels, {stats['posts']} messages, limited {stats['limited']}")
    return stats


@pytest.mark.once
@pytest.mark.parametrize("count", [100, pytest.param(200, marks=pytest.mark.long)])
async def test_many_channels_come_back_within_the_servers_rates(
    folder: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    fast_vault(monkeypatch)
    monkeypatch.setattr("mobium_server.channels.CREATIONS", count)
    stats = await come_back(folder, count)
    assert stats["limited"] == 0
    assert stats["posts_stored"] == count


@pytest.mark.once
async def test_without_their_pace_they_come_back_in_a_burst_that_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast_vault(monkeypatch)
    monkeypatch.setattr("mobium_server.channels.CREATIONS", 100)
    monkeypatch.setattr(Pace, "limit", lambda *_: None)
    stats = await come_back(folder, 100)
    assert stats["limited"] > 0
    assert stats["posts_stored"] == 100, "though all of it comes in the end"


# ---------------------------------------------------------------- time


async def test_who_comes_back_late_misses_what_has_expired_and_no_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast_vault(monkeypatch)
    monkeypatch.setattr(upkeep, "INTERVAL", 0.02)
    hands = Hands()
    async with AsyncExitStack() as stack:
        storage = MemoryStorage(1_000)
        server = await stack.enter_async_context(
            real_server(folder / "server", storage=storage, clock=hands.clock(), message_ttl=1_000)
        )
        world = await stack.enter_async_context(channel_world(folder, server.url, hands))
        async with world.opened("ben") as ben:
            anna = await world.engine("anna")
            key = await enter(anna, ben)
            await said(anna, "seen")
            await shows(ben, ["seen"])
        old = [await said(anna, f"old {n}") for n in range(5)]
        await anna.rename("#garden", "orchard")
        hands.ahead += 600
        await said(anna, "new 0", f"#{key}")
        hands.ahead += 600
        await _expired(storage, key, len(old) + 1)
        await said(anna, "new 1", f"#{key}")
        ben = await world.engine("ben")
        await shows(ben, ["seen", "new 0", "new 1"], f"#{key}")
        assert (await ben.channels.get(f"#{key}")).name == "orchard"
        # Even of a channel in which nothing is left no number is given again.
        hands.ahead += 2_000
        await _expired(storage, key, 0)
        await ben.disconnect()
        last = (await shown_lines(anna, f"#{key}"))[-1].position
        await said(anna, "newest", f"#{key}")
        await ben.connect()
        await shows(ben, ["seen", "new 0", "new 1", "newest"], f"#{key}")
        for engine in (anna, ben):
            numbers = [line.position for line in await engine.history(f"#{key}", limit=ALL)]
            assert numbers[-1] == last + 1
            assert len(set(numbers)) == len(numbers)


async def _expired(storage: MemoryStorage, key: str, left: int) -> None:
    """Wait until no more than so many messages of a channel are stored."""

    async def there() -> bool:
        return len(storage._channels[bytes.fromhex(key)].posts) <= left

    await until(there)


# ---------------------------------------------------------------- disk


async def test_a_disk_that_is_full_for_a_while_costs_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast_vault(monkeypatch)
    monkeypatch.setattr("mobium.client.link._FIRST_DELAY", 0.02)
    with disk() as watched:
        async with AsyncExitStack() as stack:
            (folder / "server").mkdir()
            storage = SqliteStorage(folder / "server" / "mobium.db", 1_000, watched.connect)
            server = await stack.enter_async_context(real_server(folder / "server", storage=storage))
            world = await stack.enter_async_context(channel_world(folder, server.url, Hands()))
            anna, ben, cleo = await world.people("anna", "ben", "cleo")
            key = await enter(anna, ben)
            link = await anna.invite("#garden")
            await said(anna, "before")
            watched.full = True
            sent = [await anna.send("#garden", "while 0"), await ben.send("#garden", "while 1")]
            for change in (anna.rename("#garden", "x"), anna.remove("#garden", ben.me), cleo.join(link)):
                with pytest.raises(ServerRefused) as refused:
                    await change
                assert refused.value.code == "storage"
            assert [line.kind for line in (await ben.history("#garden"))[-2:]] == ["text", "text"]
            sent += [await anna.send("#garden", "while 2")]
            await ben.disconnect()
            await ben.connect()
            assert await texts(ben) == ["before", "while 1"]
            watched.full = False
            for engine, message in zip((anna, ben, anna), sent, strict=True):
                assert await engine.wait(message, "sent", 20) == "sent"
            await cleo.join(link)
            await anna.rename("#garden", "orchard")
            await said(cleo, "after", f"#{key}")
            await calm(anna, ben, cleo)
            shown = await texts(anna, f"#{key}")
            await shows(ben, [text or "" for text in shown], f"#{key}")
            assert shown[0] == "before"
            assert sorted(map(str, shown[1:4])) == ["while 0", "while 1", "while 2"]
            assert shown.index("while 0") < shown.index("while 2")
            assert shown[4:] == ["after"]
            await shows(cleo, ["after"], f"#{key}")
            await members_seen(f"#{key}", 3, anna, ben, cleo)
