"""Messages that a ratchet refuses on each back end and on both at once: forged, its own, those of others."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium._pure.kdf import chain_step, message_keys
from mobium._pure.ratchet import Ratchet
from mobium.errors import DecryptError, Invalid, TooFar
from tests.crypto.points import X25519_SMALL_ORDER
from tests.kernels.kernels import (
    COUNTER_END,
    NOW,
    OVERHEAD,
    SALT,
    Entropy,
    Kernels,
    Sides,
    begin,
    established,
    exchange,
    refuses,
    with_header,
)


class TestRefused:
    @pytest.fixture
    def ends(self, sides: Sides, entropy: Entropy) -> tuple[Ratchet, Ratchet]:
        return established(*sides, entropy)

    def test_lengths(self, ends: tuple[Ratchet, Ratchet], entropy: Entropy) -> None:
        a, b = ends
        message, _ = a.encrypt(b"text", entropy(16))
        for size in [*range(0, 120, 7), len(message) - 1, len(message) + 1, OVERHEAD + 1024, OVERHEAD + 256]:
            match = "not authentic" if size == OVERHEAD + 1024 else "length"
            refuses(b, message.ljust(size, b"\0")[:size], Invalid, entropy, match)

    def test_version(self, ends: tuple[Ratchet, Ratchet], entropy: Entropy) -> None:
        a, b = ends
        message, _ = a.encrypt(b"text", entropy(16))
        for version in (0, 2, 255):
            refuses(b, bytes([version]) + message[1:], Invalid, entropy, "unknown version")

    def test_counters_at_the_end(self, ends: tuple[Ratchet, Ratchet], entropy: Entropy) -> None:
        a, b = ends
        message, _ = a.encrypt(b"text", entropy(16))
        refuses(b, with_header(message, n=COUNTER_END), Invalid, entropy, "counter")
        refuses(b, with_header(message, pn=COUNTER_END), Invalid, entropy, "counter")
        refuses(b, with_header(message, n=COUNTER_END - 1), TooFar, entropy)

    def test_ones_own_ratchet_key(self, ends: tuple[Ratchet, Ratchet], entropy: Entropy) -> None:
        a, b = ends
        message, _ = a.encrypt(b"text", entropy(16))
        refuses(a, message, Invalid, entropy, "own ratchet key")
        refuses(b, with_header(message, ratchet=b.head()[66:98]), Invalid, entropy, "own ratchet key")

    @pytest.mark.parametrize("key", X25519_SMALL_ORDER, ids=bytes.hex)
    def test_ratchet_keys_of_small_order(
        self, ends: tuple[Ratchet, Ratchet], entropy: Entropy, key: bytes
    ) -> None:
        a, b = ends
        message, _ = a.encrypt(b"text", entropy(16))
        refuses(b, with_header(message, ratchet=key, n=0, pn=0), Invalid, entropy, "small order")

    def test_the_signed_prekey_as_a_ratchet_key(self, sides: Sides, entropy: Entropy) -> None:
        a, _b = begin(*sides, entropy)
        message, a = a.encrypt(b"text", entropy(16))
        refuses(a, with_header(message, ratchet=a.head()[98:130]), Invalid, entropy, "nothing is sent")

    def test_every_flipped_bit_of_a_message_in_the_chain(
        self, kernels: Kernels, ends: tuple[Ratchet, Ratchet], entropy: Entropy
    ) -> None:
        a, b = ends[0], kernels.take(ends[1])
        message, _ = a.encrypt(b"text", entropy(16))
        self._flip_every_bit(b, message, entropy)

    def test_every_flipped_bit_of_a_message_with_a_new_ratchet_key(
        self, kernels: Kernels, ends: tuple[Ratchet, Ratchet], entropy: Entropy
    ) -> None:
        a, b = kernels.take(ends[0]), ends[1]
        message, _ = b.encrypt(b"text", entropy(16))
        self._flip_every_bit(a, message, entropy)

    def test_every_flipped_bit_of_a_skipped_message(
        self, kernels: Kernels, ends: tuple[Ratchet, Ratchet], entropy: Entropy
    ) -> None:
        a, b = ends[0], kernels.take(ends[1])
        message, a = a.encrypt(b"text", entropy(16))
        a, b = exchange(a, b, entropy)
        self._flip_every_bit(b, message, entropy)

    @staticmethod
    def _flip_every_bit(receiver: Ratchet, message: bytes, entropy: Entropy) -> None:
        before, fresh = receiver.to_bytes(), entropy(32)
        assert len(message) == OVERHEAD + 512
        for bit in range(8 * len(message)):
            flipped = bytearray(message)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DecryptError):
                receiver.decrypt(bytes(flipped), fresh, NOW)
        assert receiver.to_bytes() == before
        assert receiver.decrypt(message, fresh, NOW)[0] == b"text"

    def test_other_associated_data(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        message, a = a.encrypt(b"text", entropy(16))
        head = bytearray(b.head())
        head[-1] ^= 1
        other = sides[1].Ratchet.from_parts(bytes(head), b.skipped())
        refuses(other, message, Invalid, entropy, "not authentic")
        assert b.decrypt(message, None, NOW)[0] == b"text"

    @pytest.mark.parametrize("size", [0, 31, 33, 64, 300])
    def test_associated_data_of_other_sizes(self, sides: Sides, entropy: Entropy, size: int) -> None:
        a, b = begin(*sides, entropy, bytes(size))
        message, a = a.encrypt(b"text", entropy(16))
        plaintext, b = b.decrypt(message, entropy(32), NOW)
        assert plaintext == b"text"

    def test_padding_that_does_not_fit_under_a_right_tag(
        self, ends: tuple[Ratchet, Ratchet], entropy: Entropy
    ) -> None:
        a, b = ends
        head = a.head()
        message_key, _ = chain_step(head[130:162])
        header = b"\x01" + head[66:98] + head[166:170] + head[162:166]
        salt = entropy(SALT)
        key, nonce = message_keys(message_key, salt)
        for padded in ((489).to_bytes(4, "big") + bytes(492), bytes(7) + b"\x01" + bytes(488)):
            sealed = AESGCM(key).encrypt(nonce, padded, b"d" * 32 + header)
            refuses(b, header + salt + sealed, Invalid, entropy, "padding does not fit")
        sealed = AESGCM(key).encrypt(nonce, bytes(496), b"d" * 32 + header)
        assert b.decrypt(header + salt + sealed, None, NOW)[0] == b""
