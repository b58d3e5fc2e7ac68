"""A30: a stranger fills a mailbox or the disk, floods requests, or probes by receipts whether somebody is
there: bounded, and friends still get through. (Ringing and candidates: test_a30_calls.)
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
from pathlib import Path

import pytest

from mobium.client import receive
from mobium.client.store import peers
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer, Relation
from mobium.crypto import Identity, Session
from mobium.protocol import limits
from mobium.protocol import messages as m
from mobium_server import hub
from mobium_server import limits as rates
from mobium_server.limits import Rate
from mobium_server.storage import sqlite
from tests.attacks.forge import first_message, text_of
from tests.attacks.people import Person, Scene, bundle_of, state
from tests.support.engines import PATIENCE
from tests.support.server import Client, client, publication, server

ELSEWHERE = {"X-Forwarded-For": "203.0.113.77"}  # as a proxy that is trusted says
SIZE = 40  # of a mailbox
SHARE = 4


# ---------------------------------------------------------------- the mailbox


async def fill(sender: Client, recipient: bytes, count: int, bucket: int = 512) -> list[m.Accepted | m.Error]:
    """The server's answers to so many messages."""
    ids = [await sender.post(recipient, bucket=bucket) for _ in range(count)]
    answers: dict[bytes | None, m.Accepted | m.Error] = {}
    while len(answers) < count:
        answer = await sender.receive()
        assert isinstance(answer, m.Accepted | m.Error)
        answers[answer.id] = answer
    return [answers[each] for each in ids]


async def besiege(folder: Path, strangers: int) -> tuple[int, bool]:
    """So many strangers fill the mailbox of somebody who is away; then a friend writes.

    Returns how many messages of strangers were taken, and whether the friend's was.
    """
    async with server(folder, max_offline_messages=SIZE) as running:
        async with client(running.url) as target:
            person = target.person
        taken = 0
        for _ in range(strangers):
            async with client(running.url, publish=False) as stranger:
                answers = await fill(stranger, person.public, SIZE)
                taken += sum(isinstance(answer, m.Accepted) for answer in answers)
                refused = [answer for answer in answers if isinstance(answer, m.Error)]
                assert {answer.code for answer in refused} <= {"queue_full"}
        async with client(running.url) as friend:
            [answer] = await fill(friend, person.public, 1)
        async with client(running.url, person, publish=False) as target:
            for _ in range(taken):
                await target.take()
            if isinstance(answer, m.Accepted):
                assert (await target.take()).sender == friend.public
        return taken, isinstance(answer, m.Accepted)


async def test_a_stranger_fills_a_tenth_of_a_mailbox(tmp_path: Path) -> None:
    assert await besiege(tmp_path, 1) == (SHARE, True)


async def test_nine_strangers_leave_room_for_a_friend(tmp_path: Path) -> None:
    assert await besiege(tmp_path, 9) == (9 * SHARE, True)


async def test_without_the_share_one_stranger_locks_all_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "sender_share", lambda most: most)  # the defence, off
    assert await besiege(tmp_path, 1) == (SIZE, False)


# ---------------------------------------------------------------- the disk

PER_SECOND, BURST = 30, 60  # the default rates


def size_of(folder: Path) -> float:
    """The MiB of a server's files."""
    return sum(file.stat().st_size for file in folder.iterdir()) / 2**20


async def pour(folder: Path, seconds: float, enough: float = math.inf) -> tuple[float, set[str], bool]:
    """A stranger writes as much as the server takes, to recipients of his own making, from one address, for
    so long or until the files have grown by `enough` MiB.

    Returns the MiB that the server's files have grown by, how he was refused, and whether a friend elsewhere
    gets through.
    """
    body = 1 << 20
    async with server(folder, rate_general=Rate(PER_SECOND, BURST)) as running:
        size = size_of(folder)
        async with contextlib.AsyncExitStack() as stack:
            recipients = [await stack.enter_async_context(client(running.url)) for _ in range(4)]
            for one in recipients:
                await one.close()
            strangers = [
                await stack.enter_async_context(client(running.url, publish=False)) for _ in recipients
            ]
            refused: set[str] = set()
            end = time.monotonic() + seconds

            async def write(stranger: Client, recipient: bytes) -> None:
                while time.monotonic() < end and size_of(folder) - size <= enough:
                    [answer] = await fill(stranger, recipient, 1, body)
                    if isinstance(answer, m.Error):
                        refused.add(answer.code)
                        await asyncio.sleep(0.05)

            async with asyncio.TaskGroup() as group:
                for stranger, one in zip(strangers, recipients, strict=True):
                    group.create_task(write(stranger, one.public))
            friend = await stack.enter_async_context(client(running.url, additional_headers=ELSEWHERE))
            [answer] = await fill(friend, recipients[0].public, 1)
        return size_of(folder) - size, refused, isinstance(answer, m.Accepted)


