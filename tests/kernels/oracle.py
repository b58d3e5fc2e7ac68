"""The `DoubleRatchet` package from PyPI, configured as docs/CRYPTO.md section 4 says: an implementation that
shares no line with ours.

It gets our labels, our header and, through its AEAD hook, our salt in front of the ciphertext. Primitives are
`cryptography`'s own HKDF and HMAC and a padding written out here, so nothing of mobium is imported. Not its
concern: limits, storage, the errors' names.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import doubleratchet
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from doubleratchet.recommended import diffie_hellman_ratchet_curve25519

T = TypeVar("T")
Fresh = Callable[[int], bytes]


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("the oracle waited for something")


class RootKDF(doubleratchet.KDF):
    @staticmethod
    async def derive(key: bytes, data: bytes, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, key, b"mobium/1 ratchet root").derive(data)


class ChainKDF(doubleratchet.KDF):
    """Of the constant 0x02 0x01: the next chain key and the message key, in the order that the package reads
    them.
    """

    @staticmethod
    async def derive(key: bytes, data: bytes, length: int) -> bytes:
        out = b""
        for constant in data:
            mac = HMAC(key, hashes.SHA256())
            mac.update(bytes([constant]))
            out += mac.finalize()
        assert len(out) == length
        return out


def _pad(plaintext: bytes) -> bytes:
    size = 512
    while size < len(plaintext) + 24:
        size *= 2
    return len(plaintext).to_bytes(4, "big") + b"\0\0\0\0" + plaintext.ljust(size - 24, b"\0")


def _cipher(key: bytes, salt: bytes) -> tuple[AESGCM, bytes]:
    keys = HKDF(hashes.SHA256(), 44, salt, b"mobium/1 ratchet message").derive(key)
    return AESGCM(keys[:32]), keys[32:]


class Session(doubleratchet.DoubleRatchet):
    @staticmethod
    def _build_associated_data(associated_data: bytes, header: doubleratchet.Header) -> bytes:
        return associated_data + encode(header)


def encode(header: doubleratchet.Header) -> bytes:
    counters = header.previous_sending_chain_length, header.sending_chain_length
    return b"\x01" + header.ratchet_pub + b"".join(counter.to_bytes(4, "big") for counter in counters)


def decode(message: bytes) -> doubleratchet.EncryptedMessage:
    pn, n = int.from_bytes(message[33:37], "big"), int.from_bytes(message[37:41], "big")
    return doubleratchet.EncryptedMessage(doubleratchet.Header(message[1:33], pn, n), message[41:])


class Oracle:
    """One side of a session. `fresh` gives private keys and salts when the package wants them."""

    def __init__(
        self,
        shared_secret: bytes,
        associated_data: bytes,
        fresh: Fresh,
        *,
        remote: bytes = b"",
        own: bytes = b"",
    ) -> None:
        self._associated_data = associated_data
        self._remote, self._own = remote, own
        self._session: Session | None = None

        class AEAD(doubleratchet.AEAD):
            @staticmethod
            async def encrypt(plaintext: bytes, key: bytes, associated_data: bytes) -> bytes:
                salt = fresh(16)
                cipher, nonce = _cipher(key, salt)
                return salt + cipher.encrypt(nonce, _pad(plaintext), associated_data)

            @staticmethod
            async def decrypt(ciphertext: bytes, key: bytes, associated_data: bytes) -> bytes:
                cipher, nonce = _cipher(key, ciphertext[:16])
                try:
                    padded = cipher.decrypt(nonce, ciphertext[16:], associated_data)
                except InvalidTag:
                    raise doubleratchet.AuthenticationFailedException from None
                return padded[8 : 8 + int.from_bytes(padded[:4], "big")]

        class DiffieHellman(diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet):
            @staticmethod
            def _generate_priv() -> bytes:
                return fresh(32)

        self._configuration: dict[str, Any] = {
            "diffie_hellman_ratchet_class": DiffieHellman,
            "root_chain_kdf": RootKDF,
            "message_chain_kdf": ChainKDF,
            "message_chain_constant": b"\x02\x01",
            "dos_protection_threshold": 1000,
            "max_num_skipped_message_keys": 2000,
            "aead": AEAD,
            "shared_secret": shared_secret,
            "associated_data": associated_data,
        }

    def encrypt(self, plaintext: bytes) -> bytes:
        if self._session is None:
            self._session, message = finish(
                Session.encrypt_initial_message(
                    **self._configuration, recipient_ratchet_pub=self._remote, message=plaintext
                )
            )
        else:
            message = finish(self._session.encrypt_message(plaintext, self._associated_data))
        return encode(message.header) + message.ciphertext

    def decrypt(self, message: bytes) -> bytes:
        """The plaintext. Raises the package's own exceptions, and then leaves the session as it was."""
        encrypted = decode(message)
        if self._session is None:
            self._session, plaintext = finish(
                Session.decrypt_initial_message(
                    **self._configuration, own_ratchet_priv=self._own, message=encrypted
                )
            )
            return plaintext
        return finish(self._session.decrypt_message(encrypted, self._associated_data))
