"""The delivery promises at the level of the protocol: forwarding, tags, windows, resends, mailboxes, replaced
logins.
"""

from __future__ import annotations

from pathlib import Path

from mobium.protocol.messages import Accepted
from mobium_server import app
from tests.support.server import Person, client, log_in, server


async def test_a_message_is_forwarded_at_once_and_answered(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        sent = await anna.post(ben.public, b"hello", rid=7)
        delivery = await ben.take()
        assert (delivery.tag, delivery.id, delivery.sender) == (1, sent, anna.public)
        assert delivery.payload[1:6] == b"hello"
        accepted = await anna.expect(Accepted)
        assert (accepted.id, accepted.rid) == (sent, 7)


async def test_a_message_waits_for_a_recipient_that_is_offline(tmp_path: Path) -> None:
    person = Person()
    async with server(tmp_path) as one, client(one.url) as anna:
        ben = await log_in(one.url, person)
        await ben.publish()
        await ben.close()
        for i in range(100):
            await anna.post_and_wait(person.public, bytes([i]))
    async with server(tmp_path) as one, client(one.url, person, publish=False) as ben:
        assert ben.welcome.offline_count == 100
        assert [(await ben.take()).payload[1] for _ in range(100)] == list(range(100))
