"""The engine as programs see it: profiles, connecting, events, history, export, locking."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mobium.client import ConnectionChanged, Engine, MessageReceived
from mobium.client import receive as receiving
from mobium.client.address import Address
from mobium.client.online import Online
from mobium.client.profile_lock import ProfileLock
from mobium.client.store.database import Tx
from mobium.client.transport import Transport
from mobium.errors import (
    InvalidInput,
    NotConnected,
    RecoveryError,
    ServerKeyChanged,
    StoreError,
    WrongPassword,
)
from mobium.signing import SigningKey
from tests.support.engines import PASSWORD, Ear, World, settle, until
from tests.support.hostile import HostileServer

OTHER = "another long password"


async def has_text(engine: Engine) -> bool:
    return bool(await engine.unread())


async def test_a_profile_is_made_once_and_opened_with_its_password(world: World) -> None:
    words = await world.create("alice")
    assert len(words.split()) == 24
    with pytest.raises(StoreError, match="already"):
        await world.create("alice")
    with pytest.raises(StoreError, match="already"):
        await Engine.recover(world.path("alice"), PASSWORD, words)
    with pytest.raises(WrongPassword):
        async with Engine.open(world.path("alice"), OTHER):
            pass
    with pytest.raises(StoreError, match="no profile"):
        async with Engine.open(world.path("nobody"), PASSWORD):
            pass
    with pytest.raises(InvalidInput):
        await Engine.create(world.path("weak"), "short")
    assert not world.path("weak").exists()
    async with world.opened("alice", connect=False) as alice:
        assert len(alice.me) == 64
        await alice.change_password(PASSWORD, OTHER)
        with pytest.raises(WrongPassword):
            await alice.change_password(PASSWORD, OTHER)
    async with Engine.open(world.path("alice"), OTHER) as alice:
        assert alice.me


async def test_the_words_bring_the_identity_back(world: World) -> None:
    words = await world.create("alice")
    async with world.opened("alice", connect=False) as alice:
        key = alice.me
    await Engine.recover(world.path("again"), OTHER, words.upper().replace(" ", "\n"))
    async with Engine.open(world.path("again"), OTHER) as again:
        assert again.me == key
    with pytest.raises(RecoveryError, match="Word 3"):
        await Engine.recover(
            world.path("typo"), OTHER, " ".join([*words.split()[:2], "zzzz", *words.split()[3:]])
        )
    assert not world.path("typo").exists()


async def test_a_second_process_is_kept_out(world: World) -> None:
    await world.create("alice")
    code = (
        "import sys, mobium.client.profile_lock as p, pathlib\n"
        "try: p.ProfileLock(pathlib.Path(sys.argv[1]))\n"
        "except Exception as e: print(e)\n"
        "else: print('taken')"
    )

    def other() -> str:
        command = [sys.executable, "-c", code, str(world.path("alice"))]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    async with world.opened("alice", connect=False):
        assert "open in another program" in await asyncio.to_thread(other)
        with pytest.raises(StoreError, match="another program"):
            async with world.opened("alice", connect=False):
                pass
    assert await asyncio.to_thread(other) == "taken\n"


def test_a_child_that_was_begun_meanwhile_keeps_nobody_out(tmp_path: Path) -> None:
    # Until it has become its program, and a fork for good, a child has what its parent had open.
    lock = ProfileLock(tmp_path)
    assert lock._file is not None
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[lock._file]):
        lock.release()
        ProfileLock(tmp_path).release()


async def test_a_foreign_or_damaged_database_is_left_as_it_is(world: World) -> None:
    await world.create("alice")
    database = world.path("alice") / "mobium.db"
    for wrong in (b"not a database at all" * 500, (world.path("alice") / "vault").read_bytes()):
        database.write_bytes(wrong)
        with pytest.raises(StoreError, match="left as it is"):
            async with world.opened("alice", connect=False):
                pass
        assert database.read_bytes() == wrong
    async with world.opened("bob", connect=False):
        pass
    database.write_bytes((world.path("bob") / "mobium.db").read_bytes())
    with pytest.raises(StoreError, match="does not belong"):
        async with world.opened("alice", connect=False):
            pass


async def test_what_the_body_raises_comes_out_as_it_was(world: World) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with world.opened("alice"):
            raise KeyError("mine")
    with pytest.raises(InvalidInput):
        async with world.opened("alice", connect=False) as alice:
            await alice.send("nobody", "hello")


async def test_locking_ends_everything(world: World) -> None:
    async with world.opened("alice") as alice:
        stream = alice.events()
        await alice.lock_profile()
        assert [event async for event in stream if isinstance(event, MessageReceived)] == []
        calls = (alice.conversations, alice.contacts.list, alice.contact_link, alice.connect)
        for call in calls:
            with pytest.raises(StoreError, match="locked"):
                await call()
        await alice.lock()
        # The folder is free for the next one at once.
        async with world.opened("alice", connect=False):
            pass


async def test_connecting_tells_what_happens(world: World, server: HostileServer) -> None:
    alice = await world.engine("alice", connect=False)
    with pytest.raises(InvalidInput, match="no server"):
        await alice.connect()
    with pytest.raises(InvalidInput):
        await alice.connect("https://server.test")
    assert await alice.server() is None
    states = [alice.connection]
    ear = Ear(alice)
    await alice.connect(server.url)
    assert [*states, alice.connection] == ["offline", "online"]
    await ear.connection("online")
    info = await alice.server()
    assert info is not None
    assert (info.url, info.key, info.offered_key) == (server.url, server.key.public.hex(), "")
    await server.cut(bytes.fromhex(alice.me))
    waiting = await ear.connection("waiting")
    assert waiting.reason
    assert waiting.retry_in is not None
    await alice.connect()  # tries at once
    await ear.connection("online")
    await alice.disconnect()
    assert (await ear.connection("offline")).reason == ""
    await alice.connect()
    await ear.connection("online")
    assert await alice.contact_link() == f"mobium://contact/{alice.me}?server=ws://server.test"


async def test_a_server_that_is_not_there_is_tried_again(world: World, server: HostileServer) -> None:
    there = False

    async def connector(address: Address) -> Transport:
        if not there:
            raise NotConnected("Nobody answers.")
        return await server.connect(address)

    alice = await world.engine("alice", connect=False, connector=connector, uniform=lambda _a, _b: 0.0)
    ear = Ear(alice)
    with pytest.raises(NotConnected, match="Nobody answers"):
        await alice.connect(server.url)
    there = True
    await ear.connection("online")


async def test_a_mistyped_server_is_not_remembered(world: World, server: HostileServer) -> None:
    async def connector(address: Address) -> Transport:
        if address.url != server.url:
            raise NotConnected("Nobody answers.")
        return await server.connect(address)

    async with world.opened("alice", connect=False, connector=connector) as alice:
        with pytest.raises(NotConnected):
            await alice.connect("ws://sever.test")
        assert (info := await alice.server()) is not None
        assert info.url == "ws://sever.test/ws", "there is no other yet"
        await alice.connect("ws://server.test")
        with pytest.raises(NotConnected):
            await alice.connect("ws://serve.test")
        assert (info := await alice.server()) is not None
        assert (info.url, info.key) == ("ws://server.test/ws", server.key.public.hex())
        with pytest.raises(NotConnected):
            await alice.connect("wss://server.test:80")  # the same host, and no TLS there
    async with world.opened("alice", connect=False, connector=connector) as alice:
        assert (info := await alice.server()) is not None
        assert info.url == "ws://server.test/ws"
        await alice.connect()


async def test_a_connection_that_is_given_up_before_it_began_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await world.engine("alice", connect=False)
    start = alice._connecting._start

    async def started(url: str | None) -> Online:
        begun = await start(url)
        await alice._connecting._stop()  # before its task has had its first turn
        return begun

    monkeypatch.setattr(alice._connecting, "_start", started)
    async with asyncio.timeout(10):
        with pytest.raises(NotConnected, match="given up"):
            await alice.connect(world.url)
    assert alice.connection == "offline"


async def test_a_disk_that_is_full_for_a_while_ends_no_connection(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.online._FIRST_PAUSE", 0.05)
    alice, bob = await world.pair()
    ear, real, full = Ear(bob), receiving.receive, [True, True]

    def receive(*args: Any) -> bool:
        if full:
            full.pop()
            raise StoreError("The disk is full, so nothing was changed; make room and try again.")
        return real(*args)

    monkeypatch.setattr("mobium.client.inbox.receive", receive)
    sent = [await alice.send("Bob", f"{number}") for number in range(3)]
    waits = []
    for _ in range(2):
        told = await ear.connection("waiting")
        assert "disk is full" in told.reason
        waits.append(told.retry_in)
    assert waits == [0.05, 0.1]
    assert await ear.texts(3) == ["0", "1", "2"]
    assert bob.connection == "online"
    for each in sent:
        await alice.wait(each, "delivered", 5)


async def test_a_full_disk_can_be_given_up_and_tried_again(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.online._FIRST_PAUSE", 600.0)
    alice, bob = await world.pair()
    ear, real = Ear(bob), receiving.receive

    def receive(*_: Any) -> bool:
        raise StoreError("The disk is full, so nothing was changed; make room and try again.")

    monkeypatch.setattr("mobium.client.inbox.receive", receive)
    await alice.send("Bob", "hello")
    await ear.connection("waiting")
    await bob.disconnect()
    assert (await ear.connection("offline")).reason == ""
    await bob.connect(wait=False)
    await ear.connection("waiting")
    monkeypatch.setattr("mobium.client.inbox.receive", real)
    await bob.connect(wait=False)  # tries at once
    await ear.text("hello")


async def test_a_message_may_be_named_in_capitals(world: World) -> None:
    alice, bob = await world.pair()
    await alice.disconnect()
    sent = await alice.send(bob.me, "hello")
    waiting = asyncio.create_task(alice.wait(f" {sent.upper()} ", "sent", 10))
    await asyncio.sleep(0)  # it asks the store, which answers in order
    await alice.connect()
    assert await waiting in {"sent", "delivered"}


async def test_another_server_key_is_refused_until_it_is_accepted(
    world: World, server: HostileServer
) -> None:
    other = SigningKey.generate()
    async with world.opened("alice") as alice:
        await settle(alice)
    server.key, honest = other, server.key
    alice = await world.engine("alice", connect=False)
    with pytest.raises(InvalidInput):
        await alice.accept_server_key()
    ear = Ear(alice)
    with pytest.raises(ServerKeyChanged):
        await alice.connect()
    offline = await ear.connection("offline")
    assert "another key" in offline.reason
    info = await alice.server()
    assert info is not None
    assert (info.key, info.offered_key) == (honest.public.hex(), other.public.hex())
    with pytest.raises(InvalidInput):
        await alice.accept_server_key(honest.public.hex())
    await alice.accept_server_key(other.public.hex())
    await alice.connect()
    await ear.connection("online")


async def test_events_are_kept_for_the_first_stream_and_shared_by_all(world: World) -> None:
    alice, bob = await world.pair()
    await bob.send("Alice", "early")
    await until(lambda: has_text(alice))
    first, second = Ear(alice), Ear(alice)
    assert (await first.text()).text == "early"
    assert any(isinstance(event, ConnectionChanged) for event in first.heard)
    await bob.send("Alice", "late")
    assert (await first.text()).text == "late"
    assert (await second.text()).text == "late"
    stream = alice.events()
    await stream.aclose()
    assert [event async for event in stream] == []


async def test_history_is_paged_and_unread_is_counted(world: World) -> None:
    alice, bob = await world.pair()
    ear = Ear(bob)
    for number in range(7):
        await alice.send("Bob", f"{number}")
    await ear.texts(7)
    assert await bob.unread() == {alice.me: 7}
    last = await bob.history("Alice", limit=3)
    assert [line.text for line in last] == ["4", "5", "6"]
    before = await bob.history("Alice", before=last[0].position, limit=10)
    assert [line.text for line in before] == ["0", "1", "2", "3"]
    await bob.mark_read("Alice", before[-1].position)
    assert await bob.unread() == {alice.me: 3}
    await bob.mark_read("Alice", tell=True)
    assert await bob.unread() == {}
    sent = (await alice.history("Bob"))[-1].id
    assert await alice.wait(sent, "read", 5) == "read"
    await bob.mark_read("Alice", 2**62)
    await alice.send("Bob", "not there yet")
    await ear.text()
    assert await bob.unread() == {alice.me: 1}
    await bob.mark_read("Alice")
    [conversation] = await bob.conversations()
    assert (conversation.nickname, conversation.unread, conversation.last.text) == (
        "Alice",
        0,
        "not there yet",
    )
    with pytest.raises(InvalidInput):
        await bob.history("Alice", limit=0)
    assert await bob.history(bytes.fromhex(alice.me), before=0) == []


async def test_the_export_is_json_and_holds_everything(world: World, tmp_path: Path) -> None:
    alice, bob = await world.pair()
    ear = Ear(bob)
    await alice.send("Bob", "keep this")
    await ear.text()
    lines = [json.loads(json.dumps(line)) async for line in bob.export()]
    assert [line["type"] for line in lines] == ["profile", "contact", "message"]
    assert (lines[0]["key"], lines[1]["nickname"], lines[2]["text"]) == (bob.me, "Alice", "keep this")


async def test_two_profiles_of_one_process_share_nothing(world: World) -> None:
    alice, bob = await world.pair()
    assert alice.me != bob.me
    assert await bob.history(alice.me) == []
    assert await alice.contacts.list() != await bob.contacts.list()


async def test_a_full_disk_is_one_sentence_and_nothing_is_acknowledged(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await world.pair()
    ear = Ear(alice)

    def full(*_: object) -> None:
        raise StoreError("The disk is full, so nothing was changed; make room and try again.")

    with monkeypatch.context() as patch:
        patch.setattr("mobium.client.store.database.Store._commit", full)
        await server.forge(bytes.fromhex(bob.me), bytes.fromhex(alice.me), b"\x01" * 569)
        assert "disk is full" in (await ear.connection("waiting")).reason
    assert server.accounts[bytes.fromhex(alice.me)].mailbox, "nothing was acknowledged"
    await alice.connect()
    await server.drained(bytes.fromhex(alice.me))


async def test_a_full_disk_at_the_hourly_maintenance_ends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[int] = []

    def full(_tx: Tx, now: int) -> None:
        met.append(now)
        raise StoreError("The disk is full, so nothing was changed; make room and try again.")

    monkeypatch.setattr("mobium.client.engine.maintain", full)
    alice, bob = await world.pair()
    ear = Ear(bob)
    await alice.send(bob.me, "still here")
    assert (await ear.text()).text == "still here"
    assert len(met) == 2, "each of them was maintained at its opening"
