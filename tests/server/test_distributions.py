"""Distributions: pairwise payloads of a channel's members, many in one frame."""

from __future__ import annotations

import os

from mobium.protocol import messages as m
from mobium_server import app
from tests.support.channels import NOBODY, gather
from tests.support.server import client, payload


async def test_a_batch_reaches_members_and_names_the_others(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        room = await gather(anna, ben)
        delivery = os.urandom(16)
        parts = [m.Distribution(ben.public, payload(b"key")), m.Distribution(NOBODY, payload())]
        await anna.send(m.Distribute(delivery, room.id, parts, rid=5))
        found = await ben.take()
        assert (found.id, found.sender, found.channel_id) == (delivery, anna.public, room.id)
        accepted = await anna.expect(m.Accepted)
        assert (accepted.id, accepted.rid) == (delivery, 5)
        assert accepted.failed == [m.NotTaken(NOBODY, "not_a_member")]
