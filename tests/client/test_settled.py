"""`Engine.settled`: what was missed has come, and nothing waits that could go out."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from mobium.client import Engine, arrivals
from mobium.errors import NotConnected
from mobium.protocol.messages import (
    ChannelPost,
    Channels,
    ClientMessage,
    Delivery,
    Distribute,
    Error,
    RosterPage,
    SendMessage,
    ServerMessage,
)
from tests.support.channel_world import ChannelWorld, calm, lines, row_of, said, shows, texts
from tests.support.engines import PATIENCE, online, tx, until

WAITS = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM post) + (SELECT count(*) FROM handout)"


async def waits(engine: Engine) -> int:
    return await tx(engine, lambda tx: int(tx.value(WAITS)))


async def test_nothing_waits(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    await anna.settled(PATIENCE)
    await ben.send("#garden", "hello")
    await ben.send(anna.me, "hello, Anna")
    await ben.settled(PATIENCE)
    assert await waits(ben) == 0
    await ben.disconnect()
    with pytest.raises(NotConnected):
        await ben.settled(PATIENCE)


async def test_a_new_secret_has_gone_out_to_everybody(town: ChannelWorld) -> None:
    anna, ben, cleo, dora = await town.gather("anna", "ben", "cleo", "dora")
    await calm(anna, ben, cleo, dora)
    key = (await anna.channels.get("#garden")).id
    for away in (ben, cleo):
        await away.disconnect()
    held: list[SendMessage] = []
    tap = town.tap("anna")

    def hold(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, SendMessage):
            held.append(message)
            return None
        return message

    tap.up = hold
    await anna.remove("#garden", dora.me)
    with pytest.raises(TimeoutError):
        await anna.settled(0.3)
    assert held
    tap.honest()
    tap.cut()
    await anna.settled(PATIENCE)
    await anna.disconnect()
    for away in (ben, cleo):
        await away.connect()
        await away.settled(PATIENCE)
        assert (await row_of(away, key)).secret == (await row_of(anna, key)).secret


async def test_a_sender_key_under_way_is_waited_for(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    tap = town.tap("anna")
    tap.up = lambda message: None if isinstance(message, Distribute) else message
    await anna.send("#garden", "hello")
    with pytest.raises(TimeoutError):
        await anna.settled(0.3)
    tap.honest()
    tap.cut()
    await anna.settled(PATIENCE)
    await shows(ben, ["hello"])


async def test_what_was_missed_has_come(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    await ben.disconnect()
    for number in range(5):
        await said(anna, f"line {number}")
    tap = town.tap("ben")
    tap.down = lambda message: None if isinstance(message, Channels) else message
    await ben.connect()
    with pytest.raises(TimeoutError):  # nobody has said yet how far the channels have come
        await ben.settled(0.3)
    tap.honest()
    tap.cut()
    await ben.settled(PATIENCE)
    assert await texts(ben) == [f"line {number}" for number in range(5)]


async def test_a_chain_that_is_yet_to_be_asked_for_is_waited_for(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    await said(anna, "one")
    await shows(ben, ["one"])
    await ben.settled(PATIENCE)
    await tx(ben, lambda tx: tx.execute("DELETE FROM receiver_chain"))
    await said(anna, "two")
    await shows(ben, ["one", "(closed)"])
    await ben.settled(PATIENCE)
    tap = town.tap("ben")
    before = len(tap.all(SendMessage))
    town.clock.offset = 11
    online(ben).sync.wake()
    await ben.settled(PATIENCE)
    assert len(tap.all(SendMessage)) == before + 1


async def test_a_listing_of_the_connection_before_is_none_of_this_one(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is slow, as a full disk is: the connection breaks and comes back while it compares."""
    anna, ben = await town.gather("anna", "ben")
    await said(anna, "one")
    await shows(ben, ["one"])
    asked, goes_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    honest = arrivals.compare

    def slow(*args: Any) -> Any:
        if not asked.is_set():
            loop.call_soon_threadsafe(asked.set)
            goes_on.wait(PATIENCE)
        return honest(*args)

    monkeypatch.setattr(arrivals, "compare", slow)
    tap = town.tap("ben")
    tap.cut()
    await asyncio.wait_for(asked.wait(), PATIENCE)
    tap.refuses = True
    tap.cut()

    async def away() -> bool:
        return not online(ben).link.online

    await until(away)
    await said(anna, "two")
    tap.refuses = False

    async def back() -> bool:
        return online(ben).link.online

    await until(back)
    goes_on.set()
    await ben.settled(PATIENCE)
    assert await texts(ben) == ["one", "two"]


