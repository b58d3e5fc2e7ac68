"""A28: the server changes the delivery id or answers for another message; somebody attaches a receipt to a
message that was not sent to him; content of one kind comes in the frame of another (docs/PROTOCOL.md, Two ids
and Content).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import pytest

from mobium.client.outbox import Outbox
from mobium.client.store import messages
from mobium.client.store.database import Tx
from mobium.client.store.messages import Message
from mobium.errors import ProtocolError
from mobium.protocol import content
from mobium.protocol import messages as m
from tests.attacks.people import Scene, acquainted, state
from tests.attacks.rooms import says_pairwise


async def test_a_changed_delivery_id_changes_nothing(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        scene.server.cheat.forward = lambda envelope: [
            envelope.changed(id=os.urandom(16)),
            envelope.changed(id=bytes(16)),
            envelope,
        ]
        for number in range(5):
            sent = await alice.says(bob, f"text {number}", "delivered")
            assert (await alice.engine.message(sent)).state == "delivered"
        await scene.server.drained(bob.key)
        await bob.hears(*(f"text {number}" for number in range(5)))
        assert len(await bob.history(alice)) == 5


async def test_an_answer_for_another_message_changes_none(folder: Path) -> None:
    """It says that something was taken that was not: then it is sent again, as if it had not been said."""
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        first = await alice.says(bob, "first", "delivered")
        old = scene.server.sent_by(alice.key)[0].id
        scene.server.cheat.answer = lambda sent: m.Accepted(old, sent.rid)
        scene.server.cheat.forward = lambda _: ()
        already = len(scene.server.sent_by(alice.key))
        second = await alice.says(bob, "second", until=None)
        await scene.server.until(lambda: len(scene.server.sent_by(alice.key)) > already, "the second")
        for delivery in (old, os.urandom(16), bytes(16)):
            await scene.server.say(
                alice.key, m.Accepted(delivery), m.Error("queue_full", "no", None, delivery)
            )
        before = await state(alice)
        scene.server.be_honest()
        assert (await alice.engine.message(first)).state == "delivered"
        assert (await alice.engine.message(second)).state == "queued"
        assert any(second == row[2].hex() for row in before["message"])
        await scene.server.cut(alice.key)
        alice.engine._online.link.retry_now()  # type: ignore[union-attr]
        assert await alice.engine.wait(second, "delivered", timeout=15) == "delivered"
        await bob.hears("first", "second")


async def test_without_the_delivery_id_a_message_is_believed_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Outbox.answer

    def for_the_first(outbox: Outbox, delivery: bytes, error: m.Error | None) -> None:
        answer(outbox, next(iter(outbox._lanes._flights), delivery), error)

    monkeypatch.setattr(Outbox, "answer", for_the_first)  # the defence, off
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        scene.server.cheat.answer = lambda sent: m.Accepted(bytes(16), sent.rid)
        scene.server.cheat.forward = lambda _: ()
        sent = await alice.says(bob, "never taken", until=None)
        assert await alice.engine.wait(sent, "sent", timeout=10) == "sent"


async def test_a_receipt_counts_from_its_reader_alone(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob, carol = [await scene.person(name) for name in ("alice", "bob", "carol")]
        await acquainted(alice, bob, carol)
        await carol.says(alice, "hello", "delivered")
        scene.server.hold(bob.key)
        for_bob = await alice.says(bob, "for Bob alone")
        for what in ("delivered", "read"):
            await says_pairwise(
                carol, alice, content.Receipt(os.urandom(16), 0, what, [bytes.fromhex(for_bob)])
            )
        await scene.server.drained(alice.key)
        assert (await alice.engine.message(for_bob)).state == "sent"
        # Nor does one that names a message of the reader himself, or nothing.
        await says_pairwise(carol, alice, content.Receipt(os.urandom(16), 0, "read", [os.urandom(16)]))
        await scene.server.release(bob.key)
        assert await alice.engine.wait(for_bob, "delivered", timeout=10) == "delivered"
        await carol.says(alice, "the next one", "delivered")
        await alice.hears("hello", "the next one")


async def test_without_the_peer_anybody_attaches_receipts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = messages.find_outgoing

    def anybodys(tx: Tx, content_id: bytes, _peer: int | None = None) -> Message | None:
        return real(tx, content_id)

    monkeypatch.setattr(messages, "find_outgoing", anybodys)  # the defence, off
    async with Scene(folder) as scene:
        alice, bob, carol = [await scene.person(name) for name in ("alice", "bob", "carol")]
        await acquainted(alice, bob, carol)
        scene.server.hold(bob.key)
        for_bob = await alice.says(bob, "for Bob alone")
        await says_pairwise(
            carol, alice, content.Receipt(os.urandom(16), 0, "read", [bytes.fromhex(for_bob)])
        )
        assert await alice.engine.wait(for_bob, "read", timeout=10) == "read"


async def test_a_content_id_belongs_to_its_sender(folder: Path) -> None:
    """Carol cannot keep Bob's text from being shown by sending one of the same id first, nor replace it."""
    async with Scene(folder) as scene:
        alice, bob, carol = [await scene.person(name) for name in ("alice", "bob", "carol")]
        await acquainted(alice, bob, carol)
        await bob.says(alice, "hello", "delivered")
        await alice.hears("hello")
        scene.server.hold(alice.key)
        from_bob = bytes.fromhex(await bob.says(alice, "from Bob"))
        await says_pairwise(carol, alice, content.Text(from_bob, 0, "from Carol"))
        await scene.server.release(alice.key, lambda mailbox: mailbox[::-1])
        await alice.hears("from Carol", "from Bob")
        await says_pairwise(carol, alice, content.Text(from_bob, 0, "from Carol again"))
        await scene.server.drained(alice.key)
        assert await alice.history(bob) == ["hello", "from Bob"]
        assert await alice.history(carol) == ["from Carol"]


