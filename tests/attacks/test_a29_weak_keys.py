"""A29: weak or non-canonical Ed25519 keys and signatures, and X25519 keys that give zero, at every place that
verifies or exchanges (docs/CRYPTO.md, Strict Ed25519 and Notation).
"""

from __future__ import annotations

import ast
import os
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import mobium
from mobium import signing
from mobium._pure.ratchet import Ratchet
from mobium.client.links import parse_contact
from mobium.crypto import Bundle, Identity, PrekeyKind, Session, SignedPrekey, _primitives, pqxdh, prekeys
from mobium.crypto.identity import verify_binding
from mobium.errors import CryptoError, Invalid, InvalidInput, MobiumError, ProtocolError, SignatureError
from mobium.protocol import codec, roster
from mobium.protocol import messages as m
from mobium.protocol.codes import CloseCode, ErrorCode
from mobium.protocol.connection import Answer, ClientConnection, LoggedIn, Refusal, ServerConnection, Welcome
from mobium.signing import SigningKey
from tests.attacks.forge import NOW, message, pair
from tests.crypto.points import ED25519_NOT_CANONICAL, ED25519_SMALL_ORDER, ORDER, X25519_SMALL_ORDER, P
from tests.support.hostile import ALLOWED

# One signature that the neutral point's key "makes" over every message: R neutral, S zero.
NEUTRAL = (1).to_bytes(32, "little")
UNIVERSAL = NEUTRAL + bytes(32)

WEAK = (*ED25519_SMALL_ORDER, *ED25519_NOT_CANONICAL)


# ---------------------------------------------------------------- signatures


def by_hand(public: bytes, signature: bytes) -> None:
    signing.verify(public, signature, b"anything")


def binding(public: bytes, signature: bytes) -> None:
    verify_binding(public, os.urandom(32), signature)


def prekey(kind: PrekeyKind) -> Callable[[bytes, bytes], None]:
    def place(public: bytes, signature: bytes) -> None:
        key = SignedPrekey(7, NOW, os.urandom(kind.public_size), signature)
        prekeys.verify_prekey(public, kind, key, NOW)

    return place


def bundle(public: bytes, signature: bytes) -> None:
    key = SignedPrekey(7, NOW, _primitives.x25519_public(os.urandom(32)), signature)
    kem = SignedPrekey(8, NOW, _primitives.kem_public(os.urandom(64)), signature)
    x_public = _primitives.x25519_public(os.urandom(32))
    offered = Bundle(public, x_public, signature, key, kem, PrekeyKind.KEM_LAST_RESORT, None)
    Session.initiate(Identity.from_seed(os.urandom(64)), offered, now=NOW)


def first_message(public: bytes, signature: bytes) -> None:
    me = Identity.from_seed(os.urandom(64))
    header = bytearray(os.urandom(pqxdh.HEADER_SIZE))
    header[0], header[1:33], header[65:129], header[169] = 2, public, signature, 2
    pqxdh.check_sender(me, pqxdh.read_header(bytes(header)), sender=public)


def server_login(public: bytes, signature: bytes) -> None:
    server = ServerConnection(SigningKey.generate(), lambda _name: True, 1 << 20)
    login = m.Auth(public, os.urandom(32), signature, os.urandom(32), "a.test:80", 1, 1, signature)
    event = server.receive(codec.encode(login))
    if isinstance(event, Refusal):
        assert (event.code, event.close) == (ErrorCode.AUTH_FAILED, CloseCode.AUTH)
        raise SignatureError(event.code)
    assert isinstance(event, LoggedIn)


def client_login(public: bytes, signature: bytes) -> None:
    client = ClientConnection(Identity.from_seed(os.urandom(64)), "a.test:80")
    assert isinstance(client.receive(codec.encode(m.AuthChallenge(os.urandom(32), public, [1]))), Answer)
    assert isinstance(client.receive(codec.encode(m.AuthSuccess(0, ALLOWED, signature))), Welcome)


NAMES = bytes(roster.SEALED_SIZE)


