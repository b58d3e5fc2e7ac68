"""Contacts: adding, naming, verifying, blocking; and the strangers who wait as requests."""

from __future__ import annotations

import pytest

from mobium.client import ContactKeyChanged, Engine, MessageReceived
from mobium.client.store import peers
from mobium.client.store.database import Tx
from mobium.crypto import Identity
from mobium.errors import InvalidInput
from tests.support.engines import Ear, World, inside, settle, tx
from tests.support.hostile import HostileServer

STRANGER = Identity.generate()[0].public.hex()


async def test_a_contact_is_added_by_key_or_link_and_found_by_name(world: World) -> None:
    alice = await world.engine("alice", connect=False)
    contact = await alice.contacts.add(STRANGER.upper(), "Zoë  ".strip())
    assert (contact.key, contact.nickname, contact.trust, contact.request) == (
        STRANGER, "Zoë", "unverified", False
    )  # fmt: skip
    again = await alice.contacts.add(f"mobium://contact/{STRANGER}?server=chat.example", "Zoe")
    assert again.nickname == "Zoe"
    assert await alice.contacts.list() == [again]
    for name in ("Zoe", "zoe", " ZOE ", STRANGER, bytes.fromhex(STRANGER)):
        assert (await alice.contacts.get(name)).key == STRANGER
    assert (await alice.contacts.rename("zoe", None)).nickname is None
    assert (await alice.contacts.get(STRANGER)).name == STRANGER[:16]


@pytest.mark.parametrize(
    "nickname",
    [
        "", "   ", "x" * 65, "a\nb", "a\tb", "a\0b", "\u202eevil", "a\u2066b\u2069", "zero\u200bwidth",
        "a\u00a0b", "two  blanks", "\u0301accent first", "\ud800", "a" * 64, "mobium://contact/x",
        "\ue000", "line\u2028break",
    ],
)  # fmt: skip
async def test_a_nickname_that_could_mislead_is_refused(world: World, nickname: str) -> None:
    alice = await world.engine("alice", connect=False)
    with pytest.raises(InvalidInput):
        await alice.contacts.add(STRANGER, nickname)
    assert await alice.contacts.list() == []


async def test_two_contacts_cannot_share_a_name(world: World) -> None:
    alice = await world.engine("alice", connect=False)
    await alice.contacts.add(STRANGER, "Strauß")
    other = Identity.generate()[0].public
    for same in ("strauss", "STRAUSS", "ｓｔｒａｕｓｓ"):
        with pytest.raises(InvalidInput, match="belongs to another"):
            await alice.contacts.add(other, same)
    assert len(await alice.contacts.list()) == 1


async def test_what_names_nobody_is_refused_in_a_sentence(world: World) -> None:
    alice = await world.engine("alice", connect=False)
    links = ("mobium://contact/12", f"mobium://contact/{STRANGER}?server=")
    for wrong in ("nobody", alice.me, STRANGER[:-1], "01" + "00" * 31, *links, b"x" * 31):
        with pytest.raises(InvalidInput) as caught:
            await alice.contacts.add(wrong)
        assert str(caught.value)[0].isupper()
        assert str(caught.value).endswith(".")
    with pytest.raises(InvalidInput):
        await alice.contacts.get("nobody")


async def test_both_see_the_same_safety_number_and_can_verify(world: World) -> None:
    alice, bob = await world.pair()
    with pytest.raises(InvalidInput, match="no exchange"):
        await alice.contacts.safety_number("Bob")
    ear = Ear(bob)
    sent = await alice.send("Bob", "hello")
    await ear.text()
    await alice.wait(sent, "sent", 5)
    number = await alice.contacts.safety_number("Bob")
    assert number == await bob.contacts.safety_number("Alice")
    assert len(number.replace(" ", "")) == 60
    with pytest.raises(InvalidInput, match="differ"):
        await alice.contacts.verify("Bob", number[::-1])
    assert (await alice.contacts.verify("Bob", number)).trust == "verified"
    assert (await alice.contacts.unverify("Bob")).trust == "unverified"