async def test_a_stranger_fills_the_disk_slowly_and_not_for_ever(tmp_path: Path) -> None:
    seconds = 3.0
    grown, refused, through = await pour(tmp_path, seconds)
    assert through
    # Four identities with a burst of 60 times 64 KiB each and 30 a second, at most the tenth of a mailbox
    # each (6 messages of 1 MiB), and as much once more in the log.
    assert grown < 2 * 4 * 7
    assert refused <= {"rate_limited", "queue_full"}
    assert "rate_limited" in refused


async def test_without_weights_and_bytes_a_stranger_fills_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COST_BYTES", 2**40)  # the defences, off
    monkeypatch.setattr(sqlite, "mailbox_bytes", lambda most: most << 40)
    grown, _, through = await pour(tmp_path, PATIENCE, enough=2 * 4 * 7)
    assert through
    assert grown > 2 * 4 * 7


async def crowd(folder: Path, count: int) -> tuple[int, bool]:
    """Somebody makes identities at one address that only publish prekeys; then a friend comes from elsewhere.

    Returns how many the server keeps, and whether the friend may publish.
    """
    async with server(folder, rate_general=Rate(PER_SECOND, BURST)) as running:
        kept = 0
        for _ in range(count):
            async with client(running.url, publish=False) as one:
                await one.send(publication())
                kept += isinstance(await one.receive(), m.PrekeyCount)
        async with client(running.url, publish=False, additional_headers=ELSEWHERE) as friend:
            await friend.send(publication())
            return kept, isinstance(await friend.receive(), m.PrekeyCount)


async def test_a_stranger_makes_twenty_identities(tmp_path: Path) -> None:
    assert await crowd(tmp_path, 40) == (20, True)


async def test_without_the_limit_he_makes_as_many_as_he_likes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "NEWCOMERS", Rate(0, 0))  # the defence, off
    assert await crowd(tmp_path, 40) == (40, True)


async def site(folder: Path, networks: int) -> tuple[int, int]:
    """Somebody holds an IPv6 /48 and comes from so many of its /64s, with an identity at each; then a friend
    comes from elsewhere.

    Returns how many requests of theirs, and of the friend, are carried out.
    """
    async with (
        server(folder, rate_general=Rate(0.001, 8), rate_address_factor=1.5) as running,
        contextlib.AsyncExitStack() as stack,
    ):
        people = [
            await stack.enter_async_context(
                client(
                    running.url,
                    publish=False,
                    additional_headers={"X-Forwarded-For": f"2001:db8:1:{i:x}::1"},
                )
            )
            for i in range(networks)
        ]
        friend = await stack.enter_async_context(
            client(running.url, publish=False, additional_headers={"X-Forwarded-For": "2001:db8:2::1"})
        )
        return sum([await counts(one, 8) for one in people]), await counts(friend, 8)


async def counts(one: Client, count: int) -> int:
    """How many of so many small requests are carried out."""
    for _ in range(count):
        await one.send(m.GetPrekeyCount())
    return sum([isinstance(await one.receive(), m.PrekeyCount) for _ in range(count)])


async def test_many_addresses_of_one_site_flood_no_more_than_four(tmp_path: Path) -> None:
    assert await site(tmp_path, 20) == (4 * 12 - 20, 8)  # a connection is a request as well


async def test_without_the_rate_of_sites_each_address_floods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "site_key", lambda _: None)  # the defence, off
    assert await site(tmp_path, 20) == (20 * 8, 8)


# ---------------------------------------------------------------- requests


async def knock(scene: Scene, bob: Person, count: int) -> list[Identity]:
    """So many strangers write to Bob, each once; returns when he has taken it."""
    bundle = bundle_of(bob)
    strangers = [Identity.from_seed(os.urandom(64)) for _ in range(count)]
    for stranger in strangers:
        await scene.server.forge(stranger.public, bob.key, first_message(stranger, bundle, "buy this"))
    await scene.server.drained(bob.key)
    return strangers


