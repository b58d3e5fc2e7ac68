"""A channel's secret and what it opens: the invite key and the names (docs/CRYPTO.md section 7).

    sealed = nonce(12) ‖ AEAD(names_key, nonce, name_len(u16) ‖ name ‖ topic_len(u16) ‖ topic ‖ zeros to 512,
    names_ad(actor, index))

The server never sees the secret of a private channel; in an open one the secret stands in the roster. Whoever
has it may have sealed anything, so what is opened is made harmless before it is returned. Not its concern:
the statements that carry key and names (`mobium.protocol.roster`), links, and who may know a secret.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium.crypto._primitives import hkdf
from mobium.errors import CryptoError, Invalid, InvalidInput
from mobium.signing import SigningKey
from mobium.text import cleaned, names_ad

__all__ = [
    "MAX_NAME",
    "MAX_NAME_BYTES",
    "MAX_TOPIC_BYTES",
    "NONCE_SIZE",
    "SEALED_SIZE",
    "SECRET_SIZE",
    "check_names",
    "invite_key",
    "names_key",
    "new_secret",
    "open_names",
    "seal_names",
]

SECRET_SIZE: Final = 32
NONCE_SIZE: Final = 12
SEALED_SIZE: Final = 540
MAX_NAME: Final = 64  # code points
MAX_NAME_BYTES: Final = 128  # of UTF-8; with the topic's they fill the 512
MAX_TOPIC_BYTES: Final = 380

_PADDED: Final = 512
_LENGTH: Final = 2
_LABEL_INVITE: Final = b"mobium/1 channel invite"
_LABEL_NAMES: Final = b"mobium/1 channel names"
_LIKE_AN_ID: Final = re.compile(r"[0-9a-fA-F]{64}")


def new_secret() -> bytes:
    """A fresh secret (32 bytes)."""
    return os.urandom(SECRET_SIZE)


def invite_key(secret: bytes) -> SigningKey:
    """The key that signs joins and peeks. Raises CryptoError unless the secret has 32 bytes."""
    return SigningKey.from_seed(hkdf(_checked(secret), b"", _LABEL_INVITE, 32))


def names_key(secret: bytes) -> bytes:
    """The key (32 bytes) that seals the names. Raises CryptoError unless the secret has 32 bytes."""
    return hkdf(_checked(secret), b"", _LABEL_NAMES, 32)


def check_names(name: str, topic: str = "") -> tuple[str, str]:
    """Name and topic in the form in which they are sealed: NFC, without blanks at the ends.

    Raises InvalidInput for a name that could mislead, and for what is too long; a topic may be empty.
    """
    name, topic = (unicodedata.normalize("NFC", text.strip(" ")) for text in (name, topic))
    for what, text in (("name", name), ("topic", topic)):
        if cleaned(text) != text:
            raise InvalidInput(
                f"A channel's {what} cannot hold control, invisible or direction-changing characters or two "
                "blanks in a row, nor begin with a combining mark."
            )
    if not _is_name(name):
        raise InvalidInput(
            f"A channel's name has between 1 and {MAX_NAME} characters, and at most {MAX_NAME_BYTES} bytes."
        )
    if not _is_topic(topic):
        raise InvalidInput(f"A channel's topic has at most {MAX_TOPIC_BYTES} bytes.")
    if name.startswith("#") or "://" in name or _LIKE_AN_ID.fullmatch(name):
        raise InvalidInput("A channel's name cannot begin with #, or look like an id or a link.")
    return name, topic


def seal_names(secret: bytes, name: str, topic: str, actor: bytes, index: int, nonce: bytes) -> bytes:
    """Name and topic sealed (540 bytes) for the statement `index` of `actor`. `nonce`: 12 fresh random bytes.

    Raises InvalidInput for names that `check_names` refuses, CryptoError for another length of `secret` or
    `nonce`.
    """
    if len(nonce) != NONCE_SIZE:
        raise CryptoError(f"The nonce of a channel's names has {NONCE_SIZE} bytes, not {len(nonce)}.")
    plaintext = b""
    for text in check_names(name, topic):
        encoded = text.encode()
        plaintext += len(encoded).to_bytes(_LENGTH, "big") + encoded
    padded = plaintext.ljust(_PADDED, b"\0")
    return nonce + AESGCM(names_key(secret)).encrypt(nonce, padded, names_ad(actor, index))


def open_names(secret: bytes, sealed: bytes, actor: bytes, index: int) -> tuple[str, str]:
    """Name and topic sealed in the statement `index` of `actor`, without characters that could mislead; the
    name is never empty.

    Raises Invalid for what was not sealed with this secret for that statement, and for what is no pair of
    names; CryptoError for another length of `secret`.
    """
    key = names_key(secret)
    if len(sealed) != SEALED_SIZE:
        raise Invalid(f"The sealed names of a channel have {SEALED_SIZE} bytes, not {len(sealed)}.")
    try:
        padded = AESGCM(key).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], names_ad(actor, index))
    except InvalidTag:
        raise Invalid("The channel's names were not sealed with this secret, or for another place.") from None
    raw_name, rest = _field(padded, MAX_NAME_BYTES)
    raw_topic, rest = _field(rest, MAX_TOPIC_BYTES)
    if any(rest):
        raise _damaged()
    try:
        name, topic = cleaned(raw_name.decode()), cleaned(raw_topic.decode())
    except UnicodeDecodeError:  # its text would hold what was sealed
        raise _damaged() from None
    if not _is_name(name) or not _is_topic(topic):
        raise _damaged()
    return name, topic


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and len(name.encode()) <= MAX_NAME_BYTES


def _is_topic(topic: str) -> bool:
    return len(topic.encode()) <= MAX_TOPIC_BYTES


def _field(padded: bytes, longest: int) -> tuple[bytes, bytes]:
    """The first text of `padded`, with its length in front, and what follows on it."""
    end = _LENGTH + int.from_bytes(padded[:_LENGTH], "big")
    if end > _LENGTH + longest:
        raise _damaged()
    return padded[_LENGTH:end], padded[end:]


def _damaged() -> Invalid:
    return Invalid("The sealed names of this channel are none: whoever sealed them broke the rules.")


def _checked(secret: bytes) -> bytes:
    if len(secret) != SECRET_SIZE:
        raise CryptoError(f"A channel's secret has {SECRET_SIZE} bytes, not {len(secret)}.")
    return secret
