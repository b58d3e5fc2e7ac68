"""Signals: said at once or not at all, to those who may hear it, and never a message that is missing."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress

import pytest

from mobium.client import Engine, signals
from mobium.client.signals import Said
from mobium.client.store import messages, peers
from mobium.client.store import signals as numbers
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput, NotConnected
from mobium.protocol import content
from mobium.protocol.content import MediaRequest
from mobium.protocol.messages import ClientMessage, SendSignal, Signal
from tests.support.channel_world import ChannelWorld, calm
from tests.support.engines import PATIENCE, inside, online, tx, until


class Listening:
    """What one engine hears of signals, in order."""

    def __init__(self, engine: Engine) -> None:
        self.heard: list[tuple[str, int]] = []
        online(engine).signals._heard = self._hear

    def _hear(self, sender: bytes, said: Said) -> None:
        assert isinstance(said, MediaRequest)
        self.heard.append((sender.hex(), said.room))

    async def has(self, *rooms: int) -> None:
        async def there() -> bool:
            return [room for _, room in self.heard] == list(rooms)

        await until(there)


def said(number: int) -> MediaRequest:
    return MediaRequest(os.urandom(16), 1, bytes(32), number, 1, "key")


async def acquainted(town: ChannelWorld) -> tuple[Engine, Engine]:
    anna, ben = await town.people("anna", "ben")
    await anna.contacts.add(ben.me)
    await ben.contacts.add(anna.me)
    return anna, ben


def key(engine: Engine) -> bytes:
    return bytes.fromhex(engine.me)


async def test_it_is_heard_in_order_and_stored_nowhere(town: ChannelWorld) -> None:
    anna, ben = await acquainted(town)
    ear = Listening(ben)
    sent = [online(anna).signals.send(key(ben), said(number)) for number in range(1, 21)]
    assert await asyncio.gather(*sent) == [True] * 20
    await ear.has(*range(1, 21))
    assert {sender for sender, _ in ear.heard} == {anna.me}
    assert await ben.history(anna.me) == []
    assert await anna.history(ben.me) == []


async def test_whoever_is_not_online_hears_nothing_later(town: ChannelWorld) -> None:
    anna, ben = await acquainted(town)
    await online(anna).signals.send(key(ben), said(1))
    await ben.disconnect()

    async def away() -> bool:
        return not await online(anna).signals.send(key(ben), said(2))

    await until(away)
    await ben.connect()
    ear = Listening(ben)
    await online(anna).signals.send(key(ben), said(3))
    await ear.has(3)


async def test_what_is_lost_is_no_message_that_is_missing(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without naming the numbers one's conversation would say for ever that a message has not arrived."""
    anna, ben = await acquainted(town)
    monkeypatch.setattr(messages, "GAP_PATIENCE", -10)  # so that whatever is missing shows at once

    async def missing() -> int:
        return sum(line.missing for line in await ben.history(anna.me))

    await anna.send(ben.me, "before")
    await calm(anna, ben)
    lost: list[ClientMessage] = []

    def lose(message: ClientMessage) -> ClientMessage | None:
        if not isinstance(message, SendSignal):
            return message
        lost.append(message)
        return None

    town.tap("anna").up = lose
    for number in range(1, 4):
        sending = asyncio.create_task(online(anna).signals.send(key(ben), said(number)))

        async def gone(number: int = number) -> bool:
            return len(lost) == number

        await until(gone)
        sending.cancel()  # whoever sends gives up
        with suppress(asyncio.CancelledError):
            await sending
    town.tap("anna").honest()
    await anna.send(ben.me, "after")
    await calm(anna, ben)
    assert await missing() == 3
    monkeypatch.setattr(signals, "_REST", -10)
    await online(anna).signals._name()
    await calm(anna, ben)
    assert await missing() == 0
    assert [line.text for line in await ben.history(anna.me)] == ["before", "after"]
    assert await tx(anna, lambda tx: tx.all("SELECT * FROM signal")) == []


