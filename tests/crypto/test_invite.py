"""A channel's secret: the invite key, the names, and what an attacker who has it may have sealed."""

from __future__ import annotations

import unicodedata
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from mobium.crypto import invite
from mobium.errors import CryptoError, Invalid, InvalidInput
from mobium.protocol import statement
from mobium.text import cleaned, misleads, names_ad

SECRET = bytes(range(32))
ACTOR = b"a" * 32
NONCE = bytes(12)


def seal(name: str, topic: str = "") -> bytes:
    return invite.seal_names(SECRET, name, topic, ACTOR, 7, NONCE)


def sealed_by_anyone(plaintext: bytes) -> bytes:
    """What somebody who has the secret can seal."""
    padded = plaintext.ljust(512, b"\0")
    return NONCE + AESGCM(invite.names_key(SECRET)).encrypt(NONCE, padded, names_ad(ACTOR, 7))


def texts(name: bytes, topic: bytes = b"") -> bytes:
    return b"".join(len(text).to_bytes(2, "big") + text for text in (name, topic))


def opened(sealed: bytes) -> tuple[str, str]:
    return invite.open_names(SECRET, sealed, ACTOR, 7)


def test_a_secret_is_fresh() -> None:
    secrets = {invite.new_secret() for _ in range(20)}
    assert len(secrets) == 20
    assert {len(secret) for secret in secrets} == {32}
    assert len({invite.invite_key(secret).public for secret in secrets}) == 20
    assert invite.names_key(SECRET) != invite.invite_key(SECRET).seed


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_has_32_bytes(size: int) -> None:
    for use in (
        invite.invite_key,
        invite.names_key,
        lambda secret: invite.seal_names(secret, "general", "", ACTOR, 7, NONCE),
        lambda secret: invite.open_names(secret, seal("general"), ACTOR, 7),
    ):
        with pytest.raises(CryptoError, match="32 bytes"):
            use(bytes(size))


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("general", ""),
        ("g", "what is new"),
        ("т" * 64, "т" * 190),
        ("x" * 64, "y" * 380),
        ("🐟" * 32, "❤️"),
        ("two words", "café 🐟, 50 %"),
    ],
)
def test_round_trip(name: str, topic: str) -> None:
    sealed = seal(name, topic)
    assert len(sealed) == invite.SEALED_SIZE == statement.SEALED_SIZE
    assert opened(sealed) == (name, topic)


def test_names_are_sealed_in_one_form() -> None:
    assert opened(seal("  cafe\u0301 ", " a ")) == ("caf\u00e9", "a")
    assert invite.check_names(" general ") == ("general", "")


MISLEADING = (
    "a\0",
    "a\n",
    "a\tb",
    "a\x7f",
    "a\x85b",
    "a\u00adb",
    "a\u200bb",
    "a\u202eb",
    "a\u2066b",
    "a\u2028b",
    "a\u00a0b",
    "a\u3000b",
    "a\ufeff",
    "a\ud800",
    "a\ue000",
    "a\uffff",
    "a\U000e0041",
    "a\U000e0100",
    "\u3164",
    "a\u115f",
    "a\u2800",
    "a\u034f",
    "\u0301a",
    "a  b",
)


@pytest.mark.parametrize("text", MISLEADING)
def test_what_misleads_is_not_sealed(text: str) -> None:
    for name, topic in ((text, ""), ("general", text)):
        with pytest.raises(InvalidInput, match="invisible"):
            seal(name, topic)


@pytest.mark.parametrize(
    "name",
    ["", " ", "x" * 65, "\u6f22" * 43, "#general", "mobium://join/x", "ab" * 32, "AB" * 32],
)
def test_what_is_no_name_is_not_sealed(name: str) -> None:
    with pytest.raises(InvalidInput, match="channel's name"):
        seal(name)


def test_a_topic_has_380_bytes() -> None:
    for topic in ("y" * 381, "т" * 191):
        with pytest.raises(InvalidInput, match="380"):
            seal("general", topic)