def created(owner: SigningKey, access: roster.Access, key: bytes) -> bytes:
    """The creation of a channel."""
    data = bytes((access,)) + key + NAMES
    return roster.build(owner, roster.Kind.CREATE, roster.ZEROS, 0, roster.ZEROS, owner.public, 5, data)


def unsigned(
    kind: roster.Kind, actor: bytes, subject: bytes, data: bytes, channel: roster.Roster | None
) -> bytes:
    """A statement that follows on the channel's head, or begins one, whatever its keys are."""
    place = bytes(68)
    if channel is not None:
        place = channel.channel_id + struct.pack(">I", channel.index + 1) + channel.head
    return struct.pack(">BB68s32s32sQH", 1, kind, place, actor, subject, 5, len(data)) + data


def by_creator(public: bytes, signature: bytes) -> None:
    data = b"\0" + SigningKey.generate().public + NAMES
    roster.Roster.begin(unsigned(roster.Kind.CREATE, public, public, data, None) + signature)


def by_actor(public: bytes, signature: bytes) -> None:
    channel = roster.Roster.begin(created(SigningKey.generate(), roster.Access.OPEN, os.urandom(32)))
    channel.append(unsigned(roster.Kind.JOIN, public, public, b"", channel) + signature)


def by_invite(public: bytes, signature: bytes) -> None:
    """A private channel whose invite key is the weak one, and a join that it signs."""
    joiner = SigningKey.generate()
    channel = roster.Roster.begin(created(SigningKey.generate(), roster.Access.PRIVATE, public))
    where = (channel.channel_id, 1, channel.head, joiner.public, 5)
    channel.append(roster.build(joiner, roster.Kind.JOIN, *where, signature))


PLACES: dict[str, Callable[[bytes, bytes], None]] = {
    "verify": by_hand,
    "identity binding": binding,
    **{f"{kind.value} prekey": prekey(kind) for kind in PrekeyKind},
    "bundle": bundle,
    "first message": first_message,
    "login at the server": server_login,
    "login at the client": client_login,
    "create statement": by_creator,
    "join statement": by_actor,
    "invite key": by_invite,
}


@pytest.mark.parametrize("place", PLACES)
def test_weak_keys_sign_nothing(place: str) -> None:
    for public in WEAK:
        with pytest.raises((SignatureError, ProtocolError)):
            PLACES[place](public, UNIVERSAL)


@pytest.mark.parametrize("place", PLACES)
def test_without_the_check_one_signature_is_good_everywhere(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "_check_point", lambda _encoded: None)  # the defence, off
    PLACES[place](NEUTRAL, UNIVERSAL)
    PLACES[place]((P + 1).to_bytes(32, "little"), UNIVERSAL)  # the same point, spelled otherwise


def test_a_weak_or_second_encoding_of_a_signature_is_refused() -> None:
    key = SigningKey.generate()
    honest = key.sign(b"anything")
    s = int.from_bytes(honest[32:], "little")
    for forged in (
        *(weak + honest[32:] for weak in WEAK),
        honest[:32] + (s + ORDER).to_bytes(32, "little"),  # S must be reduced, or a signature has two forms
        honest[:32] + (s | 1 << 255).to_bytes(32, "little"),
    ):
        with pytest.raises(SignatureError):
            signing.verify(key.public, forged, b"anything")
    signing.verify(key.public, honest, b"anything")


def test_a_weak_or_second_encoding_signs_no_statement() -> None:
    """The first half of the actor's signature, and of the invite key's in a join."""
    joiner, invited = SigningKey.generate(), SigningKey.generate()
    first = created(SigningKey.generate(), roster.Access.PRIVATE, invited.public)
    channel = roster.Roster.begin(first)
    honest = invited.sign(roster.join_input(channel.channel_id, channel.head, joiner.public))
    where = (roster.Kind.JOIN, channel.channel_id, 1, channel.head, joiner.public, 5)
    joined = roster.build(joiner, *where, honest)
    for weak in WEAK:
        for code, action in (
            ("bad_statement", partial(roster.Roster.begin, first[:-64] + weak + first[-32:])),
            ("bad_statement", partial(channel.append, joined[:-64] + weak + joined[-32:])),
            ("wrong_secret", partial(channel.append, roster.build(joiner, *where, weak + honest[32:]))),
        ):
            with pytest.raises(roster.RosterError) as refused:
                action()
            assert refused.value.code == code
    channel.append(joined)


