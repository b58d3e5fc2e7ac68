"""A1: the server swaps a key in a bundle: the X25519 identity, the signed, the KEM or the one-time prekey;
or a field of the handshake that was made with it (docs/CRYPTO.md section 3).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mobium.crypto import Bundle, Identity, PrekeyKind, Prekeys, Session
from mobium.crypto.prekeys import make_pair
from mobium.errors import ServerRefused
from mobium.protocol import content
from mobium.protocol import messages as m
from tests.attacks.forge import Impostor, as_wire, flipped, text_of, wire_bundle
from tests.attacks.people import Scene, state
from tests.support.hostile import altered

MALLORY = Identity.from_seed(os.urandom(64))
Swap = Callable[[m.PrekeyBundle, m.PrekeyBundle], m.PrekeyBundle]


def mallorys(kind: PrekeyKind, like: m.WirePrekey) -> m.WirePrekey:
    """A prekey of the server's own, with the id and expiry of an honest one."""
    private = os.urandom(kind.private_size)
    return as_wire(make_pair(MALLORY, kind, like.id, like.expires, private).prekey)


def kem_kind(bundle: m.PrekeyBundle) -> PrekeyKind:
    return PrekeyKind.KEM_ONE_TIME if bundle.kem_kind == 1 else PrekeyKind.KEM_LAST_RESORT


def one_time(bundle: m.PrekeyBundle) -> m.WirePrekey:
    assert bundle.one_time is not None
    return bundle.one_time


def with_public(prekey: m.WirePrekey, other: m.WirePrekey) -> m.WirePrekey:
    return altered(prekey, public=other.public)  # type: ignore[no-any-return]


# From Bob's bundle and another user's, what the server hands out as Bob's.
SWAPS: dict[str, Swap] = {
    "identity key alone": lambda b, _: altered(b, x25519_pub=MALLORY.x_public),
    "identity key and binding": lambda b, _: altered(b, x25519_pub=MALLORY.x_public, binding=MALLORY.binding),
    "identity key of another user": lambda b, c: altered(b, x25519_pub=c.x25519_pub, binding=c.binding),
    "signed prekey": lambda b, _: altered(b, signed=mallorys(PrekeyKind.SIGNED, b.signed)),
    "signed prekey under its signature": lambda b, _: altered(
        b, signed=with_public(b.signed, mallorys(PrekeyKind.SIGNED, b.signed))
    ),
    "signed prekey of another user": lambda b, c: altered(b, signed=c.signed),
    "one-time key as the signed prekey": lambda b, _: altered(b, signed=b.one_time),
    "KEM prekey": lambda b, _: altered(b, kem=mallorys(kem_kind(b), b.kem)),
    "KEM prekey of another user": lambda b, c: altered(b, kem=c.kem),
    "kind of the KEM prekey": lambda b, _: altered(b, kem_kind=3 - b.kem_kind),
    "one-time key": lambda b, _: altered(b, one_time=mallorys(PrekeyKind.ONE_TIME, one_time(b))),
    "one-time key of another user": lambda b, c: altered(b, one_time=c.one_time),
    "signed prekey as the one-time key": lambda b, _: altered(b, one_time=b.signed),
    "id of the signed prekey": lambda b, _: altered(b, signed=altered(b.signed, id=b.signed.id ^ 1 or 2)),
    "id of the KEM prekey": lambda b, _: altered(b, kem=altered(b.kem, id=b.kem.id ^ 1 or 2)),
    "id of the one-time key": lambda b, _: altered(
        b, one_time=altered(b.one_time, id=one_time(b).id ^ 1 or 2)
    ),
    "expiry": lambda b, _: altered(b, signed=altered(b.signed, expires=b.signed.expires + 86_400)),
    "everything": lambda b, c: altered(c, rid=b.rid),
    "everything, under the name that was asked for": lambda b, c: altered(c, rid=b.rid, pubkey=b.pubkey),
}


async def test_a_swapped_key_is_refused(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        carol = wire_bundle(Prekeys.generate(Identity.from_seed(os.urandom(64)), None, 1, 1).bundle(), None)
        before = await state(alice)
        text = ""
        for name, swap in SWAPS.items():
            scene.server.cheat.bundle = lambda _asker, bundle, swap=swap: swap(bundle, carol)  # type: ignore[misc]
            text = await alice.says(bob, "for Bob alone", until=None)
            with pytest.raises(ServerRefused) as refused:
                await alice.engine.wait(text, "sent", timeout=10)
            assert refused.value.code == "bad_keys", name
            after = await state(alice)
            assert len(after.pop("message")) > 0
            assert after == {table: rows for table, rows in before.items() if table != "message"}, name
        assert scene.server.sent == []

        scene.server.be_honest()
        await alice.engine.retry(text)
        await bob.hears("for Bob alone")
        assert await alice.engine.wait(text, "delivered", timeout=10) == "delivered"


HANDSHAKE_FIELDS = {
    "version": 0,
    "identity": 1,
    "X25519 identity": 33,
    "binding": 65,
    "ephemeral key": 129,
    "id of the signed prekey": 164,
    "id of the one-time key": 168,
    "kind of the KEM prekey": 169,
    "id of the KEM prekey": 173,
    "KEM ciphertext": 174,
    "end of the KEM ciphertext": 1_741,
}
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    name: lambda payload, at=at: flipped(payload, 8 * at)  # type: ignore[misc]
    for name, at in HANDSHAKE_FIELDS.items()
}
CHANGES["one-time key taken away"] = lambda payload: payload[:165] + bytes(4) + payload[169:]


async def test_a_changed_handshake_is_refused(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await bob.patient()
        before = await state(bob)
        for number, (name, change) in enumerate(CHANGES.items(), 1):
            scene.server.cheat.forward = lambda envelope, change=change: [  # type: ignore[misc]
                envelope.changed(payload=change(envelope.payload))
            ]
            await alice.says(bob, "changed on its way")
            await scene.server.drained(bob.key)
            assert await state(bob) == before, name
            assert len(await bob.unopened()) == number, name

        scene.server.be_honest()
        await alice.says(bob, "the next one")
        await bob.hears("the next one")


async def test_without_the_signatures_the_server_reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        mallory = Impostor(bob.key)
        keys = Prekeys.generate(mallory, None, 1, 1)
        scene.server.cheat.bundle = lambda _asker, bundle: wire_bundle(keys.bundle(), bundle.rid)
        monkeypatch.setattr(Bundle, "verify", lambda _bundle, _now: None)  # the defence, off
        await alice.says(bob, "for Bob alone")
        [envelope] = scene.server.sent_by(alice.key)
        plaintext, session, _ = Session.accept(mallory, keys, envelope.payload)
        read = content.decode(plaintext, "message")
        assert isinstance(read, content.Text)
        assert read.text == "for Bob alone"
        answer, _ = session.encrypt(text_of("as if from Bob"))
        await scene.server.forge(bob.key, alice.key, answer)
        await alice.hears("as if from Bob")
