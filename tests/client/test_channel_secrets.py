"""Secrets of private channels: whoever was away, has come back or asks for them knows the one in force."""

from __future__ import annotations

import pytest

from mobium.client import Engine
from mobium.client.store import chains, channels
from mobium.client.store.database import Tx
from mobium.crypto.invite import invite_key
from mobium.errors import InvalidInput, MobiumError
from mobium.protocol import messages as m
from tests.support.channel_world import ChannelWorld, calm, enter, members_seen, row_of, said, shows, state
from tests.support.engines import PASSWORD, PATIENCE, online, tx, until


async def knows(engine: Engine, name: str, channel: str) -> None:
    """Wait until somebody knows the secret in force, and with it the name."""

    async def there() -> bool:
        return (await row_of(engine, channel)).secret is not None

    try:
        await until(there)
    except TimeoutError:
        raise AssertionError("the secret in force is not known") from None
    assert (await engine.channels.get(channel)).name == name


async def spares(engine: Engine) -> int:
    """How many secrets somebody keeps whose key is not in force."""
    return int(await tx(engine, lambda tx: tx.value("SELECT count(*) FROM spare_secret")))


async def comes_in_and_renews(owner: Engine, comer: Engine, channel: str) -> None:
    """Somebody joins, is made an admin, and gives the channel another secret and the name orchard."""
    await comer.join(await owner.invite(channel))
    await owner.set_role(channel, comer.me, "admin")
    await comer.settled(PATIENCE)
    await comer.channels.renew(channel)
    await comer.rename(channel, "orchard")
    await comer.settled(PATIENCE)


async def test_of_many_secrets_the_one_in_force_is_kept(town: ChannelWorld) -> None:
    alice = await town.engine("alice")
    async with town.opened("bob") as bob:
        channel = f"#{await enter(alice, bob)}"
        await said(bob, "hello")
        await bob.settled(PATIENCE)
    for _ in range(12):
        await alice.channels.renew(channel)
    await alice.rename(channel, "orchard")
    await alice.settled(PATIENCE)
    bob = await town.engine("bob")
    await bob.settled(PATIENCE)
    await knows(bob, "orchard", channel)


@pytest.mark.parametrize("step", [0, -1, 1])
async def test_the_newest_secrets_are_those_that_came_last(town: ChannelWorld, step: int) -> None:
    """A whole mailbox comes in one second, and a clock may be set back."""
    alice, bob = await town.gather("alice", "bob")
    secrets = [bytes((order,)) * 32 for order in (*range(0, 40, 2), *range(39, 0, -2))]

    def arrive(tx: Tx) -> list[bool]:
        [channel] = channels.every(tx)
        peer = tx.value("SELECT id FROM peer WHERE ed = ?", bytes.fromhex(alice.me))
        for number, secret in enumerate(secrets):
            channels.add_secret(tx, channel.id, secret, peer, 1_000 + step * number)
        return [
            channels.secret_of(tx, channel.id, invite_key(secret).public) is not None for secret in secrets
        ]

    assert await tx(bob, arrive) == [False] * 32 + [True] * 8


async def test_who_comes_back_and_sets_a_secret_is_believed_by_who_was_away(town: ChannelWorld) -> None:
    """He reads the secret in his mailbox before he reads that she had left."""
    alice, carol = await town.people("alice", "carol")
    async with town.opened("bob") as bob:
        channel = f"#{await enter(alice, bob, carol)}"
        await said(carol, "hello")
        await shows(bob, ["hello"])
        await bob.settled(PATIENCE)
    await carol.leave(channel)
    await comes_in_and_renews(alice, carol, channel)
    bob = await town.engine("bob")
    await bob.settled(PATIENCE)
    await knows(bob, "orchard", channel)