def test_a_weak_key_is_no_subject_and_no_later_invite_key() -> None:
    owner = SigningKey.generate()
    channel = roster.Roster.begin(created(owner, roster.Access.PRIVATE, SigningKey.generate().public))
    for weak in WEAK:
        for kind, subject, key in (
            (roster.Kind.BAN, weak, SigningKey.generate().public),
            (roster.Kind.BAN, SigningKey.generate().public, weak),
            (roster.Kind.SECRET, owner.public, weak),
        ):
            said = unsigned(kind, owner.public, subject, key + NAMES, channel)
            raw = said + owner.sign(b"mobium/1 roster\0" + said)
            for verify in (True, False):
                with pytest.raises(roster.RosterError, match="key"):
                    channel.append(raw, verify=verify)


def test_without_the_check_a_weak_subject_is_banned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_check_point", lambda _encoded: None)  # the defence, off
    owner = SigningKey.generate()
    channel = roster.Roster.begin(created(owner, roster.Access.OPEN, bytes(32)))
    said = unsigned(roster.Kind.BAN, owner.public, NEUTRAL, b"\1" * 32 + NAMES, channel)
    assert NEUTRAL in channel.append(said + owner.sign(b"mobium/1 roster\0" + said)).banned


def test_a_weak_key_is_no_contact() -> None:
    for public in WEAK:
        with pytest.raises(InvalidInput):
            parse_contact(public.hex())


def test_without_the_check_a_weak_key_is_a_contact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_check_point", lambda _encoded: None)  # the defence, off
    assert parse_contact(NEUTRAL.hex()).public == NEUTRAL


def test_there_is_one_function_that_verifies() -> None:
    """Who could verify without the check would have to name the library's class."""
    package = Path(mobium.__file__).parent
    checkout = package.parents[1]
    sources = [
        path
        for folder in (package, checkout / "server_app", checkout / "client_app")
        for path in folder.rglob("*.py")
        if "build" not in path.parts
    ]
    named = {
        path.relative_to(checkout).as_posix()
        for path in sources
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.alias | ast.Name | ast.Attribute)
        and "Ed25519PublicKey" in (getattr(node, field, "") for field in ("name", "id", "attr"))
    }
    assert named == {"python/mobium/signing.py"}


# ---------------------------------------------------------------- exchanges


def initiate(kernel: type[Ratchet], public: bytes) -> None:
    kernel.initiate(os.urandom(32), public, b"", os.urandom(32))


def step(kernel: type[Ratchet], public: bytes) -> None:
    alice, bob = pair(kernel)
    first, _ = alice.encrypt(b"hello", os.urandom(16))
    _, bob = bob.decrypt(first, os.urandom(32), NOW)
    before = bob.to_bytes()
    try:
        bob.decrypt(message(public, 0, 0), os.urandom(32), NOW)
    finally:
        assert bob.to_bytes() == before


def first_step(kernel: type[Ratchet], public: bytes) -> None:
    _, bob = pair(kernel)
    bob.decrypt(message(public, 0, 0), os.urandom(32), NOW)


@pytest.mark.parametrize("place", [initiate, step, first_step])
def test_the_kernels_refuse_a_key_that_gives_zero(
    kernel: type[Ratchet], place: Callable[[type[Ratchet], bytes], None]
) -> None:
    for public in X25519_SMALL_ORDER:
        # Invalid could also be a wrong tag: the sentence tells that it did not come to that.
        with pytest.raises(CryptoError, match="small order"):
            place(kernel, public)


