"""Messages of channels whose sender keys are not there: they stay closed in their places, within bounds,
until the chains come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mobium.client import Engine
from mobium.client.channel_contents import take
from mobium.client.entries import Setting
from mobium.client.store import chains, peers
from mobium.client.store.database import Tx
from mobium.protocol.content import ChainRequest
from mobium.protocol.messages import (
    Accepted,
    ChannelMessage,
    ClientMessage,
    Delivery,
    Distribute,
    RosterPage,
    SendMessage,
    ServerMessage,
)
from tests.client.syncing import Held, answered, channel_of, rows, without
from tests.support.channel_world import ChannelWorld, calm, said, shows, state
from tests.support.channel_world import lines as shown_lines
from tests.support.engines import Ear, inside, online, tx, until


async def count(engine: Engine, table: str, wanted: int) -> None:
    async def there() -> bool:
        return len(await rows(engine, table)) == wanted

    await until(there)


async def test_closed_messages_open_in_their_places_when_the_chain_comes(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    held = Held(town.tap("carol"), Delivery)
    ear = Ear(carol)
    for one, text in ((alice, "1"), (bob, "2"), (alice, "3"), (bob, "4")):
        await said(one, text)
    await shows(carol, ["(closed)"] * 4)
    assert (await carol.channels.get("#garden")).unread == 4
    closed = await shown_lines(carol)
    assert {line.text for line in closed} == {None}
    held.let_go()
    await shows(carol, ["1", "2", "3", "4"])
    assert await rows(carol, "closed") == []
    assert sorted(str(text) for text in await ear.texts(4)) == ["1", "2", "3", "4"]
    assert [line.position for line in await shown_lines(carol)] == [line.position for line in closed]
    assert (await carol.channels.get("#garden")).unread == 4
    await said(alice, "5")
    await shows(carol, ["1", "2", "3", "4", "5"])


async def at_least(sent: Callable[[], list[SendMessage]], number: int) -> bool:
    return len(sent()) >= number


async def test_a_chain_that_does_not_come_is_asked_for_once_a_day(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    bobs = town.tap("bob")
    bobs.down = without(Delivery)
    await said(alice, "lost")
    await shows(bob, ["(closed)"])
    bobs.cut()
    bobs.sent.clear()

    def asked() -> list[SendMessage]:
        return [message for message in bobs.all(SendMessage) if message.recipient.hex() == alice.me]

    for seconds, wanted in ((7, 0), (11, 1), (86_000, 1), (86_500, 2)):
        town.clock.offset = seconds
        online(bob).sync.wake()
        await until(lambda wanted=wanted: at_least(asked, wanted))  # type: ignore[misc]
        await calm(bob)
        await asyncio.sleep(0.05)  # in which a request too many would go out
        assert len(asked()) == wanted, seconds
    assert len(await rows(bob, "closed")) == 1
    bobs.honest()
    bobs.cut()
    await shows(bob, ["lost"])
    assert await rows(bob, "closed") == []


async def test_the_answer_to_a_request_opens_what_follows(town: ChannelWorld) -> None:
    """It hands out the chain as it is by then: what was sent before stays closed."""
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")

    def up(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, Distribute):  # the server takes it, and it never arrives
            tap.say(Accepted(message.id, message.rid))
            return None
        return message

    tap.up = up
    await said(alice, "one")
    await shows(bob, ["(closed)"])
    tap.honest()
    town.clock.offset = 11
    online(bob).sync.wake()
    await tap.count(Distribute, 1)
    await answered(bob)
    await said(alice, "two")
    await shows(bob, ["(closed)", "two"])
    assert len(tap.all(Distribute)) == 1, "not handed out again by the next message"


async def test_requests_are_answered_to_members_eight_times_a_day(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    await said(alice, "one")
    await shows(bob, ["one"])
    await alice.remove("#garden", carol.me)
    await state(carol, "removed")
    await said(alice, "two")
    await calm(alice)
    key = bytes.fromhex((await alice.channels.get("#garden")).id)
    core = inside(alice)

    def ask(tx: Tx, who: Engine, day: int) -> int:
        peer = peers.by_key(tx, bytes.fromhex(who.me))
        assert peer is not None
        before = int(tx.value("SELECT count(*) FROM handout"))
        now = core.now_ms() + day * 86_400_000
        take(tx, Setting(core.identity, now, core.entropy), peer, ChainRequest(core.entropy(16), now, key, 7))
        return int(tx.value("SELECT count(*) FROM handout")) - before

    assert await tx(alice, ask, carol, 0) == 0
    await alice.disconnect()
    assert [await tx(alice, ask, bob, 0) for _ in range(10)] == [1] * 8 + [0] * 2
    assert await tx(alice, ask, bob, 1) == 1
    assert await tx(alice, ask, carol, 1) == 0


async def test_two_thousand_closed_messages_are_kept(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chains._MAX_CLOSED == 2_000
    monkeypatch.setattr(chains, "_MAX_CLOSED", 3)
    alice, bob = await town.gather("alice", "bob")
    held = Held(town.tap("bob"), Delivery)
    for number in range(5):
        await said(alice, f"{number}")
    await shows(bob, ["(closed)"] * 5)
    assert len(await rows(bob, "closed")) == 3
    held.let_go()
    await shows(bob, ["(closed)", "(closed)", "2", "3", "4"])


async def test_closed_messages_are_bounded_in_bytes_too(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chains._MAX_CLOSED_BYTES == 32 << 20
    monkeypatch.setattr(chains, "_MAX_CLOSED_BYTES", 3_000)
    alice, bob = await town.gather("alice", "bob")
    held = Held(town.tap("bob"), Delivery)
    for number in range(7):  # of about 700 bytes each
        await said(alice, f"{number}")
    await shows(bob, ["(closed)"] * 7)
    kept = await tx(bob, lambda tx: tx.one("SELECT count(*), sum(length(payload)) FROM closed"))
    assert kept is not None
    assert kept[0] == 4
    assert kept[1] <= 3_000
    held.let_go()
    await shows(bob, ["(closed)", "(closed)", "(closed)", "3", "4", "5", "6"])


async def test_what_is_damaged_stays_closed_and_stops_nothing(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    await shows(bob, ["one"])
    tap = town.tap("bob")

    def damage(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, ChannelMessage):
            payload = message.payload[:100] + bytes([message.payload[100] ^ 1]) + message.payload[101:]
            return ChannelMessage(message.channel_id, message.number, message.sender, payload)
        return message

    tap.down = damage
    await said(alice, "damaged")
    tap.honest()
    await said(alice, "two")
    await shows(bob, ["one", "(closed)", "two"])


async def test_a_sender_key_in_a_session_that_was_lost_is_sent_again(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    await said(bob, "two")
    await shows(bob, ["one", "two"])
    await shows(alice, ["one", "two"])

    def lose(tx: Tx) -> None:
        peer = peers.by_key(tx, bytes.fromhex(alice.me))
        assert peer is not None
        for held in list(tx.sessions.of(tx, peer.id).values()):
            tx.sessions.remove(tx, held)

    await tx(bob, lose)
    await tx(alice, chains.drop_own, await channel_of(alice))
    await said(alice, "three")
    await shows(bob, ["one", "two", "three"])


# ---------------------------------------------------------------- before the roster is known


async def test_a_chain_that_comes_before_the_joining_is_known_is_good(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")
    held = Held(tap, RosterPage, ChannelMessage)
    dora = await town.engine("dora")
    await dora.set_name("Dora")
    await dora.join(await alice.invite("#garden"))
    await said(dora, "hello")
    await count(alice, "receiver_chain", 1)
    waiting = await alice.send("#garden", "answer")
    held.let_go()
    await alice.wait(waiting, "sent", 10)
    await shows(alice, ["hello", "answer"])
    await shows(dora, ["hello", "answer"])
    (member,) = [member for member in await alice.members("#garden") if member.key == dora.me]
    assert member.name == "Dora", "the name came with the chain, before the member"
    await shows(bob, ["hello", "answer"])