async def test_a_message_that_names_signals_may_be_the_first_to_skip_them(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, ben = await acquainted(town)
    monkeypatch.setattr(messages, "GAP_PATIENCE", -10)
    await anna.send(ben.me, "before")
    await calm(anna, ben)
    await tx(anna, signals._seal, key(ben), b"lost", int(time.time()))
    monkeypatch.setattr(signals, "_REST", -(2**40))
    await online(anna).signals._name()
    await calm(anna, ben)
    await anna.send(ben.me, "after")
    await calm(anna, ben)
    assert [line.missing for line in await ben.history(anna.me)] == [0, 0]


async def test_numbers_are_named_when_nothing_more_is_said(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "_LOOK", 0.05)
    monkeypatch.setattr(signals, "_REST", 0)
    anna, ben = await acquainted(town)
    await online(anna).signals.send(key(ben), said(1))

    async def named() -> bool:
        return await tx(anna, lambda tx: int(tx.value("SELECT count(*) FROM signal"))) == 0

    await until(named)


async def test_numbers_are_named_in_the_middle_of_a_burst(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "_LOOK", 0.3)
    monkeypatch.setattr(signals, "_REST", 0)
    anna, ben = await acquainted(town)
    await online(anna).signals.send(key(ben), said(1))
    first = await tx(anna, lambda tx: tx.value("SELECT key FROM signal"))

    async def named() -> bool:
        await online(ben).signals.send(key(anna), said(2))  # so that Anna always has something to open
        return await tx(anna, lambda tx: tx.one("SELECT 1 FROM signal WHERE key = ?", first)) is None

    await until(named)


async def test_the_oldest_number_decides_and_what_may_be_on_its_way_waits(town: ChannelWorld) -> None:
    anna, ben = await acquainted(town)

    def taken(tx: Tx) -> tuple[list[object], list[object], list[object], int]:
        peer = peers.by_key(tx, key(ben))
        assert peer is not None
        for at in (100, 110, 129):
            numbers.note(tx, peer.id, bytes([at]) * 36, at)
        early = numbers.take(tx, 99, 125)
        due = numbers.take(tx, 100, 125)
        after = numbers.take(tx, 100, 125)
        return list(early), [keys for _, keys in due], list(after), int(tx.value("SELECT at FROM signal"))

    assert await tx(anna, taken) == ([], [[b"d" * 36, b"n" * 36]], [], 129)


async def test_a_session_that_is_broken_at_the_other_side_is_repaired_while_it_rings(
    town: ChannelWorld,
) -> None:
    anna, ben = await acquainted(town)
    for one, other in ((anna, ben), (ben, anna)):
        await one.wait(await one.send(other.me, "hello"), "delivered", PATIENCE)

    def lose(tx: Tx) -> None:
        peer = peers.by_key(tx, key(anna))
        assert peer is not None
        for held in list(tx.sessions.of(tx, peer.id).values()):
            tx.sessions.remove(tx, held)

    await tx(ben, lose)
    ear = Listening(ben)

    async def rings() -> bool:
        await online(anna).signals.send(key(ben), said(1))
        await asyncio.sleep(0.05)
        return bool(ear.heard)

    await until(rings)  # long before numbers are named


async def test_what_stays_closed_takes_the_place_of_one_message_at_most(town: ChannelWorld) -> None:
    anna, ben = await acquainted(town)

    def flood(tx: Tx) -> tuple[list[bool], int]:
        identity, now = inside(ben).identity, inside(ben).now()
        closed = [signals._open(tx, identity, Signal(key(anna), os.urandom(569)), now)[1] for _ in range(20)]
        return closed, int(tx.value("SELECT count(*) FROM unopened"))

    assert await tx(ben, flood) == ([True] + [False] * 19, 1)


async def test_only_contacts_and_fellow_members_are_spoken_to_and_listened_to(town: ChannelWorld) -> None:
    anna, ben = await town.people("anna", "ben")
    with pytest.raises(InvalidInput, match="Only contacts"):
        await online(anna).signals.send(key(ben), said(1))
    await anna.contacts.add(ben.me)
    ear = Listening(ben)
    assert await online(anna).signals.send(key(ben), said(1))  # and he does not listen
    await anna.send(ben.me, "hello")
    await calm(anna)
    assert ear.heard == []
    assert [line.missing for line in await ben.history(anna.me)] == [0], "he has not met that number yet"
    await ben.contacts.accept(anna.me)
    await online(anna).signals.send(key(ben), said(2))
    await ear.has(2)
    await anna.contacts.block(ben.me)
    with pytest.raises(InvalidInput, match="blocked"):
        await online(anna).signals.send(key(ben), said(3))
    await anna.contacts.unblock(ben.me)
    await ben.contacts.block(anna.me)
    await online(anna).signals.send(key(ben), said(4))
    await calm(anna)
    assert [room for _, room in ear.heard] == [2]


async def test_members_of_a_channel_who_never_met_begin_a_session(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    ear = Listening(ben)
    assert await tx(anna, lambda tx: tx.all("SELECT * FROM session")) == []
    assert await online(anna).signals.send(key(ben), said(1))
    await ear.has(1)


async def test_what_cannot_be_opened_or_comes_twice_is_nothing(town: ChannelWorld) -> None:
    anna, ben = await acquainted(town)
    ear = Listening(ben)
    await online(anna).signals.send(key(ben), said(1))
    await ear.has(1)
    for payload in (os.urandom(569), b"", b"\x02" * 2311):
        online(ben).signals.put(Signal(key(anna), payload))

    def sealed(tx: Tx, plaintext: bytes) -> bytes:
        payload = signals._seal(tx, key(ben), plaintext, int(time.time()))
        assert payload is not None
        return payload

    text = content.encode(content.Text(os.urandom(16), 1, "a message is no signal"))
    for plaintext in (text, b"no content"):
        online(ben).signals.put(Signal(key(anna), await tx(anna, sealed, plaintext)))
    once = await tx(anna, sealed, content.encode(said(3)))
    for _ in range(2):
        online(ben).signals.put(Signal(key(anna), once))
    await online(anna).signals.send(key(ben), said(2))
    await ear.has(1, 3, 2)
    assert await ben.history(anna.me) == []


async def test_without_a_connection_it_says_so(town: ChannelWorld) -> None:
    anna, ben = await acquainted(town)
    await online(anna).signals.send(key(ben), said(1))
    part = online(anna).signals
    await anna.disconnect()
    with pytest.raises(NotConnected):
        async with asyncio.timeout(PATIENCE):
            await part.send(key(ben), said(2))
