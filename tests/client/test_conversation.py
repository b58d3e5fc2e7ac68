"""Two engines that talk, over a server that is honest."""

from __future__ import annotations

import asyncio

import pytest

from mobium.client import Engine, MessageReceived, MessageStateChanged
from mobium.errors import InvalidInput
from tests.support.engines import Ear, World, settle, until
from tests.support.hostile import Envelope, HostileServer


async def test_a_text_arrives_and_both_see_its_states(world: World) -> None:
    alice, bob = await world.pair()
    ears, eyes = Ear(bob), Ear(alice)
    sent = await alice.send("bob", "hello")
    received = await ears.text()
    assert (received.id, received.peer, received.text) == (sent, alice.me, "hello")
    assert (received.channel, received.request) == (None, False)
    await eyes.state(sent, "delivered")
    states = [event.state for event in eyes.heard if isinstance(event, MessageStateChanged)]
    assert states == ["sent", "delivered"]
    assert await alice.wait(sent, "delivered", 1) == "delivered"


async def test_many_texts_arrive_in_order_both_ways(world: World) -> None:
    alice, bob = await world.pair()
    hears_alice, hears_bob = Ear(bob), Ear(alice)
    for number in range(40):
        await alice.send(bob.me, f"a{number}")
        await bob.send(alice.me, f"b{number}")
    assert await hears_alice.texts(40) == [f"a{number}" for number in range(40)]
    assert await hears_bob.texts(40) == [f"b{number}" for number in range(40)]
    shown = [message.text for message in await alice.history("Bob", limit=100) if not message.outgoing]
    assert shown == [f"b{number}" for number in range(40)]


async def test_the_first_message_goes_out_before_the_other_was_ever_online(world: World) -> None:
    async with world.opened("bob") as bob:
        await settle(bob)
        bob_key = bob.me
    alice = await world.engine("alice")
    for number in range(3):
        await alice.wait(await alice.send(bob_key, f"{number}"), "sent", 10)
    bob = await world.engine("bob")
    assert await Ear(bob).texts(3) == ["0", "1", "2"]


async def test_what_is_sent_offline_goes_out_after_a_restart(world: World) -> None:
    bob = await world.engine("bob")
    await settle(bob)
    async with world.opened("alice", connect=False) as alice:
        sent = [await alice.send(bob.me, f"{number}") for number in range(3)]
        assert [(await alice.message(each)).state for each in sent] == ["queued"] * 3
    ear = Ear(bob)
    alice = await world.engine("alice")
    assert await ear.texts(3) == ["0", "1", "2"]
    assert await alice.wait(sent[2], "sent", 10) in {"sent", "delivered"}


async def test_an_echo_bot_of_five_lines_answers_a_stranger(world: World) -> None:
    bot = await world.engine("bot")
    await settle(bot)

    async def run(engine: Engine) -> None:
        async for event in engine.events():
            if isinstance(event, MessageReceived):
                assert event.text is not None
                await engine.send(event.peer, event.text)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(bot))
        alice = await world.engine("alice")
        ear = Ear(alice)
        sent = await alice.send(bot.me, "anybody?")
        assert (await ear.text()).text == "anybody?"
        assert await alice.wait(sent, "delivered", 10) == "delivered"
        assert [contact.key for contact in await bot.contacts.list()] == [alice.me]
        task.cancel()


async def test_both_write_first_at_the_same_moment(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    hears_alice, hears_bob = Ear(bob), Ear(alice)
    keys = (bytes.fromhex(alice.me), bytes.fromhex(bob.me))
    for key in keys:
        server.hold(key)
    await alice.wait(await alice.send(bob.me, "from alice"), "sent", 10)
    await bob.wait(await bob.send(alice.me, "from bob"), "sent", 10)
    for key in keys:
        await server.release(key)
    assert (await hears_alice.text()).text == "from alice"
    assert (await hears_bob.text()).text == "from bob"
    for number in range(3):
        await alice.send(bob.me, f"a{number}")
        assert (await hears_alice.text()).text == f"a{number}"
        await bob.send(alice.me, f"b{number}")
        assert (await hears_bob.text()).text == f"b{number}"
    # One conversation is left: both send in the same session, without handshake headers.
    payloads = [envelope.payload[0] for envelope in server.sent[-2:]]
    assert payloads == [1, 1]


async def test_a_lost_connection_resends_the_same_bytes(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    ear = Ear(bob)
    answers = server.cheat.answer
    server.cheat.answer = lambda _sent: None
    sent = await alice.send(bob.me, "once")
    assert (await ear.text()).text == "once"
    server.cheat.answer = answers
    first = server.sent_by(bytes.fromhex(alice.me))[-1]
    await server.cut(bytes.fromhex(alice.me))

    async def sent_again() -> bool:
        # Not `wait`: the receipt of what arrived makes it delivered before it is sent again.
        return len(copies()) >= 2

    def copies() -> list[Envelope]:
        return [each for each in server.sent_by(bytes.fromhex(alice.me)) if each.id == first.id]

    await until(sent_again)
    await alice.wait(sent, "sent", 20)
    again = copies()
    assert {each.payload for each in again} == {first.payload}
    assert [message.text for message in await bob.history(alice.me)] == ["once"]


async def test_what_cannot_be_sent_is_refused_before_it_is_queued(world: World) -> None:
    alice, bob = await world.pair()
    for peer, text in (
        (alice.me, "to myself"),
        (bob.me, ""),
        (bob.me, "x" * (1 << 20)),
        (bob.me, "\ud800"),
        ("nobody", "hello"),
        ("00" * 32, "hello"),
        (b"short", "hello"),
        ("mobium://contact/nonsense", "hello"),
    ):
        with pytest.raises(InvalidInput) as caught:
            await alice.send(peer, text)
        assert str(caught.value).endswith(".")
    assert await alice.history(bob.me) == []


async def test_a_message_of_the_largest_size_goes_through(world: World) -> None:
    alice, bob = await world.pair()
    ear = Ear(bob)
    text = "y" * ((1 << 20) - 24 - 64)
    await alice.send(bob.me, text)
    assert (await ear.text()).text == text