class Evil:
    """An identity that signs whatever it likes, and so can bind keys that are none."""

    def __init__(self) -> None:
        self.identity = Identity.from_seed(os.urandom(64))
        self.x_public = self.identity.x_public

    def bound(self, x_public: bytes) -> bytes:
        return self.identity.sign(b"mobium/1 identity binding\0" + x_public)

    def signed(self, kind: PrekeyKind, public: bytes) -> SignedPrekey:
        signed = kind.label + b"\0" + (9).to_bytes(4, "big") + NOW.to_bytes(8, "big") + public
        return SignedPrekey(9, NOW, public, self.identity.sign(signed))

    def bundle(self, weak: str, public: bytes) -> Bundle:
        good = _primitives.x25519_public(os.urandom(32))
        x_public = public if weak in ("identity", "all") else self.x_public
        return Bundle(
            self.identity.public,
            x_public,
            self.bound(x_public),
            self.signed(PrekeyKind.SIGNED, public if weak in ("signed", "all") else good),
            self.signed(PrekeyKind.KEM_LAST_RESORT, _primitives.kem_public(os.urandom(64))),
            PrekeyKind.KEM_LAST_RESORT,
            self.signed(PrekeyKind.ONE_TIME, public if weak in ("one-time", "all") else good),
        )


@pytest.mark.parametrize("weak", ["identity", "signed", "one-time"])
def test_a_bundle_with_a_key_that_gives_zero_is_refused(kernel: type[Ratchet], weak: str) -> None:
    me, evil = Identity.from_seed(os.urandom(64)), Evil()
    Session.initiate(me, evil.bundle("none", b""), now=NOW)  # what is refused below is the weak key alone
    for public in X25519_SMALL_ORDER:
        with pytest.raises(CryptoError, match="small order"):
            Session.initiate(me, evil.bundle(weak, public), now=NOW)


@pytest.mark.parametrize("weak", ["identity", "ephemeral"])
def test_a_first_message_with_a_key_that_gives_zero_is_refused(weak: str) -> None:
    me, evil = Identity.from_seed(os.urandom(64)), Evil()
    mine = prekeys.Prekeys.generate(me, NOW, 1, 1)
    honest, _ = Session.initiate(evil.identity, mine.bundle(), now=NOW).encrypt(b"hello")
    for public in X25519_SMALL_ORDER:
        forged = bytearray(honest)
        if weak == "identity":
            forged[33:65], forged[65:129] = public, evil.bound(public)
        else:
            forged[129:161] = public
        with pytest.raises(CryptoError, match="small order"):
            Session.accept(me, mine, bytes(forged), now=NOW)
    assert Session.accept(me, mine, honest, now=NOW)[0] == b"hello"


def test_an_identity_exchanges_with_no_key_that_gives_zero() -> None:
    for public in X25519_SMALL_ORDER:
        with pytest.raises(CryptoError, match="small order"):
            Identity.from_seed(os.urandom(64)).exchange(public)


def test_without_the_check_nothing_secret_goes_into_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a peer could fix all four exchanges, and only the KEM would be left."""
    real = _primitives.x25519
    given: list[bytes] = []

    def unchecked(private: bytes, public: bytes) -> bytes:
        try:
            given.append(real(private, public))
        except CryptoError:
            given.append(bytes(32))
        return given[-1]

    monkeypatch.setattr(_primitives, "x25519", unchecked)  # the defence, off
    me, evil = Identity.from_seed(os.urandom(64)), Evil()
    offered = evil.bundle("all", X25519_SMALL_ORDER[0])
    pqxdh.initiate(me, offered, os.urandom(32), NOW)
    assert given == [bytes(32)] * 4


def test_without_the_check_the_kernel_steps_with_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the next chain would follow from the root key alone: a stolen state would never heal."""
    shared: list[bytes] = []
    real = mobium._pure.ratchet._exchange

    def unchecked(private: bytes, public: bytes) -> bytes:
        shared.append(real(private, public) or bytes(32))
        return shared[-1]

    monkeypatch.setattr("mobium._pure.ratchet._exchange", unchecked)  # the defence, off
    initiate(Ratchet, X25519_SMALL_ORDER[0])
    with pytest.raises(Invalid, match="not authentic"):
        step(Ratchet, X25519_SMALL_ORDER[0])
    assert shared[0] == shared[-1] == bytes(32)


def test_a_sentence_tells_nothing_of_a_key() -> None:
    for place in (by_hand, client_login):
        with pytest.raises(MobiumError) as refused:
            place(NEUTRAL, UNIVERSAL)
        assert NEUTRAL.hex() not in str(refused.value)
