"""The delivery promises at the level of the protocol: forwarding, tags, windows, resends, mailboxes, replaced
logins.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from mobium.protocol import codec
from mobium.protocol.messages import Accepted, AckDeliveries, Delivery, Error, Pong, SendMessage
from mobium.protocol.messages import Ping as PingMessage
from mobium_server import app
from mobium_server.storage.base import NewMessage, Page, Refused, Taken, Unavailable
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.server import Client, Person, client, log_in, payload, publication, server
from tests.support.server import Refused as ServerRefused


async def test_a_message_is_forwarded_at_once_and_answered(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        sent = await anna.post(ben.public, b"hello", rid=7)
        delivery = await ben.take()
        assert (delivery.tag, delivery.id, delivery.sender) == (1, sent, anna.public)
        assert delivery.payload[1:6] == b"hello"
        accepted = await anna.expect(Accepted)
        assert (accepted.id, accepted.rid) == (sent, 7)


def test_the_hot_frames_are_those_of_the_codec() -> None:
    delivery = Delivery(5, b"i" * 16, b"s" * 32, payload(b"x"))
    packed = codec.encode_delivery(delivery.tag, delivery.id, delivery.sender, delivery.payload)
    assert codec.decode_server(packed) == delivery
    for answer in (Accepted(b"i" * 16), Accepted(b"i" * 16, 0), Accepted(b"i" * 16, 9)):
        assert codec.decode_server(codec.encode_accepted(answer.id, answer.rid)) == answer


async def test_what_is_acknowledged_before_the_tick_never_touches_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium_server.delivery.TICK", 0.5)
    async with server(tmp_path) as one, client(one.url) as anna, client(one.url) as ben:
        for _ in range(20):
            await anna.post(ben.public)
        for _ in range(20):
            await ben.take()
        for _ in range(20):
            await anna.expect(Accepted)
        assert one.hub.office.stored == 0
        assert one.hub.office.relayed == 20


async def test_a_message_waits_for_a_recipient_that_is_offline(tmp_path: Path) -> None:
    ben = Person()
    async with server(tmp_path) as one, client(one.url) as anna:
        await published(one.url, ben)
        for i in range(100):
            await anna.post_and_wait(ben.public, bytes([i]))
    async with server(tmp_path) as one, client(one.url, ben, publish=False) as back:
        assert back.welcome.offline_count == 100
        assert [(await back.take()).payload[1] for _ in range(100)] == list(range(100))
        await settled(back)
    async with server(tmp_path) as one, client(one.url, ben, publish=False) as back:
        assert back.welcome.offline_count == 0
        await back.nothing(Delivery)


async def test_after_a_reconnect_all_unacknowledged_comes_again_before_anything_newer(
    running: app.Server,
) -> None:
    ben = Person()
    async with client(running.url) as anna:
        first = await log_in(running.url, ben)
        await first.publish()
        for i in range(10):
            await anna.post(ben.public, bytes([i]))
        seen = [await first.take(ack=False) for _ in range(10)]
        assert [delivery.tag for delivery in seen] == list(range(1, 11))
        await first.send(AckDeliveries(3))
        await settled(first)
        await first.close()
        for i in range(10, 15):
            await anna.post_and_wait_any(ben.public, bytes([i]))
        async with client(running.url, ben, publish=False) as second:
            await anna.post(ben.public, bytes([15]))
            again = [await second.take(ack=False) for _ in range(13)]
            assert [delivery.payload[1] for delivery in again] == list(range(3, 16))
            assert [delivery.tag for delivery in again] == list(range(1, 14))


async def test_the_window_holds_64_and_one_acknowledgement_covers_all_before(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        for i in range(80):
            await anna.post(ben.public, bytes([i]))
        for _ in range(64):
            await ben.take(ack=False)
        await ben.nothing(Delivery)
        await ben.send(AckDeliveries(63))
        rest = [await ben.take(ack=False) for _ in range(16)]
        assert [delivery.payload[1] for delivery in rest] == list(range(64, 80))
        await ben.send(AckDeliveries(80))
        for _ in range(80):
            await anna.expect(Accepted)


async def test_the_window_holds_a_megabyte_but_always_one(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        for i in range(3):
            await anna.post(ben.public, bytes([i]), bucket=1 << 20)
        assert (await ben.take(ack=False)).payload[1] == 0
        await ben.nothing(Delivery)
        await ben.send(AckDeliveries(1))
        assert (await ben.take(ack=False)).payload[1] == 1
        await ben.send(AckDeliveries(2))
        assert (await ben.take()).payload[1] == 2


async def test_a_tag_that_was_never_sent_is_malformed(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        await anna.post(ben.public)
        await ben.take(ack=False)
        await ben.send(AckDeliveries(2))
        with pytest.raises(ServerRefused, match="malformed"):
            await ben.expect(Pong)
        # What was covered already is harmless, and nothing was taken away.
        await ben.send(AckDeliveries(1))
        await ben.send(AckDeliveries(1))
        await settled(ben)
        await ben.send(AckDeliveries(9))
        await ben.send(AckDeliveries(9))
        assert await ben.closed() == 4400


async def test_a_resend_is_answered_and_not_delivered_again(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        sent = await anna.post(ben.public)
        await ben.take(ack=False)
        await anna.post(ben.public, delivery=sent)  # in flight or a row
        await settled(anna)
        await ben.send(AckDeliveries(1))
        await anna.expect(Accepted)
        await anna.post(ben.public, delivery=sent, rid=8)  # remembered
        assert await accepted_with(anna, 8) == sent
        # The same id from somebody else, or to somebody else, is another message.
        await carl.post_and_wait_any(ben.public, delivery=sent)
        assert (await ben.take()).sender == carl.public
        await anna.post(carl.public, delivery=sent)
        assert (await carl.take()).sender == anna.public
        await ben.nothing(Delivery)


async def test_a_resend_in_flight_is_neither_delivered_twice_nor_answered_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium_server.delivery.TICK", 1.0)  # no commit before the acknowledgement
    person = Person()
    async with server(tmp_path) as one, client(one.url) as ben:
        first = await log_in(one.url, person)
        sent = await first.post(ben.public, b"once", rid=1)
        await ben.take(ack=False)
        await first.nothing(Accepted)
        # The sender's connection breaks; it repeats the message on a new one.
        async with client(one.url, person, publish=False) as second:
            await second.post(ben.public, b"once", delivery=sent, rid=2)
            await second.nothing(Accepted)
            await ben.nothing(Delivery)
            monkeypatch.setattr("mobium_server.delivery.TICK", 0.005)
            await ben.send(AckDeliveries(1))
            await settled(ben)
            await second.post(ben.public, b"other")
            answers = {(await second.expect(Accepted, 8)).rid for _ in range(2)}
            assert 2 in answers


async def test_a_resend_of_a_stored_message_is_answered_while_the_row_exists(tmp_path: Path) -> None:
    ben = Person()
    async with server(tmp_path) as one, client(one.url) as anna:
        await published(one.url, ben)
        sent = await anna.post_and_wait(ben.public, b"once")
        person = anna.person
    async with server(tmp_path) as one, client(one.url, person) as anna:  # after a restart as well
        await anna.post_and_wait(ben.public, b"once", delivery=sent)
        async with client(one.url, ben, publish=False) as back:
            await anna.post_and_wait(ben.public, b"once", delivery=sent)
            assert (await back.take()).id == sent
            await back.nothing(Delivery)


async def test_nobody_can_write_to_who_never_published(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url, publish=False) as silent:
        for recipient in (os.urandom(32), silent.public):
            sent = await anna.post(recipient, rid=3)
            with pytest.raises(ServerRefused, match="unknown_recipient") as refused:
                await anna.expect(Accepted)
            assert (refused.value.error.id, refused.value.error.rid) == (sent, 3)
        await silent.nothing(Delivery)
        await silent.publish()
        await anna.post(silent.public)
        await silent.take()


@pytest.mark.parametrize(
    ("size", "code"),
    [
        (0, "bad_size"),
        (512, "bad_size"),
        (512 + 56, "bad_size"),
        (512 + 58, "bad_size"),
        (512 + 121, "bad_size"),
        (2048 + 57, "too_large"),
        (2048 + 1_799, "too_large"),
        (1024 + 1_800, "too_large"),
    ],
)
async def test_only_padded_sizes_are_taken(tmp_path: Path, size: int, code: str) -> None:
    async with server(tmp_path, max_message_size=1024) as one, client(one.url) as anna:
        for good in (512 + 57, 1024 + 57, 512 + 1_799, 1024 + 1_799):
            await anna.send(SendMessage(os.urandom(16), anna.public, bytes(good)))
            await anna.take()
        await anna.send(SendMessage(b"i" * 16, anna.public, bytes(size), 5))
        with pytest.raises(ServerRefused, match=code) as refused:
            await anna.expect(Pong)
        assert (refused.value.error.id, refused.value.error.rid) == (b"i" * 16, 5)


async def test_a_full_mailbox_says_so_and_a_stranger_takes_a_tenth(tmp_path: Path) -> None:
    ben = Person()
    async with server(tmp_path, max_offline_messages=20) as one, client(one.url) as stranger:
        await published(one.url, ben)
        for _ in range(2):
            await stranger.post_and_wait(ben.public)
        await stranger.post(ben.public)
        with pytest.raises(ServerRefused, match="queue_full") as refused:
            await stranger.expect(Accepted)
        assert refused.value.error.retry_after is not None
        for _ in range(9):
            async with client(one.url) as friend:
                await friend.post_and_wait(ben.public)
                await friend.post_and_wait(ben.public)
        async with client(one.url) as late:
            await late.post(ben.public)
            with pytest.raises(ServerRefused, match="queue_full"):
                await late.expect(Accepted)
            async with client(one.url, ben, publish=False) as back:
                assert back.welcome.offline_count == 20
                for _ in range(20):
                    await back.take()
                await settled(back)
                await late.post(ben.public)
                await back.take()


async def test_a_replaced_login_changes_nothing_any_more(running: app.Server) -> None:
    ben = Person()
    async with client(running.url) as anna:
        old = await log_in(running.url, ben)
        await old.publish()
        await anna.post_and_wait_any(ben.public, b"1")
        await old.take(ack=False)
        new = await log_in(running.url, ben)
        assert (await new.take(ack=False)).payload[1:2] == b"1"
        await anna.post(ben.public, b"2")
        assert (await new.take(ack=False)).payload[1:2] == b"2"
        assert await old.closed() == 4409
        await old.close()
        await settled(anna)
        # The newer login keeps its route and its mail.
        await anna.post(ben.public, b"3")
        assert (await new.take(ack=False)).payload[1:2] == b"3"
        await new.close()
        async with client(running.url, ben, publish=False) as back:
            assert [(await back.take()).payload[1:2] for _ in range(3)] == [b"1", b"2", b"3"]


async def test_a_late_acknowledgement_of_a_replaced_login_takes_nothing_away(running: app.Server) -> None:
    ben = Person()
    async with client(running.url) as anna:
        old = await log_in(running.url, ben)
        await old.publish()
        await anna.post_and_wait_any(ben.public, b"1")
        await old.take(ack=False)
        async with client(running.url, ben, publish=False) as new:
            old.send_late(AckDeliveries(1))  # it does not know yet
            assert await old.closed() == 4409
            await new.take(ack=False)
            await new.close()
        async with client(running.url, ben, publish=False) as back:
            assert (await back.take()).payload[1:2] == b"1"


async def test_the_last_of_many_logins_gets_everything(running: app.Server) -> None:
    ben = Person()
    async with client(running.url) as anna:
        await published(running.url, ben)
        logins = []
        for i in range(20):
            await anna.post(ben.public, bytes([i]))
            logins.append(await log_in(running.url, ben))
        last = logins.pop()
        assert [(await last.take()).payload[1] for _ in range(20)] == list(range(20))
        assert [await old.closed() for old in logins] == [4409] * 19
        await last.close()


class Failing(SqliteStorage):
    """A storage that fails when it is told to."""

    failing = False

    def apply(self, inserts: Sequence[NewMessage], deletes: Sequence[Taken], now: int) -> list[int | Refused]:
        if self.failing:
            raise Unavailable("the disk is full")
        return super().apply(inserts, deletes, now)

    def page(self, identity: bytes, after: int, max_rows: int, max_bytes: int) -> Page:
        if self.failing:
            raise Unavailable("the disk is full")
        return super().page(identity, after, max_rows, max_bytes)


async def test_a_failing_storage_is_said_and_gets_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reader in ("delivery", "windows"):
        monkeypatch.setattr(f"mobium_server.{reader}.RETRY_AFTER", 0.05)
    storage = Failing(tmp_path / "m.db", 1000)
    ben, carl = Person(), Person()
    async with server(tmp_path, storage=storage) as one, client(one.url) as anna:
        await published(one.url, ben)
        await published(one.url, carl)
        await anna.post_and_wait(carl.public, b"before")
        storage.failing = True
        lost = await anna.post(ben.public, b"again")
        with pytest.raises(ServerRefused, match="storage") as refused:
            await anna.expect(Accepted)
        assert refused.value.error.id == lost
        assert refused.value.error.retry_after == 0.05
        # What can be relayed is relayed meanwhile, and logins work as far as the database can be read.
        async with client(one.url) as dora:
            await anna.post(dora.public, b"online")
            await dora.take()
            back = await log_in(one.url, carl)
            await back.nothing(Delivery)
            storage.failing = False
            assert (await back.take()).payload[1:7] == b"before"
            await back.close()
            await anna.expect(Accepted)
            await anna.post_and_wait(ben.public, b"again", delivery=lost)
            async with client(one.url, ben, publish=False) as received:
                assert (await received.take()).id == lost
                await received.nothing(Delivery)


async def test_an_unstored_message_that_was_handed_over_is_not_handed_over_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium_server.delivery.RETRY_AFTER", 0.05)
    storage = Failing(tmp_path / "m.db", 1000)
    async with server(tmp_path, storage=storage) as one, client(one.url) as anna, client(one.url) as ben:
        storage.failing = True
        sent = await anna.post(ben.public, b"1")
        await ben.take(ack=False)
        with pytest.raises(ServerRefused, match="storage"):
            await anna.expect(Accepted)
        storage.failing = False
        await anna.post_and_wait(ben.public, b"1", delivery=sent)
        await ben.nothing(Delivery)
        await ben.send(AckDeliveries(1))
        await settled(ben)
    async with server(tmp_path, storage=Failing(tmp_path / "m.db", 1000)) as one:
        back = await log_in(one.url, ben.person)
        assert back.welcome.offline_count == 0
        await back.close()


async def test_a_ping_is_answered_and_errors_carry_the_request(running: app.Server) -> None:
    async with client(running.url, publish=False) as anna:
        await anna.send(PingMessage(5))
        assert await anna.expect(Pong) == Pong(5)
        await anna.send(Pong())
        await anna.send(SendMessage(b"i" * 16, anna.public, b"", 6))
        answer = await anna.receive()
        assert isinstance(answer, Error)
        assert (answer.code, answer.rid, answer.id) == ("bad_size", 6, b"i" * 16)


# ---------------------------------------------------------------- helpers


async def published(url: str, person: Person) -> None:
    """Log in, publish and leave."""
    one = await log_in(url, person)
    await one.publish(publication())
    await one.close()


async def settled(one: Client) -> None:
    """What this connection sent before was handled."""
    await one.send(PingMessage(1))
    await one.expect(Pong)


async def accepted_with(one: Client, rid: int) -> bytes:
    """The delivery id of the answer to a request."""
    while True:
        answer = await one.expect(Accepted)
        if answer.rid == rid:
            return answer.id
