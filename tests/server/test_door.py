"""Connection limits and addresses behind proxies: who is let in, and who makes way."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mobium.protocol import codec
from mobium.protocol.messages import Error
from mobium_server.config import Settings
from mobium_server.door import COURTESY, Door
from mobium_server.limits import Rate, address_key, in_networks, parse_address
from mobium_server.stats import Counters
from tests.support.server import client, forwarded, log_in, server, until


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_what_an_address_counts_as(text: str, key: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert address_key(address) == key


def test_what_is_no_address() -> None:
    for text in ("", "localhost", "1.2.3", "1.2.3.4.5", "[::1]", "unknown", "\n"):
        assert parse_address(text) is None
    networks = Settings.from_env({"SC_TRUSTED_PROXIES": "10.0.0.0/8,::1"}).trusted_proxies
    assert in_networks(ipaddress.ip_address("10.9.9.9"), networks)
    assert not in_networks(ipaddress.ip_address("11.0.0.1"), networks)
    assert not in_networks(ipaddress.ip_address("::2"), networks)
    assert not in_networks(None, networks)


# ---------------------------------------------------------------- the door


class Guest:
    def __init__(self, address: str, *, behind_proxy: bool = False) -> None:
        self.address = address
        self.behind_proxy = behind_proxy
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


def test_a_full_house_lets_the_oldest_stranger_make_way() -> None:
    door = Door(3, 0, Counters())
    guests = [Guest(str(i)) for i in range(3)]
    assert all(door.enter(guest) for guest in guests)
    door.known(guests[0])
    late = Guest("9")
    assert door.enter(late)
    assert [guest.dropped for guest in guests] == [False, True, False]
    assert door.places == 3
    for guest in (guests[2], late):
        door.known(guest)
    refused = Guest("10")
    assert not door.enter(refused)
    assert not refused.dropped, "it is told so"
    assert not door.has_place(refused)
    door.leave(guests[1])
    door.leave(guests[1])
    assert door.places == 3
    door.leave(guests[0])
    assert door.enter(Guest("11"))


def test_nobody_makes_way_for_who_is_refused_for_his_address() -> None:
    door = Door(3, 2, Counters())
    stranger, *flood = Guest("b"), Guest("a"), Guest("a")
    assert all(door.enter(guest) for guest in (stranger, *flood))
    for _ in range(5):
        assert not door.enter(Guest("a"))
    assert not stranger.dropped
    assert door.places == 3
    # Who is refused because the house is full counts for no address either.
    for guest in (stranger, *flood):
        door.known(guest)
    assert not any(door.enter(Guest("c")) for _ in range(5))
    door.leave(stranger)
    assert door.enter(Guest("c"))


def test_only_so_many_are_told() -> None:
    door = Door(1, 0, Counters())
    inside = Guest("0")
    door.enter(inside)
    door.known(inside)
    crowd = [Guest(str(i)) for i in range(COURTESY + 10)]
    assert not any(door.enter(guest) for guest in crowd)
    assert sum(guest.dropped for guest in crowd) == 10
    for guest in crowd:
        door.leave(guest)
    again = Guest("1")
    assert not door.enter(again)
    assert not again.dropped


def test_an_address_has_so_many_and_a_proxy_is_counted_later() -> None:
    door = Door(0, 2, Counters())
    assert [door.enter(Guest("a")) for _ in range(3)] == [True, True, False]
    assert door.enter(Guest("b"))
    proxied = [Guest("proxy", behind_proxy=True) for _ in range(5)]
    assert all(door.enter(guest) for guest in proxied)
    for guest in proxied[:3]:
        guest.address = "c"
    assert [door.count(guest) for guest in proxied[:3]] == [True, True, False]
    door.leave(proxied[0])
    assert door.count(proxied[2])


def test_a_site_has_a_quarter_of_the_house() -> None:
    door = Door(40, 2, Counters())
    guests = [Guest(f"2001:db8:0:{i}::/64") for i in range(12)]
    assert [door.enter(guest) for guest in guests] == [True] * 10 + [False] * 2
    others = [Guest("2001:db8:1::/64"), Guest("192.0.2.7")]
    assert all(door.enter(guest) for guest in others)
    door.leave(guests[0])
    assert door.enter(Guest("2001:db8:0:1::/64"))
    assert not door.enter(Guest("2001:db8:0:ff::/64"))
    for guest in guests:
        door.leave(guest)
    assert door.enter(Guest("2001:db8:0:ff::/64"))
    # It has at least what one address has; and where addresses are not counted, sites are not.
    small = Door(8, 3, Counters())
    assert [small.enter(Guest(f"2001:db8:0:{i}::/64")) for i in range(4)] == [True] * 3 + [False]
    free = Door(8, 0, Counters())
    assert all(free.enter(Guest(f"2001:db8:0:{i}::/64")) for i in range(8))


async def test_too_many_of_one_address_are_told_so(tmp_path: Path) -> None:
    async with server(tmp_path, max_connections_per_ip=2) as one:
        anna, ben = await log_in(one.url), await log_in(one.url)
        async with connect(one.url) as third:
            message = codec.decode_server(await third.recv())  # type: ignore[arg-type]
            assert isinstance(message, Error)
            assert message.code == "too_many_connections"
            await third.wait_closed()
            assert third.close_code == 4429
        # Those inside are not disturbed, and a place that becomes free is free.
        await anna.publish()
        await anna.post(anna.public)
        await anna.take()
        await anna.close()
        await ben.close()
        await until(lambda: one.listener.door.places == 0)
        async with client(one.url):
            pass


async def test_too_many_in_all_are_told_so(tmp_path: Path) -> None:
    async with (
        server(tmp_path, max_connections=2) as one,
        client(one.url),
        client(one.url),
        connect(one.url) as third,
    ):
        await third.wait_closed()
        assert third.close_code == 4429


async def test_a_stranger_makes_way_for_somebody_who_logs_in(tmp_path: Path) -> None:
    async with server(tmp_path, max_connections=2) as one, client(one.url) as anna:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        async with client(one.url):
            assert await asyncio.wait_for(reader.read(), 5) == b""
            await anna.post(anna.public)
            await anna.take()
        writer.close()


async def test_behind_a_proxy_the_forwarded_address_counts(tmp_path: Path) -> None:
    async with server(tmp_path, max_connections_per_ip=1) as one:
        home = await log_in(one.url, additional_headers=forwarded("203.0.113.5"))
        with pytest.raises(Exception, match="Too many connections"):
            await log_in(one.url, additional_headers=forwarded("1.2.3.4, 203.0.113.5"))
        others = [
            await log_in(one.url, additional_headers=forwarded(address))
            for address in (
                "203.0.113.6",
                "2001:db8::1",
                "[2001:db8:1::1]:443",
                "203.0.113.7:1234",
                "nonsense",
            )
        ]
        with pytest.raises(Exception, match="Too many connections"):
            await log_in(one.url, additional_headers=forwarded("2001:db8::2"))
        for login in (home, *others):
            await login.close()


async def test_nobody_else_may_say_where_they_come_from(tmp_path: Path) -> None:
    async with server(tmp_path, max_connections_per_ip=1, trusted_proxies=()) as one:
        home = await log_in(one.url, additional_headers=forwarded("203.0.113.5"))
        with pytest.raises(Exception, match="Too many connections"):
            await log_in(one.url, additional_headers=forwarded("203.0.113.6"))
        await home.close()


async def test_connections_count_against_the_rate_of_their_address(tmp_path: Path) -> None:
    async with server(tmp_path, rate_general=Rate(1, 2), rate_address_factor=1) as one:
        for _ in range(2):
            await (await log_in(one.url)).close()
        with pytest.raises(InvalidStatus) as refused:
            await log_in(one.url)
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["Retry-After"]) >= 1