CLASSES = ("message", "channel_message", "sender_key_distribution", "voice_signal", "ack", "")
CONTENTS: list[tuple[content.Content, str]] = [
    (content.Text(bytes(16), 0, "text"), "message"),
    (content.Receipt(bytes(16), 0, "read", [bytes(16)]), "message"),
    (content.Retry(bytes(16), 0, [bytes(32)]), "message"),
    (content.ChannelSecret(bytes(16), 0, bytes(32), bytes(32)), "message"),
    (content.RosterHead(bytes(16), 0, bytes(32), 1, bytes(32)), "message"),
    (content.ChainRequest(bytes(16), 0, bytes(32), 1), "message"),
    (content.ChannelText(bytes(16), 0, "text", (1, bytes(32))), "channel_message"),
    (content.Distribution(bytes(16), 0, bytes(142)), "sender_key_distribution"),
    (content.Signals(bytes(16), 0, [bytes(36)]), "message"),
    (content.Call(bytes(16), 0, bytes(16), "ringing"), "voice_signal"),
    (content.MediaKey(bytes(16), 0, bytes(32), 1, 1, 1 << 31, bytes(32)), "voice_signal"),
    (content.MediaRequest(bytes(16), 0, bytes(32), 1, 1, "key"), "voice_signal"),
]


@pytest.mark.parametrize("delivered_in", CLASSES)
def test_a_known_kind_in_the_frame_of_another_is_refused(delivered_in: str) -> None:
    assert {type(one) for one, _ in CONTENTS} == set(get_args(content.Content))
    for one, belongs in CONTENTS:
        if belongs == delivered_in:
            assert content.decode(content.encode(one), delivered_in) == one
        elif isinstance(one, content.ChannelText) and delivered_in == "message":
            # Whoever encrypted it pairwise might as well have written it so: it is a text to one person.
            assert isinstance(content.decode(content.encode(one), delivered_in), content.Text)
        else:
            with pytest.raises(ProtocolError):
                content.decode(content.encode(one), delivered_in)


def test_without_the_classes_any_frame_brings_any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = CONTENTS[0]
    monkeypatch.setattr(content, "_form", lambda _kind, _class: type(one))  # the defence, off
    assert content.decode(content.encode(one), "voice_signal") == one