@pytest.mark.parametrize("size", [0, 11, 13])
def test_a_nonce_has_12_bytes(size: int) -> None:
    with pytest.raises(CryptoError, match="12 bytes"):
        invite.seal_names(SECRET, "general", "", ACTOR, 7, bytes(size))


def test_names_open_in_their_place_alone() -> None:
    sealed = seal("general", "topic")
    for secret, actor, index in (
        (bytes(32), ACTOR, 7),
        (SECRET, b"b" * 32, 7),
        (SECRET, ACTOR, 8),
        (SECRET, ACTOR, 0),
    ):
        with pytest.raises(Invalid):
            invite.open_names(secret, sealed, actor, index)


def test_every_byte_counts() -> None:
    sealed = seal("general", "topic")
    for place in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[place] ^= 1
        with pytest.raises(Invalid):
            opened(bytes(flipped))
    for size in (*range(0, 540, 13), 539, 541):
        with pytest.raises(Invalid):
            opened(sealed[:size].ljust(size, b"\0"))


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        texts(b"", b"topic"),
        texts(b"x" * 129),
        texts(b"x" * 65),  # 64 characters, though the bytes would fit
        texts(b"general", b"y" * 381),
        b"\xff\xff" + b"x" * 510,
        b"\0\x05gener\xff\xff",
        b"\x01\xfe" + b"x" * 510,
        texts(b"\xff\xfe"),
        texts(b"general", b"\xc3"),
        texts(b"\xed\xa0\x80"),  # a surrogate
        texts(b"general", b"topic") + b"\1",
        texts(b"general", b"topic").ljust(511, b"\0") + b"\1",
        texts(b" "),
        texts("\u3164\u200b".encode()),
        texts("\u0301".encode()),
    ],
)
def test_what_an_attacker_seals_as_no_names_is_refused(plaintext: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        opened(sealed_by_anyone(plaintext))
    assert caught.value.__cause__ is None
    assert "general" not in str(caught.value)


@pytest.mark.parametrize(
    ("sealed", "shown"),
    [
        ("gen\u202eeral", "general"),
        ("\x1b[2Jgeneral\x07", "[2Jgeneral"),
        ("a\nb\u2028c", "a b c"),
        ("  a \u00a0 b  ", "a b"),
        ("\u0301\u200b a", "a"),
        ("e\u200b\u0301", "\u00e9"),
        ("a\U000e0041\ufeff", "a"),
        ("#general", "#general"),
    ],
)
def test_what_an_attacker_seals_is_made_harmless(sealed: str, shown: str) -> None:
    assert opened(sealed_by_anyone(texts(sealed.encode(), sealed.encode()))) == (shown, shown)


@given(st.text(max_size=40))
def test_cleaned_text_misleads_nobody(text: str) -> None:
    shown = cleaned(text)
    assert not misleads(shown)
    assert cleaned(shown) == shown == unicodedata.normalize("NFC", shown)
    assert shown.strip() == shown
    assert "  " not in shown


@given(st.binary(max_size=512))
def test_whatever_was_sealed_is_opened_harmless_or_refused(plaintext: bytes) -> None:
    try:
        name, topic = opened(sealed_by_anyone(plaintext))
    except Invalid:
        return
    assert not misleads(name + topic)
    assert 0 < len(name) <= invite.MAX_NAME


@given(st.text(max_size=70), st.text(max_size=100))
def test_what_is_sealed_is_opened_as_it_is(name: str, topic: str) -> None:
    try:
        checked = invite.check_names(name, topic)
    except InvalidInput:
        return
    assert opened(seal(name, topic)) == checked


def test_nothing_secret_is_shown() -> None:
    secret = sha256(b"secret").digest()
    with pytest.raises(Invalid) as caught:
        invite.open_names(secret, seal("general"), ACTOR, 7)
    assert "general" not in str(caught.value)
    assert secret.hex() not in f"{caught.value} {invite.invite_key(secret)!r}"
