"""Engines and the real server: limits, a full mailbox, a restart, a server that asks for more patience."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobium.client import MessageStateChanged
from mobium.client.transport import dial
from mobium.errors import InvalidInput, NotConnected
from mobium.protocol.messages import GetIceConfig, IceConfig
from mobium_server.limits import Rate
from tests.support.engines import Ear, World, online, settle
from tests.support.server import server


async def test_two_engines_talk_through_the_server_over_its_restart(folder: Path) -> None:
    port = 0
    async with World(folder, dial, "") as world:
        async with server(folder) as one:
            world.url, port = one.url, one.port
            alice, bob = await world.pair()
            ear, eyes = Ear(bob), Ear(alice)
            for number in range(20):
                await alice.send("Bob", f"{number}")
            assert await ear.texts(20) == [f"{number}" for number in range(20)]
            last = (await alice.history("Bob"))[-1].id
            assert await alice.wait(last, "delivered", 10) == "delivered"
        await eyes.connection("waiting")
        sent = await alice.send("Bob", "while you were away")
        async with server(folder, port=port):
            await alice.connect()
            await bob.connect()
            assert (await ear.text()).id == sent


async def test_a_full_mailbox_is_told_and_everything_arrives_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.lanes._FIRST_HOLD", 0.1)
    monkeypatch.setattr("mobium.client.lanes._LONGEST_HOLD", 0.3)  # the server says a minute
    async with server(folder, max_offline_messages=30) as one, World(folder, dial, one.url) as world:
        async with world.opened("bob") as bob:
            await settle(bob)
            key = bob.me
        alice = await world.engine("alice")
        eyes = Ear(alice)
        sent = [await alice.send(key, f"{number}") for number in range(8)]
        told = await eyes.next(MessageStateChanged, lambda event: event.state != "sent")
        assert (told.id, told.state) == (sent[3], "queued"), "one sender holds a tenth of a mailbox"
        assert "mailbox is full" in told.reason
        bob = await world.engine("bob")
        assert await Ear(bob).texts(8) == [f"{number}" for number in range(8)]
        assert await alice.wait(sent[-1], "sent", 10)


async def test_a_sender_keeps_to_the_servers_pace(folder: Path) -> None:
    slow = Rate(20, 10)
    async with server(folder, rate_general=slow) as one, World(folder, dial, one.url) as world:
        alice, bob = await world.pair()
        ear = Ear(bob)
        sent = [await alice.send("Bob", f"{number}") for number in range(30)]
        assert await ear.texts(30) == [f"{number}" for number in range(30)]
        await alice.wait(sent[-1], "sent", 10)  # or delivered: a receipt may overtake the server's answer
        assert one.listener.counters.limited == 0


async def test_large_messages_keep_to_the_pace_as_well(folder: Path) -> None:
    # As fast as with the default limits, a quarter of the patience.
    async with server(folder, rate_general=Rate(60, 30)) as one, World(folder, dial, one.url) as world:
        alice, bob = await world.pair()
        ear = Ear(bob)
        for number in range(12):
            await alice.send("Bob", f"{number}" + "x" * (400_000 if number % 2 else 10))
        texts = await ear.texts(12)
        assert [(text or "").rstrip("x") for text in texts] == [f"{number}" for number in range(12)]
        assert one.listener.counters.limited == 0


async def test_what_is_too_large_for_this_server_is_refused_before_it_is_queued(folder: Path) -> None:
    async with server(folder, max_message_size=2048) as one, World(folder, dial, one.url) as world:
        alice, bob = await world.pair()
        ear = Ear(bob)
        with pytest.raises(InvalidInput, match="too large"):
            await alice.send("Bob", "x" * 2_000)
        await alice.send("Bob", "y" * 1_900)
        assert (await ear.text()).text == "y" * 1_900


async def test_a_server_that_is_not_there_is_one_sentence(folder: Path) -> None:
    async with server(folder) as one:
        url = one.url
    async with World(folder, dial, url) as world:
        alice = await world.engine("alice", connect=False)
        with pytest.raises(NotConnected, match="cannot be reached"):
            await alice.connect(url)
        assert alice.connection == "waiting"


async def test_an_engine_can_ask_for_the_servers_of_calls(folder: Path) -> None:
    url, secret = "turn:turn.example.org:3478", "s" * 16
    async with (
        server(folder, ice_turn_url=url, ice_turn_secret=secret, ice_ttl=600) as one,
        World(folder, dial, one.url) as world,
    ):
        alice = await world.engine("alice")
        answer = await online(alice).request(GetIceConfig())
        assert isinstance(answer, IceConfig)
        assert (answer.ttl, [one.urls for one in answer.servers]) == (600, [[url]])
