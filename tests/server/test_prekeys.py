"""Prekeys over the wire: published, handed out once and within limits, counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobium.protocol.messages import (
    GetPrekeyBundle,
    GetPrekeyCount,
    PrekeyBundle,
    PrekeyCount,
    PublishPrekeys,
)
from mobium_server import app
from mobium_server.limits import HandOuts
from tests.support.server import Client, Person, Refused, client, prekey, publication, server


async def fetch(one: Client, target: bytes, rid: int | None = None) -> PrekeyBundle:
    await one.send(GetPrekeyBundle(target, rid))
    return await one.expect(PrekeyBundle)


async def test_a_bundle_holds_what_was_published(running: app.Server) -> None:
    async with client(running.url, publish=False) as ben, client(running.url, publish=False) as anna:
        stock = await ben.publish(publication(2, 1, rid=5))
        assert stock == PrekeyCount(2, 1, 1, 2, 5)
        bundle = await fetch(anna, ben.public, 9)
        assert (bundle.pubkey, bundle.x25519_pub, bundle.binding) == (
            ben.public,
            ben.person.x_public,
            ben.person.binding,
        )
        assert (bundle.signed, bundle.one_time, bundle.kem, bundle.kem_kind, bundle.rid) == (
            prekey(1),
            prekey(10),
            prekey(10, 1_568),
            1,
            9,
        )
        await ben.send(GetPrekeyCount(3))
        assert await ben.expect(PrekeyCount) == PrekeyCount(1, 0, 1, 2, 3)


async def test_one_time_keys_go_out_once_and_then_the_last_resort_serves(running: app.Server) -> None:
    async with client(running.url, publish=False) as ben:
        await ben.publish(publication(2, 1))
        seen = []
        for _ in range(4):
            async with client(running.url, publish=False) as anna:
                seen.append(await fetch(anna, ben.public))
        assert [one.one_time and one.one_time.id for one in seen] == [10, 11, None, None]
        assert [(one.kem.id, one.kem_kind) for one in seen] == [(10, 1), (2, 2), (2, 2), (2, 2)]


async def test_the_same_requester_gets_one_a_day(running: app.Server) -> None:
    async with client(running.url, publish=False) as ben, client(running.url, publish=False) as anna:
        await ben.publish(publication(5, 5))
        assert (await fetch(anna, ben.public)).one_time is not None
        again = await fetch(anna, ben.public)
        assert (again.one_time, again.kem_kind) == (None, 2)
        async with client(running.url, anna.person, publish=False) as reconnected:
            assert (await fetch(reconnected, ben.public)).one_time is None
        await ben.send(GetPrekeyCount())
        assert (await ben.expect(PrekeyCount)).one_time == 4


async def test_a_target_gives_ten_a_minute_over_all_requesters(running: app.Server) -> None:
    async with client(running.url, publish=False) as ben:
        await ben.publish(publication(20, 20))
        given = 0
        for _ in range(12):
            async with client(running.url, publish=False) as anna:
                given += (await fetch(anna, ben.public)).one_time is not None
        assert given == 10


async def test_nobody_has_no_bundle_and_costs_no_hand_out(running: app.Server) -> None:
    async with client(running.url, publish=False) as ben, client(running.url, publish=False) as anna:
        await anna.send(GetPrekeyBundle(ben.public, 6))
        with pytest.raises(Refused, match="no_prekeys") as refused:
            await anna.expect(PrekeyBundle)
        assert refused.value.error.rid == 6
        await ben.publish(publication(1))
        assert (await fetch(anna, ben.public)).one_time is not None
        await ben.send(GetPrekeyCount())
        assert await ben.expect(PrekeyCount) == PrekeyCount(0, 0, 1, 2)


async def test_who_never_published_has_an_empty_stock(running: app.Server) -> None:
    async with client(running.url, publish=False) as ben:
        await ben.send(GetPrekeyCount(1))
        assert await ben.expect(PrekeyCount) == PrekeyCount(0, 0, 0, 0, 1)


async def test_a_reset_drops_what_was_there(running: app.Server) -> None:
    person = Person()
    async with client(running.url, person, publish=False) as old:
        await old.publish(publication(3, 3))
    # the same identity on an empty machine, in this test with a new X key
    recovered = Person(person.key, bytes(31) + b"x")
    async with client(running.url, recovered, publish=False) as new, client(running.url) as anna:
        stock = await new.publish(publication(1, 0, first=90, reset=True))
        assert stock == PrekeyCount(1, 0, 1, 2)
        bundle = await fetch(anna, person.public)
        assert bundle.one_time == prekey(90)
        assert bundle.x25519_pub == recovered.x_public


@pytest.mark.parametrize(
    "bad",
    [
        PublishPrekeys(signed=prekey(1), rid=4),
        PublishPrekeys(rid=4),
        PublishPrekeys(signed=prekey(1, 1_568), last_resort=prekey(2, 1_568), rid=4),
        PublishPrekeys(signed=prekey(1), last_resort=prekey(2), rid=4),
        PublishPrekeys(signed=prekey(1), last_resort=prekey(2, 1_568), one_time=[prekey(5, 1_568)], rid=4),
        PublishPrekeys(signed=prekey(1), last_resort=prekey(2, 1_568), kem_one_time=[prekey(5)], rid=4),
        PublishPrekeys(signed=prekey(1), last_resort=prekey(2, 1_568), one_time=[prekey(5)] * 2, rid=4),
    ],
    ids=["no last resort", "nothing", "signed of wrong size", "resort of wrong size", "x", "kem", "twice"],
)
async def test_prekeys_that_cannot_be_are_refused(running: app.Server, bad: PublishPrekeys) -> None:
    async with client(running.url, publish=False) as ben:
        await ben.send(bad)
        with pytest.raises(Refused, match="bad_prekeys") as refused:
            await ben.expect(PrekeyCount)
        assert refused.value.error.rid == 4
        await ben.send(GetPrekeyCount())
        assert await ben.expect(PrekeyCount) == PrekeyCount(0, 0, 0, 0)


async def test_prekeys_survive_a_restart(tmp_path: Path) -> None:
    async with server(tmp_path) as one, client(one.url, publish=False) as ben:
        await ben.publish(publication(2, 2))
        person = ben.person
    async with server(tmp_path) as one, client(one.url, publish=False) as anna:
        assert (await fetch(anna, person.public)).one_time == prekey(10)


def test_hand_outs_over_time() -> None:
    now = 0.0
    limit = HandOuts(lambda: now)
    target, requesters = b"t" * 32, iter(i.to_bytes(32, "big") for i in range(10_000))
    anna = next(requesters)
    given = 0
    assert limit.take(anna, target)
    for minute in range(24 * 60):
        now = minute * 60.0
        given += sum(limit.take(next(requesters), target) for _ in range(2))
        if given >= 99:
            break
    assert given == 99
    assert not limit.take(next(requesters), target), "100 a day"
    assert limit.take(anna, b"u" * 32), "another target has its own"
    now = 86_399.0
    assert not limit.take(anna, target)
    now = 86_400.0 * 2
    assert limit.take(anna, target)
    limit.give_back(anna, target)
    assert limit.take(anna, target)