async def test_requests_are_fifty_at_most_and_friends_get_through(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        strangers = await knock(scene, bob, 60)
        requests = await bob.engine.contacts.requests()
        assert [request.key for request in requests] == [one.public.hex() for one in strangers[:50]]
        assert len((await state(bob))["session"]) == 50
        assert (await bob.unopened()) == ["too many requests wait already"] * 10
        await alice.says(bob, "hello", "delivered")
        assert await bob.history(alice) == ["hello"]
        # Who is declined makes room.
        await bob.engine.contacts.decline(strangers[0].public)
        [welcome] = await knock(scene, bob, 1)
        assert (await bob.engine.contacts.get(welcome.public)).request


async def test_who_found_no_room_is_asked_to_send_again_once_he_is_a_contact(folder: Path) -> None:
    async with Scene(folder) as scene:
        bob, stranger = await scene.person("bob"), await scene.person("stranger")
        await knock(scene, bob, 50)
        sent = [await stranger.says(bob, f"text {number}") for number in range(3)]
        await scene.server.drained(bob.key)
        for request in await bob.engine.contacts.requests():
            await bob.engine.contacts.decline(request.key)
        # Room alone is no consent: a friend's receipt is queued after what the stranger would have got.
        friend = await scene.person("friend")
        await bob.engine.contacts.add(friend.key)
        await friend.says(bob, "hello", "delivered")
        assert {each.recipient for each in scene.server.sent_by(bob.key)} == {friend.key}
        await bob.engine.contacts.add(stranger.key)
        for text in sent:
            assert await stranger.engine.wait(text, "delivered", timeout=10) == "delivered"
        assert await bob.history(stranger) == ["text 0", "text 1", "text 2"]


async def test_a_server_that_invents_senders_fills_no_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "MAX_UNKNOWN", 20)
    monkeypatch.setattr(receive, "_MAX_OF_REQUEST", 5)
    async with Scene(folder) as scene:
        bob = await scene.person("bob")
        await knock(scene, bob, 50)
        for _ in range(60):
            invented = os.urandom(32)
            for _ in range(7):
                await scene.server.forge(invented, bob.key, b"\x02" + os.urandom(600))
        await scene.server.drained(bob.key)
        assert len(await bob.unopened()) == 20 * 5
        assert len(await bob.engine.contacts.requests()) == 50


async def test_without_the_limit_requests_have_no_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "MAX_REQUESTS", 2**32)  # the defence, off
    async with Scene(folder) as scene:
        bob = await scene.person("bob")
        await knock(scene, bob, 60)
        assert len(await bob.engine.contacts.requests()) == 60


async def flood(scene: Scene, bob: Person, count: int) -> Identity:
    """One stranger writes so many texts before he is answered."""
    stranger = Identity.from_seed(os.urandom(64))
    session = Session.initiate(stranger, bundle_of(bob))
    for number in range(count):
        text = text_of(f"text {number}")
        payload, session = session.encrypt(text)
        await scene.server.forge(stranger.public, bob.key, payload)
    await scene.server.drained(bob.key)
    return stranger


async def test_one_stranger_writes_two_hundred_texts_at_most(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        stranger = await flood(scene, bob, 230)
        assert len(await bob.engine.history(stranger.public, limit=500)) == 200
        await alice.says(bob, "hello", "delivered")
        assert await bob.history(alice) == ["hello"]


async def test_without_the_limit_one_stranger_writes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "_MAX_OF_REQUEST", 2**32)  # the defence, off
    async with Scene(folder) as scene:
        bob = await scene.person("bob")
        stranger = await flood(scene, bob, 230)
        assert len(await bob.engine.history(stranger.public, limit=500)) == 230


# ---------------------------------------------------------------- presence


async def test_a_stranger_gets_no_receipt_and_no_sign_of_life(folder: Path) -> None:
    async with Scene(folder) as scene:
        bob, stranger = await scene.person("bob"), await scene.person("stranger")
        texts = [await stranger.says(bob, f"text {number}") for number in range(3)]
        await bob.hears("text 0", "text 1", "text 2")
        await scene.server.drained(bob.key)
        await bob.engine.mark_read(stranger.key, tell=True)
        # A friend's receipt is queued after those that a stranger would have got.
        friend = await scene.person("friend")
        await bob.engine.contacts.add(friend.key)
        await friend.says(bob, "hello", "delivered")
        assert {each.recipient for each in scene.server.sent_by(bob.key)} == {friend.key}
        assert [(await stranger.engine.message(text)).state for text in texts] == ["sent"] * 3
        # With consent, and not before, the stranger learns that they arrived.
        await bob.engine.contacts.accept(stranger.key)
        for text in texts:
            assert await stranger.engine.wait(text, "delivered", timeout=10) == "delivered"


async def test_without_consent_a_stranger_learns_who_is_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = peers.add

    def friend_at_once(tx: Tx, ed: bytes, _relation: Relation, now: int) -> Peer:
        return add(tx, ed, "contact", now)

    async with Scene(folder) as scene:
        bob, stranger = await scene.person("bob"), await scene.person("stranger")
        monkeypatch.setattr(peers, "add", friend_at_once)  # the defence, off
        assert await stranger.says(bob, "are you there?", "delivered")