async def test_a_blocked_contact_is_not_heard_and_not_written_to(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    await bob.contacts.block("Alice")
    with pytest.raises(InvalidInput, match="blocked"):
        await bob.send("Alice", "hello")
    sent = await alice.send("Bob", "unheard")
    await alice.wait(sent, "sent", 5)
    await server.drained(bytes.fromhex(bob.me))
    assert await bob.history("Alice") == []
    await bob.contacts.unblock("Alice")
    ear = Ear(bob)
    await alice.send("Bob", "heard")
    assert (await ear.text()).text == "heard"


async def stranger_writes(world: World, alice: Engine, text: str = "who am I?") -> Engine:
    bob = await world.engine("bob")
    await settle(bob)
    ear = Ear(alice)
    await bob.wait(await bob.send(alice.me, text), "sent", 5)
    assert (await ear.text(text)).request
    return bob


async def test_a_stranger_waits_as_a_request_without_a_receipt(world: World) -> None:
    alice = await world.engine("alice")
    await settle(alice)
    bob = await stranger_writes(world, alice)
    assert await alice.contacts.list() == []
    [request] = await alice.contacts.requests()
    assert (request.key, request.request) == (bob.me, True)
    [sent] = await bob.history(alice.me)
    assert sent.state == "sent"
    assert not (await alice.contacts.accept(bob.me)).request
    assert await bob.wait(sent.id, "delivered", 5) == "delivered"
    assert await alice.contacts.requests() == []


async def test_answering_a_stranger_accepts_it(world: World) -> None:
    alice = await world.engine("alice")
    await settle(alice)
    bob = await stranger_writes(world, alice)
    ear = Ear(bob)
    await alice.send(bob.me, "I know you")
    assert not (await ear.text()).request, "whoever I wrote to first is no stranger"
    [sent, _] = await bob.history(alice.me)
    assert await bob.wait(sent.id, "delivered", 5) == "delivered"
    assert [contact.key for contact in await alice.contacts.list()] == [bob.me]


async def test_a_declined_request_is_gone_and_may_come_again(world: World) -> None:
    alice = await world.engine("alice")
    await settle(alice)
    bob = await stranger_writes(world, alice)
    await alice.contacts.decline(bob.me)
    assert await alice.contacts.requests() == []
    assert await alice.conversations() == []
    with pytest.raises(InvalidInput):
        await alice.contacts.decline(bob.me)


def _strangers(tx: Tx, count: int) -> None:
    for _ in range(count):
        peers.add(tx, Identity.generate()[0].public, "request", 0)


async def test_fifty_strangers_wait_at_most_and_contacts_still_get_through(
    world: World, server: HostileServer
) -> None:
    alice = await world.engine("alice")
    carol = await world.engine("carol")
    await settle(alice, carol)
    await alice.contacts.add(carol.me)
    await tx(alice, _strangers, peers.MAX_REQUESTS)
    bob = await world.engine("bob")
    await bob.wait(await bob.send(alice.me, "one too many"), "sent", 5)
    await server.drained(bytes.fromhex(alice.me))
    assert len(await alice.contacts.requests()) == peers.MAX_REQUESTS
    assert await alice.history(bob.me) == []
    ear = Ear(alice)
    await carol.send(alice.me, "let me through")
    assert (await ear.next(MessageReceived)).text == "let me through"


def _change_x(tx: Tx, key: str, x: bytes) -> None:
    peer = peers.by_key(tx, bytes.fromhex(key))
    assert peer is not None
    peers.update(tx, peer, x=x)


def _offer_x(tx: Tx, key: str, x: bytes) -> None:
    peer = peers.by_key(tx, bytes.fromhex(key))
    assert peer is not None
    peers.offer_x(tx, peer, x)


async def test_a_changed_key_stops_sending_until_it_is_accepted(world: World) -> None:
    alice, bob = await world.pair()
    await tx(alice, _change_x, bob.me, bytes(range(32)))  # as if another one had been pinned
    heard, ear = Ear(alice), Ear(bob)
    sent = await alice.send("Bob", "wait for it")
    assert (await heard.next(ContactKeyChanged)).peer == bob.me
    state = await heard.state(sent, "queued")
    assert "changed" in state.reason
    assert (await alice.contacts.get("Bob")).trust == "changed"
    with pytest.raises(InvalidInput, match="accept"):
        await alice.contacts.verify("Bob")
    later = await alice.send("Bob", "and this")
    assert "changed" in (await alice.message(later)).reason
    number = await alice.contacts.safety_number("Bob")
    await tx(alice, _offer_x, bob.me, bytes(range(1, 33)))  # another one comes while the numbers are compared
    with pytest.raises(InvalidInput, match="once more"):
        await alice.contacts.accept_key("Bob", number)
    await tx(alice, _offer_x, bob.me, inside(bob).identity.x_public)
    assert (await alice.contacts.accept_key("Bob", number)).trust == "unverified"
    assert await ear.texts(2) == ["wait for it", "and this"]
    with pytest.raises(InvalidInput, match="not changed"):
        await alice.contacts.accept_key("Bob")


@pytest.mark.parametrize("limit", ["_MAX_OF_REQUEST", "_MAX_BYTES_OF_REQUEST"])
async def test_a_stranger_cannot_fill_the_history(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(f"mobium.client.receive.{limit}", 3)  # messages, or bytes: each has one
    alice = await world.engine("alice")
    bob = await world.engine("bob")
    await settle(alice, bob)
    for number in range(5):
        await bob.wait(await bob.send(alice.me, f"{number}"), "sent", 5)
    await server.drained(bytes.fromhex(alice.me))
    assert [message.text for message in await alice.history(bob.me)] == ["0", "1", "2"]
    # Accepting asks for the rest again, under its old ids.
    ear = Ear(alice)
    await alice.contacts.accept(bob.me)
    assert await ear.texts(5) == ["0", "1", "2", "3", "4"]
    assert len({message.id for message in await alice.history(bob.me)}) == 5
