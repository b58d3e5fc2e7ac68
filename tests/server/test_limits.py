"""Rates: who is told to wait, and for how long."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from mobium.protocol.messages import (
    Accepted,
    AckDeliveries,
    ClientMessage,
    Delivery,
    Error,
    GetHistory,
    GetInfo,
    GetPrekeyCount,
    History,
    Ping,
    Pong,
    PrekeyCount,
    SendMessage,
)
from mobium_server.limits import SWEEP, AddressRates, Rate, Rates
from tests.support.channels import begin, tell
from tests.support.clocks import Hands, Seconds
from tests.support.server import (
    Client,
    Person,
    Refused,
    client,
    forwarded,
    log_in,
    payload,
    publication,
    server,
)


def test_a_rate_has_a_burst_and_fills_up_again() -> None:
    clock = Seconds()
    rates = Rates(Rate(10, 5), clock)
    assert [rates.take("a") for _ in range(5)] == [0.0] * 5
    wait = rates.take("a")
    assert wait == pytest.approx(0.1)
    assert rates.take("b") == 0.0, "others are not concerned"
    clock.now += wait
    assert rates.take("a") == 0.0
    assert rates.take("a") > 0
    clock.now += 100
    assert [rates.take("a") for _ in range(5)] == [0.0] * 5
    assert rates.take("a") > 0, "a pause does not save up more than the burst"


def test_a_refusal_takes_nothing() -> None:
    clock = Seconds()
    rates = Rates(Rate(1, 1), clock)
    rates.take("a")
    waits = [rates.take("a") for _ in range(100)]
    assert max(waits) <= 1.0


def test_something_larger_than_the_burst_passes_alone() -> None:
    clock = Seconds()
    rates = Rates(Rate(10, 5), clock)
    assert rates.take("a", 20) == 0.0
    assert rates.take("a", 1) == pytest.approx(2.0 + 0.1 - 0.5)


@pytest.mark.parametrize("cost", [0, 1, 3])
def test_what_is_given_back_was_never_taken(cost: int) -> None:
    rates = Rates(Rate(1, 5), Seconds())
    for _ in range(100):
        assert rates.take("a", cost) == 0.0
        rates.give_back("a", cost)
    rates.give_back("nobody", cost)
    assert [rates.take("a") == 0.0 for _ in range(6)] == [True] * 5 + [False]


def test_zero_is_unlimited() -> None:
    rates = Rates(Rate(0, 0), Seconds())
    assert not any(rates.take("a") for _ in range(1000))
    assert rates.wait("a", 10) == 0.0
    assert len(rates) == 0
    assert Rate(30, 60).times(0) == Rate(0, 0)


def test_what_says_nothing_any_more_is_forgotten() -> None:
    clock = Seconds()
    rates = Rates(Rate(100, 10), clock)
    for i in range(10 * SWEEP):
        clock.now += 0.01
        rates.take(i)
    assert len(rates) <= 2 * SWEEP


def test_a_site_is_worth_four_addresses_and_a_refusal_takes_from_neither() -> None:
    clock = Seconds()
    rates = AddressRates(Rate(1, 10), clock)
    networks = [f"2001:db8:1:{i:x}::/64" for i in range(6)]
    taken = [sum(rates.take(network) == 0.0 for _ in range(15)) for network in networks]
    assert taken == [10, 10, 10, 10, 0, 0]
    assert rates.take(networks[5]) == pytest.approx(0.25)
    assert rates.take("2001:db8:2::/64") == 0.0
    assert [rates.take("192.0.2.1") == 0.0 for _ in range(11)] == [True] * 10 + [False]
    clock.now += 0.25
    assert rates.take(networks[0]) == pytest.approx(0.75)
    assert rates.take(networks[5]) == 0.0  # the refusals took nothing from the site


async def test_requests_over_the_rate_are_told_when_to_come_again(tmp_path: Path) -> None:
    hands = Hands()
    async with (
        server(tmp_path, clock=hands.clock(), rate_general=Rate(0.05, 10)) as one,
        client(one.url) as anna,
    ):
        delivery = b"i" * 16
        for _ in range(9):  # publishing was the tenth
            await anna.post(anna.public)
        await anna.send(SendMessage(delivery, anna.public, payload(), 4))
        with pytest.raises(Refused, match="rate_limited") as refused:
            await anna.expect(Pong)
        error = refused.value.error
        assert (error.rid, error.id) == (4, delivery)
        assert error.retry_after is not None
        assert 0 < error.retry_after <= 20
        # Acknowledgements and pings are free.
        tags = [(await anna.expect(Delivery)).tag for _ in range(9)]
        for tag in tags:
            await anna.send(AckDeliveries(tag))
        for _ in range(50):
            await anna.send(Ping(9))
        assert [await anna.expect(Pong) for _ in range(50)] == [Pong(9)] * 50
        # A new connection of the same identity has no new burst; waiting helps.
        async with client(one.url, anna.person, publish=False) as again:
            await again.post(anna.public)
            with pytest.raises(Refused, match="rate_limited"):
                await again.expect(Accepted)
            hands.ahead += 20
            await again.post(anna.public, delivery=delivery)
            assert (await again.take()).id == delivery


async def test_large_messages_count_by_their_size(tmp_path: Path) -> None:
    hands = Hands()
    async with (
        server(tmp_path, clock=hands.clock(), rate_general=Rate(0.04, 16)) as one,
        client(one.url) as anna,
    ):
        await anna.post(anna.public, bucket=512 << 10)  # eight; publishing was one
        await anna.expect(Accepted)
        await anna.post(anna.public, bucket=512 << 10)
        with pytest.raises(Refused, match="rate_limited") as refused:
            await anna.expect(Accepted)
        assert refused.value.error.retry_after == pytest.approx(1 / 0.04, abs=20)
        for _ in range(6):
            await anna.post_and_wait_any(anna.public)
        # What costs more than a burst passes when nothing else was sent for a while.
        await anna.post(anna.public, bucket=1 << 20)
        with pytest.raises(Refused, match="rate_limited") as refused:
            await anna.expect(Accepted)
        assert refused.value.error.retry_after is not None
        hands.ahead += refused.value.error.retry_after
        await anna.post_and_wait_any(anna.public, bucket=1 << 20)


@pytest.mark.parametrize("frame", [Ping(), Pong(), AckDeliveries(1), GetInfo()])
async def test_what_no_rate_counts_has_a_bound_too(
    tmp_path: Path, frame: ClientMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server(tmp_path, rate_general=Rate(5, 10)) as one, client(one.url) as friend:
        penalized: list[str] = []
        monkeypatch.setattr(one.hub, "penalize", penalized.append)
        flood = await log_in(one.url)
        await flood.publish()
        await flood.post(flood.public)
        await flood.take()  # whose acknowledgement says something once
        for _ in range(150):
            await flood.send(frame)
        for _ in range(300):
            flood.send_late(frame)
        assert await flood.closed() == 4429
        await friend.post_and_wait(friend.public)
        assert penalized == ["127.0.0.1"]


async def test_who_comes_back_from_a_flood_at_once_has_to_wait(tmp_path: Path) -> None:
    async with server(tmp_path, rate_general=Rate(0.01, 10), rate_address_factor=1) as one:
        one.hub.penalize("127.0.0.1")
        with pytest.raises(InvalidStatus) as refused:
            await log_in(one.url)
        assert refused.value.response.status_code == 429


async def test_control_frames_count_as_well(tmp_path: Path) -> None:
    async with server(tmp_path, rate_general=Rate(5, 10)) as one:
        flood = await log_in(one.url)
        flood.socket.transport.write(Frame(Opcode.PING, b"").serialize(mask=True) * 500)
        assert await flood.closed() == 4429


async def test_acknowledgements_of_deliveries_are_free(tmp_path: Path) -> None:
    async with (
        server(tmp_path, rate_general=Rate(20, 20), rate_address_factor=0.0) as one,
        client(one.url) as ben,
    ):
        senders = [await log_in(one.url, Person()) for _ in range(30)]
        for sender in senders:
            for _ in range(15):
                await sender.post(ben.public)
        for _ in range(450):  # more than 20 times a burst
            await ben.take()
        await ben.send(Ping(1))
        assert await ben.expect(Pong) == Pong(1)
        for sender in senders:
            await sender.close()


def test_a_debt_is_a_burst_at_most() -> None:
    clock = Seconds()
    rates = Rates(Rate(10, 20), clock)
    for _ in range(100):
        rates.charge("a", 5)
    assert rates.take("a") == pytest.approx(2 + 0.1)
    rates = Rates(Rate(0, 0), clock)
    rates.charge("a", 5)
    assert rates.take("a") == 0


async def publishes(url: str, address: str) -> bool:
    """Whether somebody new at this address may publish."""
    one = await log_in(url, additional_headers=forwarded(address))
    await one.send(publication())
    answer = await one.receive()
    await one.close()
    if isinstance(answer, Error):
        assert answer.code == "rate_limited"
        assert answer.retry_after is not None
        assert 0 < answer.retry_after <= 60
    return isinstance(answer, PrekeyCount)


async def test_new_identities_of_an_address_are_twenty_and_then_sixty_an_hour(tmp_path: Path) -> None:
    home = "203.0.113.5"
    async with server(tmp_path, rate_general=Rate(10_000, 10_000)) as one:
        async with client(one.url, additional_headers=forwarded(home)) as known:
            assert [await publishes(one.url, home) for _ in range(20)] == [True] * 19 + [False]
            assert await publishes(one.url, "203.0.113.6")
            await known.publish()  # who has published before is no newcomer
        async with client(one.url, known.person, additional_headers=forwarded(home)):
            pass
        # An IPv6 /64 is an address, and a /48 is worth four.
        found = [await publishes(one.url, f"2001:db8:1:{i // 21}::1") for i in range(6 * 21)]
        assert [sum(found[i : i + 21]) for i in range(0, 126, 21)] == [20, 20, 20, 20, 0, 0]
        assert await publishes(one.url, "2001:db8:2::1")


@pytest.mark.parametrize("off", [{"rate_address_factor": 0.0}, {"rate_general": Rate(0, 0)}])
async def test_without_a_rate_of_addresses_anybody_may_be_new(tmp_path: Path, off: dict[str, Any]) -> None:
    async with server(tmp_path, **{"rate_general": Rate(10_000, 10_000), **off}) as one:
        assert all([await publishes(one.url, "203.0.113.5") for _ in range(25)])


async def test_an_address_has_a_rate_of_its_own(tmp_path: Path) -> None:
    # Two connections and their publications have taken four.
    async with server(tmp_path, rate_general=Rate(0.02, 4), rate_address_factor=2) as one:
        anna, ben = await log_in(one.url), await log_in(one.url)
        await anna.publish()
        await ben.publish()
        for _ in range(3):
            await anna.post(ben.public)
        await ben.post(anna.public)
        await ben.post(anna.public)
        with pytest.raises(Refused, match="rate_limited"):
            await ben.expect(Pong)
        for login in (anna, ben):
            await login.close()


async def test_what_an_identity_is_refused_costs_those_at_its_address_nothing(tmp_path: Path) -> None:
    async with (
        server(tmp_path, rate_general=Rate(0.001, 4), rate_address_factor=3) as one,
        client(one.url, publish=False) as greedy,
        client(one.url, publish=False) as friend,
    ):
        assert await carried_out(greedy, 50) == 4
        assert await carried_out(friend, 5) == 4


async def test_what_an_address_is_refused_costs_the_identity_nothing(tmp_path: Path) -> None:
    async with server(tmp_path, rate_general=Rate(0.001, 4), rate_address_factor=1) as one:
        shared, alone = forwarded("203.0.113.5"), forwarded("203.0.113.6")
        greedy = await log_in(one.url, additional_headers=shared)
        friend = await log_in(one.url, additional_headers=shared)
        assert await carried_out(greedy, 50) == 2, "the two logins counted for the address"
        assert await carried_out(friend, 50) == 0
        elsewhere = await log_in(one.url, friend.person, additional_headers=alone)
        assert await carried_out(elsewhere, 50) == 3, "of its own four, and of what that address has left"
        for login in (greedy, friend, elsewhere):
            await login.close()


async def carried_out(one: Client, count: int) -> int:
    """How many of so many requests are not refused."""
    for _ in range(count):
        await one.send(GetPrekeyCount())
    answers = [await one.receive() for _ in range(count)]
    return sum(not isinstance(answer, Error) for answer in answers)


async def test_pages_count_by_what_is_on_them(tmp_path: Path) -> None:
    async with server(tmp_path) as one, client(one.url) as anna:
        room = await begin(anna)
        for _ in range(300):
            await tell(anna, room)
        person = anna.person
    async with (
        server(tmp_path, rate_general=Rate(0.001, 20), rate_address_factor=3) as one,
        client(one.url, person, publish=False) as anna,
        client(one.url, publish=False) as friend,
    ):
        answers = []
        for _ in range(20):
            await anna.send(GetHistory(room.id, 0, 500))
            answers.append(await anna.receive())
        pages = [answer for answer in answers if isinstance(answer, History)]
        assert [len(page.entries) for page in pages] == [301] * 5  # each is four of twenty, and a whole page
        # Of the address's sixty two connections and these pages have taken 22; the rest is the friend's.
        assert await carried_out(friend, 30) == 20


async def test_a_flood_of_one_holds_up_nobody_else(tmp_path: Path) -> None:
    async with server(tmp_path, rate_general=Rate(20, 20)) as one, client(one.url) as flood:
        friends = [await log_in(one.url, Person()) for _ in range(2)]
        await friends[1].publish()
        for _ in range(300):
            await flood.send(SendMessage(os.urandom(16), friends[1].public, payload()))
        await friends[0].post_and_wait(friends[1].public, b"through")
        # how much of the flood comes before it depends on how long the flood took: 20 and 20 for each second
        taken = 0
        while (await friends[1].take()).payload[1:8] != b"through":
            taken += 1
        assert taken < 300, "the flood was not held back"
        for friend in friends:
            await friend.close()