async def test_a_mailbox_that_is_not_empty_yet_is_waited_for(town: ChannelWorld) -> None:
    anna, ben = await town.people("anna", "ben")
    await ben.disconnect()
    await anna.send(ben.me, "hello")
    await anna.settled(PATIENCE)
    tap = town.tap("ben")

    def lose(message: ServerMessage) -> ServerMessage | None:
        return None if isinstance(message, Delivery) else message

    tap.down = lose
    await ben.connect()
    with pytest.raises(TimeoutError):
        await ben.settled(0.3)
    tap.honest()
    tap.cut()
    await ben.settled(PATIENCE)
    assert [message.text for message in await ben.history(anna.me)] == ["hello"]


async def test_what_cannot_go_out_is_not_waited_for(town: ChannelWorld) -> None:
    anna, ben = await town.people("anna", "ben")
    await anna.contacts.add(ben.me)
    await anna.disconnect()
    await anna.send(ben.me, "never")
    await anna.contacts.block(ben.me)
    await anna.connect()
    await anna.settled(PATIENCE)
    assert await waits(anna) == 1


async def test_it_ends_when_no_connection_is_to_be_had(town: ChannelWorld) -> None:
    anna, _ = await town.gather("anna", "ben")
    tap = town.tap("anna")
    tap.up = lambda message: None if isinstance(message, Distribute) else message
    await anna.send("#garden", "hello")
    waiting = asyncio.create_task(anna.settled(PATIENCE))

    async def begun() -> bool:
        return await waits(anna) > 0

    await until(begun)
    await anna.disconnect()
    with pytest.raises(NotConnected):
        await waiting


async def test_who_has_left_keeps_his_name(town: ChannelWorld) -> None:
    anna, ben = await town.people("anna", "ben")
    await ben.set_name("Ben")
    channel = await anna.create_channel("garden")
    await ben.join(await anna.invite("#garden"))
    await said(ben, "hello")
    await shows(anna, ["hello"])
    assert await anna.channels.names("#garden") == {ben.me: "Ben"}
    await anna.remove("#garden", ben.me)
    assert await anna.channels.names("#garden") == {ben.me: "Ben"}
    await anna.leave("#garden")
    assert await anna.channels.names("#garden") == {ben.me: "Ben"}
    assert [each.text for each in await lines(anna, f"#{channel.id}") if each.kind == "text"] == ["hello"]
    await anna.channels.forget("#garden")
    assert await tx(anna, lambda tx: tx.value("SELECT count(*) FROM meta WHERE name GLOB 'name in *'")) == 0


# ---------------------------------------------------------------- what an earlier connection has shown


async def test_somebody_who_has_come_meanwhile_is_written_to(town: ChannelWorld) -> None:
    anna = await town.engine("anna")
    ben = await town.engine("ben", connect=False)
    sent = await anna.send(ben.me, "hello")

    async def told() -> bool:
        return (await anna.message(sent)).code == "no_prekeys"

    await until(told)
    await anna.settled(PATIENCE)
    await anna.disconnect()
    await ben.connect(town.url)
    await anna.connect()
    await anna.settled(PATIENCE)
    assert (await anna.message(sent)).state in ("sent", "delivered")


@pytest.mark.parametrize("what", [SendMessage, ChannelPost])
async def test_a_mailbox_or_a_channel_that_has_room_again_is_written_to(
    town: ChannelWorld, what: type[SendMessage | ChannelPost]
) -> None:
    anna, ben = await town.gather("anna", "ben")
    await anna.send(ben.me, "hello")
    await said(anna, "hello")
    await anna.settled(PATIENCE)
    tap = town.tap("anna")

    def full(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, what):
            tap.say(Error("queue_full", "", None, message.id, 60.0))
            return None
        return message

    tap.up = full
    sent = await anna.send(ben.me if what is SendMessage else "#garden", "and more")
    await anna.settled(PATIENCE)
    assert ((await anna.message(sent)).state, (await anna.message(sent)).code) == ("queued", "queue_full")
    await anna.disconnect()
    tap.honest()
    await anna.connect()
    await anna.settled(PATIENCE)
    assert (await anna.message(sent)).state in ("sent", "delivered")


async def test_a_roster_that_is_shown_again_is_waited_for(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    tap = town.tap("anna")

    def hide(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, RosterPage):
            return msgspec.structs.replace(message, statements=[])
        return message

    await anna.settled(PATIENCE)
    tap.down = hide
    key = (await anna.channels.get("#garden")).id
    await tx(anna, lambda tx: tx.execute("UPDATE channel SET server_index = server_index + 1"))
    sent = await anna.send("#garden", "hello")

    async def held() -> bool:
        return (await anna.message(sent)).code == "roster_behind"

    await until(held)
    await anna.settled(PATIENCE)
    assert (await anna.message(sent)).state == "queued"
    await anna.disconnect()
    tap.honest()
    await tx(anna, lambda tx: tx.execute("UPDATE channel SET server_index = server_index - 1"))
    await anna.connect()
    await anna.settled(PATIENCE)
    assert (await anna.message(sent)).state == "sent"
    await shows(ben, ["hello"], f"#{key}")
