"""Who may call whom, and who learns an address by it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mobium.client import CallChanged
from mobium.errors import CallError, InvalidInput, NotConnected
from mobium.media.link import MemoryNetwork, Terms
from mobium.protocol import messages as m
from tests.support.calls import Phone, phones, states, talking
from tests.support.engines import World, settle
from tests.support.hostile import HostileServer

pytestmark = pytest.mark.once


# ---------------------------------------------------------------- who may call whom


async def test_away_blocked_and_unknown_look_alike(
    world: World, network: MemoryNetwork, hurried: None
) -> None:
    """Nobody can tell by a call whether he was blocked."""
    told = []
    async with phones(world, network.maker, "alice", "bob", "eve", verified=False) as people:
        alice, bob, eve = people
        relay_there(people)
        await bob.engine.contacts.block(alice.me)
        await eve.engine.disconnect()
        stranger = await world.engine("stranger")
        await settle(stranger)
        await alice.engine.contacts.add(stranger.me)
        for other in (bob.me, eve.me, stranger.me):
            before = len(alice.ear.heard)
            await alice.engine.call(other)
            await alice.state("ended")
            told.append(
                [
                    (event.state, event.code, event.reason)
                    for event in alice.ear.heard[before:]
                    if isinstance(event, CallChanged)
                ]
            )
        assert told[0] == told[1] == told[2]
        assert told[0][-1][1] == "unreachable"
        assert states(bob) == []


@pytest.mark.parametrize("state", ["incoming", "active"])
async def test_blocking_somebody_ends_the_call_with_him(
    world: World, network: MemoryNetwork, hurried: None, state: str
) -> None:
    """And nothing is said to whoever is blocked: for him the line goes dead."""
    async with phones(world, network.maker, "alice", "bob", "carol") as (alice, bob, carol):
        await alice.call(bob)
        await bob.state("incoming")
        if state == "active":
            await bob.calls.accept()
            for one in (alice, bob):
                await one.state("active")
        await bob.engine.contacts.block(carol.me)
        await bob.engine.contacts.unblock(carol.me)
        assert bob.calls.current is not None, "blocking somebody else ends no call"
        await bob.engine.contacts.block(alice.me)
        await bob.state("ended")
        await alice.state("ended", "no_answer" if state == "incoming" else "lost")


def relay_there(people: list[Phone]) -> None:
    """Let the server name a relay, which links in memory do not need."""
    server = people[0].engine._connecting._connector.__self__  # type: ignore[attr-defined]
    assert isinstance(server, HostileServer)
    server.ice = m.IceConfig([m.IceServer(["turn:relay.test"], "name", "word")], 600)


async def test_who_cannot_be_called(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        with pytest.raises(InvalidInput, match="Only contacts"):
            await alice.engine.call("ab" * 32)
        with pytest.raises(InvalidInput, match="your own"):
            await alice.engine.call(alice.me)
        with pytest.raises(InvalidInput, match="no contact"):
            await alice.engine.call("nobody of this name")
        await alice.engine.contacts.block(bob.me)
        with pytest.raises(InvalidInput, match="blocked"):
            await alice.call(bob)
        await alice.engine.contacts.unblock(bob.me)
        await alice.engine.disconnect()
        with pytest.raises(NotConnected):
            await alice.call(bob)
        for act in (alice.calls.accept, alice.calls.decline, alice.calls.hang_up):
            with pytest.raises(CallError) as caught:
                await act()
            assert caught.value.code == "no_call"
        with pytest.raises(CallError):
            alice.calls.mute()
        assert states(alice) == []


async def test_through_a_proxy_there_are_no_calls(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        alice.calls._proxied = True
        with pytest.raises(CallError, match="proxy") as caught:
            await alice.call(bob)
        assert caught.value.code == "proxied"
        await bob.call(alice)
        await bob.state("calling")
        await asyncio.sleep(0.2)
        assert states(alice) == []
        assert bob.calls.current.state == "calling", "as if nobody were there"


async def test_an_engine_knows_that_its_connector_goes_through_a_proxy(world: World) -> None:
    class Proxied:
        proxy = "socks5h://127.0.0.1:9050"

        async def __call__(self, address: Any) -> Any:
            return await world.connector(address)

    engine = await world.engine("alice", connector=Proxied())
    other = await world.engine("bob")
    await engine.contacts.add(other.me)
    with pytest.raises(CallError, match="proxy"):
        await engine.call(other.me)


# ---------------------------------------------------------------- addresses


async def test_addresses_are_shown_to_verified_contacts_alone(world: World, network: MemoryNetwork) -> None:
    made: list[Terms] = []

    def maker(terms: Terms, listener: Any) -> Any:
        made.append(terms)
        return network.maker(terms, listener)

    async with phones(world, maker, "alice", "bob") as (alice, bob):
        relay_there([alice])
        await talking(alice, bob)
        assert [terms.relay_only for terms in made] == [False, False]
        assert made[0].servers == made[1].servers
        assert (made[0].ours, made[0].theirs) == (made[1].theirs, made[1].ours)
        await alice.calls.hang_up()
        await bob.state("ended")
        await bob.engine.contacts.unverify(alice.me)
        await talking(alice, bob)
        assert [terms.relay_only for terms in made[2:]] == [False, True], "each side decides for itself"
        await alice.calls.hang_up()
        await bob.state("ended")
        assert not await alice.calls.hide_address()
        await alice.calls.set_hide_address(True)
        assert await alice.calls.hide_address()
        await talking(bob, alice)
        assert [terms.relay_only for terms in made[4:]] == [True, True]
        assert len({terms.ours for terms in made}) == 6, "no two certificates have one name"


async def test_without_a_relay_an_address_is_not_shown_instead(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        await bob.engine.contacts.unverify(alice.me)
        with pytest.raises(CallError, match="TURN") as caught:
            await bob.call(alice)
        assert caught.value.code == "no_relay"
        await alice.call(bob)
        await bob.state("incoming")
        with pytest.raises(CallError, match="TURN"):
            await bob.calls.accept()
        assert bob.calls.current.state == "incoming", "it rings on"
        assert not bob.calls.links._links
        await bob.engine.contacts.verify(alice.me)
        await bob.calls.accept()
        await alice.state("active")


async def test_the_server_is_asked_once_for_what_works_for_a_while(
    world: World, network: MemoryNetwork, server: HostileServer
) -> None:
    def asked() -> int:
        return sum(b"get_ice_config" in frame for _, frame in server.arrived)

    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        relay_there([alice])
        for _ in range(3):
            await talking(alice, bob)
            await alice.calls.hang_up()
            await bob.state("ended")
        assert asked() == 2
        alice.calls._ice._fresh_until = 0.0
        server.ice = m.IceConfig([], 0)
        await talking(alice, bob)
        assert asked() == 3