async def test_who_has_come_in_meanwhile_and_sets_a_secret_is_believed_by_who_was_away(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He reads the secret in his mailbox, of somebody whom no statement that he knows has let in."""
    monkeypatch.setattr(chains, "_PATIENCE", 3_600)  # he asks nobody for it
    alice, carol = await town.people("alice", "carol")
    async with town.opened("bob") as bob:
        channel = f"#{await enter(alice, bob)}"
        await said(alice, "hello")
        await shows(bob, ["hello"])
        await bob.settled(PATIENCE)
    await comes_in_and_renews(alice, carol, channel)
    bob = await town.engine("bob")
    await bob.settled(PATIENCE)
    await knows(bob, "orchard", channel)
    assert await spares(bob) == 0


async def test_who_sets_a_secret_and_leaves_is_believed_by_who_hears_it_last(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He is no member any more when it comes; that it is true is in the statement."""
    monkeypatch.setattr(chains, "_PATIENCE", 3_600)  # nobody asks for it
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    channel = f"#{(await alice.channels.get('#garden')).id}"
    await alice.set_role(channel, carol.me, "admin")
    await said(carol, "hello")
    await shows(bob, ["hello"])
    await calm(alice, bob, carol)
    tap = town.tap("bob")
    kept: list[m.ServerMessage] = []

    def hold(message: m.ServerMessage) -> m.ServerMessage | None:
        if not isinstance(message, m.Delivery):
            return message
        kept.append(message)
        return None

    async def came() -> bool:
        return bool(kept)

    tap.down = hold
    await carol.channels.renew(channel)
    await until(came)
    await carol.leave(channel)
    await members_seen(channel, 2, bob)
    tap.honest()
    for message in kept:
        tap.say(message)
    await knows(bob, "garden", channel)
    assert await spares(bob) == 0


async def test_a_secret_is_not_lost_with_a_statement_that_was_refused_and_taken(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    channel = f"#{(await alice.channels.get('#garden')).id}"
    tap = town.tap("alice")
    tap.down = lambda message: (
        m.Error("internal", "It failed.", message.rid) if isinstance(message, m.Appended) else message
    )
    with pytest.raises(MobiumError):
        await alice.channels.renew(channel)
    tap.honest()
    await said(bob, "hello")
    await shows(alice, ["hello"])
    await knows(alice, "garden", channel)
    await calm(alice)
    await knows(bob, "garden", channel)
    assert await alice.invite(channel)


async def test_a_secret_of_a_statement_that_never_was_goes_with_the_next_one(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")

    def refuse(message: m.ClientMessage) -> m.ClientMessage | None:
        if not isinstance(message, m.RosterAppend):
            return message
        tap.say(m.Error("rate_limited", "Too fast.", message.rid))
        return None

    tap.up = refuse
    with pytest.raises(MobiumError):
        await alice.channels.renew("#garden")
    assert await spares(alice) == 1
    tap.honest()
    await alice.rename("#garden", "orchard")
    assert await spares(alice) == 0
    await until(lambda: _named(bob, "orchard"))


async def _named(engine: Engine, name: str) -> bool:
    return [channel.name for channel in await engine.channels.list()] == [name]


# ---------------------------------------------------------------- a secret that is missing


async def _again(town: ChannelWorld, words: str) -> Engine:
    """Alice, brought back from the words alone, in all her channels."""
    await Engine.recover(town.path("again"), PASSWORD, words)
    again = await town.engine("again")

    async def back() -> bool:
        return [channel.state for channel in await again.channels.list()] == ["member"]

    await until(back)
    return again


async def _ask(town: ChannelWorld, *engines: Engine) -> None:
    """Time passes, after which what is missing is asked for."""
    for engine in engines:
        await engine.settled(PATIENCE)
    town.clock.offset += 11
    for engine in engines:
        online(engine).sync.wake()


async def test_an_owner_who_is_back_from_the_words_is_told_the_secret(town: ChannelWorld) -> None:
    """By a member who is neither owner nor admin, and nobody has said anything."""
    words = await town.create("alice")
    async with town.opened("alice") as alice:
        bob = await town.engine("bob")
        channel = f"#{await enter(alice, bob)}"
        await alice.settled(PATIENCE)
    again = await _again(town, words)
    with pytest.raises(InvalidInput, match="has not reached you"):
        await again.invite(channel)
    await _ask(town, again)
    await knows(again, "garden", channel)
    assert await again.invite(channel)


@pytest.mark.parametrize("do", ["remove", "ban", "renew"])
async def test_an_owner_who_does_not_know_the_name_governs_all_the_same(town: ChannelWorld, do: str) -> None:
    words = await town.create("alice")
    async with town.opened("alice") as alice:
        bob, mallory = await town.people("bob", "mallory")
        channel = f"#{await enter(alice, bob, mallory)}"
        await alice.settled(PATIENCE)
    again = await _again(town, words)
    if do == "renew":
        await again.channels.renew(channel)
    else:
        await (again.remove if do == "remove" else again.channels.ban)(channel, mallory.me)
        await state(mallory, {"remove": "removed", "ban": "banned"}[do], channel)
    await again.settled(PATIENCE)
    await knows(bob, "garden", channel)  # whoever knew the name goes on with it
    assert (await again.channels.get(channel)).name == ""
    with pytest.raises(InvalidInput, match="rename it first"):
        await again.channels.set_topic(channel, "flowers")
    await again.rename(channel, "orchard")
    await again.channels.set_topic(channel, "flowers")
    carol = await town.engine("carol")
    assert (await carol.join(await again.invite(channel))).name == "orchard"
    await until(lambda: _named(bob, "orchard"))


async def test_an_owner_who_is_alone_renames_what_nobody_else_knows(town: ChannelWorld) -> None:
    words = await town.create("alice")
    async with town.opened("alice") as alice:
        channel = f"#{await enter(alice)}"
    again = await _again(town, words)
    await again.rename(channel, "orchard")
    await knows(again, "orchard", channel)
    carol = await town.engine("carol")
    assert (await carol.join(await again.invite(channel))).name == "orchard"


async def test_a_secret_set_by_somebody_blocked_comes_when_he_is_no_more(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    channel = f"#{(await bob.channels.get('#garden')).id}"
    await said(alice, "one")
    await shows(bob, ["one"])
    await bob.contacts.add(alice.me, "Alice")
    await bob.contacts.block("Alice")
    await alice.channels.renew(channel)
    await alice.rename(channel, "orchard")
    await alice.settled(PATIENCE)
    await _ask(town, bob)
    assert await _asked(bob) == 0, "nobody is left to be asked"
    await bob.contacts.unblock("Alice")
    await knows(bob, "orchard", channel)
    assert await _asked(bob) == 1


async def _asked(engine: Engine) -> int:
    return int(await tx(engine, lambda tx: tx.value("SELECT count(*) FROM asked WHERE peer != 0")))


async def test_who_is_likely_to_know_a_secret_is_asked_first_and_once_a_day(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "_ASKS", 3)
    alice, bob, carol, dora, erin = await town.gather("alice", "bob", "carol", "dora", "erin")
    channel = f"#{(await alice.channels.get('#garden')).id}"
    for one in (carol, dora):
        await alice.set_role(channel, one.me, "admin")
        await one.settled(PATIENCE)
    for engine in (bob, carol):
        await engine.settled(PATIENCE)
    for one in (alice, dora, erin):
        await one.disconnect()
    town.tap("carol").up = lambda message: None if isinstance(message, m.SendMessage) else message
    await carol.channels.renew(channel)
    await carol.disconnect()

    async def missing() -> bool:
        return (await row_of(bob, channel)).secret is None

    await until(missing)
    await _ask(town, bob)
    first = {carol.me, alice.me, dora.me}
    await until(lambda: _asks(bob, first))
    town.clock.offset += 3_600
    online(bob).sync.wake()
    await bob.settled(PATIENCE)
    assert await _asks(bob, first)
    town.tap("carol").honest()
    town.clock.offset += 86_400
    await carol.connect(town.url)
    await knows(bob, "garden", channel)


async def _asks(engine: Engine, wanted: set[str]) -> bool:
    rows = await tx(engine, lambda tx: tx.all("SELECT ed FROM asked JOIN peer ON peer.id = asked.peer"))
    return {row[0].hex() for row in rows} == wanted
