"""A7: both write first at the same moment, and the server loses or delays either first message: there is one
conversation, and every message is shown (docs/CRYPTO.md section 3, several sessions).
"""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from mobium.client import direct
from mobium.client.store.cache import Held
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.crypto import Identity, Session
from tests.attacks.forge import PREKEY_HEADER
from tests.attacks.people import Person, Scene
from tests.support.engines import tx
from tests.support.hostile import Envelope


async def active(person: Person) -> bytes:
    """The handshake of the session in which this person sends."""

    def read(tx: Tx) -> bytes:
        handshake: bytes = tx.value("SELECT handshake FROM session WHERE NOT receive_only ORDER BY rank DESC")
        return handshake

    return await tx(person.engine, read)


async def shown(reader: Person, writer: Person) -> list[str | None]:
    return [line.text for line in await reader.engine.history(writer.key) if not line.outgoing]


async def cross(scene: Scene, lost: str) -> tuple[Person, Person, list[Envelope]]:
    """Both have written first, neither has heard the other; `lost` is who is not heard even now."""
    people = await scene.pair()
    small, large = sorted(people, key=lambda person: person.key)
    for person in (small, large):
        scene.server.hold(person.key)
    await small.says(large, "small 0")
    await large.says(small, "large 0")
    withheld = []
    for name, writer, reader in (("small", small, large), ("large", large, small)):
        account = scene.server.accounts[reader.key]
        if lost in (name, "both"):
            withheld += [each for each in account.mailbox if each.sender == writer.key]
            account.mailbox.clear()
    for person in (small, large):
        await scene.server.release(person.key)
        await scene.server.drained(person.key)
    return small, large, withheld


@pytest.mark.parametrize("lost", ["neither", "small", "large", "both"])
async def test_there_is_one_conversation(lost: str, folder: Path) -> None:
    async with Scene(folder) as scene:
        small, large, withheld = await cross(scene, lost)
        for number in (1, 2, 3):
            await small.says(large, f"small {number}", "delivered")
            await large.says(small, f"large {number}", "delivered")
        assert await active(small) == await active(large)
        # It was the network after all: what was lost comes late, and is shown late.
        await scene.server.put(*withheld)
        for person in (small, large):
            await scene.server.drained(person.key)
        for reader, writer, name in ((large, small, "small"), (small, large, "large")):
            texts = [f"{name} {number}" for number in range(4)]
            late = [texts.pop(0)] if lost in (name, "both") else []
            assert await shown(reader, writer) == texts + late
        await small.says(large, "the next one", "delivered")
        await large.says(small, "and the next", "delivered")
        assert await active(small) == await active(large)
        # The header goes in front only until the first answer.
        assert [each.payload[0] for each in scene.server.sent[-2:]] == [1, 1]


async def test_without_the_rule_each_goes_on_in_a_session_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = direct._admit

    def stubborn(tx: Tx, identity: Identity, peer: Peer, session: Session, now: int) -> Held:
        return admit(tx, identity, msgspec.structs.replace(peer, ed=b"\xff" * 32), session, now)

    monkeypatch.setattr(direct, "_admit", stubborn)  # the defence, off: mine always stays
    async with Scene(folder) as scene:
        small, large, _ = await cross(scene, "neither")
        for number in (1, 2, 3):
            await small.says(large, f"small {number}")
            await large.says(small, f"large {number}")
        for person in (small, large):
            await scene.server.drained(person.key)
        assert await active(small) != await active(large)
        assert {each.payload[0] for each in scene.server.sent} == {2}


async def test_without_the_handshake_in_front_a_lost_first_message_takes_all_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt = Session.encrypt

    def bare(session: Session, plaintext: bytes) -> tuple[bytes, Session]:
        payload, following = encrypt(session, plaintext)
        return payload[PREKEY_HEADER if next(calls) else 0 :], following

    calls = itertools.count()
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await bob.patient()
        monkeypatch.setattr(Session, "encrypt", bare)  # the defence, off: the header goes once
        scene.server.cheat.forward = lambda envelope: () if envelope.payload[0] == 2 else (envelope,)
        await alice.says(bob, "lost")
        await alice.says(bob, "and this with it")
        await scene.server.drained(bob.key)
        assert await shown(bob, alice) == []
