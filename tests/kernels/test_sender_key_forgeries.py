"""Forged messages of sender keys on each back end: every byte, every length, other places, other hands
(docs/CRYPTO.md section 6).
"""

from __future__ import annotations

import pytest

from mobium.errors import Invalid, TooFar
from mobium.signing import SigningKey
from tests.crypto.points import ED25519_NOT_CANONICAL, ED25519_SMALL_ORDER
from tests.kernels.chains import (
    CHANNEL,
    COMMIT,
    HEAD,
    KEY_ID,
    ROSTER,
    ROSTER_INDEX,
    SENDER,
    SIGNATURE,
    SMALLEST,
    begin,
    create,
    edited,
    refused,
    resigned,
)
from tests.kernels.kernels import PURE, Entropy, Kernels, Sides

REGIONS = {
    "version": range(1),
    "key id": range(1, 5),
    "iteration": range(5, 9),
    "salt": range(9, HEAD),
    "commitment": range(HEAD, HEAD + COMMIT),
    "ciphertext": range(HEAD + COMMIT, SMALLEST - SIGNATURE - 16),
    "tag": range(SMALLEST - SIGNATURE - 16, SMALLEST - SIGNATURE),
    "signature's point": range(SMALLEST - SIGNATURE, SMALLEST - 32),
    "signature's number": range(SMALLEST - 32, SMALLEST),
}
"""Every byte of a message of the smallest bucket."""


class TestForgeries:
    def test_the_regions_are_all_bytes(self) -> None:
        assert [place for region in REGIONS.values() for place in region] == list(range(SMALLEST))

    @pytest.mark.parametrize("region", REGIONS)
    def test_every_byte(self, sides: Sides, entropy: Entropy, region: str) -> None:
        sender, reader = begin(*sides)
        _, sender = sender.encrypt(b"", entropy(16))
        message, _ = sender.encrypt(b"text", entropy(16))
        match = {"version": "unknown version", "key id": "another sender key"}.get(region, "signature")
        for place in REGIONS[region]:
            for bit in {0, 7, place % 8}:
                forged = edited(message, place, bytes([message[place] ^ 1 << bit]))
                refused(reader, forged, Invalid, match)
        assert reader.decrypt(message)[0] == b"text"

    @pytest.mark.parametrize("region", [name for name in REGIONS if "signature" not in name])
    def test_every_byte_signed_by_the_sender(self, kernels: Kernels, entropy: Entropy, region: str) -> None:
        """A signature makes nothing valid that the chain's keys do not."""
        sender, reader = begin(kernels, kernels)
        _, sender = sender.encrypt(b"", entropy(16))
        message, _ = sender.encrypt(b"text", entropy(16))
        expected = {"salt": "commits", "commitment": "commits", "ciphertext": "authentic", "tag": "authentic"}
        for place in REGIONS[region]:
            forged = resigned(edited(message, place, bytes([message[place] ^ 1 << place % 8])))
            before = reader.to_bytes()
            with pytest.raises((Invalid, TooFar), match=expected.get(region)):
                reader.decrypt(forged)
            assert reader.to_bytes() == before

    def test_every_length(self, kernels: Kernels, entropy: Entropy) -> None:
        sender, reader = begin(kernels, kernels)
        message, _ = sender.encrypt(b"text", entropy(16))
        for size in range(SMALLEST):
            refused(reader, message[:size], Invalid, "length")
        for more in (1, 511, 512, 1024):
            data = message + bytes(more)
            refused(reader, data, Invalid, "length" if more != 512 else "signature")
        for data in (b"", message[:-1], message + b"\0"):
            with pytest.raises(Invalid):
                kernels.read_head(data)
        with pytest.raises(Invalid, match="version"):
            kernels.read_head(b"\x02" + message[1:])
        with pytest.raises(Invalid, match="key id"):
            kernels.read_head(edited(message, 1, bytes(4)))

    @pytest.mark.parametrize("what", ["channel_id", "sender", "roster_hash"])
    def test_another_place(self, sides: Sides, entropy: Entropy, what: str) -> None:
        """The channel, the sender and the roster's head are bound, the first two by the signature already."""
        sender, _ = begin(*sides)
        message, _ = sender.encrypt(b"text", entropy(16))
        data = sender.distribution(b"")
        channel, of = CHANNEL, SENDER
        if what == "channel_id":
            channel = b"C" * 32
            data = edited(data, 1, channel)
        elif what == "sender":
            of = b"S" * 32
        else:
            data = edited(data, 109, b"R" * 32)
        reader = sides[1].ReceiverChain.from_distribution(data, channel, of)
        refused(reader, message, Invalid, "authentic" if what == "roster_hash" else "signature")
        # Signed as if it were of that place, it does not open either: the AEAD binds all three.
        body = message[:-SIGNATURE]
        signed = SigningKey.from_seed(b"e" * 32).sign(b"mobium/1 sender message\0" + channel + of + body)
        refused(reader, body + signed, Invalid, "authentic")

    def test_another_member_cannot_sign(self, kernels: Kernels, entropy: Entropy) -> None:
        """A member has the chain's keys; without the signing key nothing that he makes of them is taken."""
        sender, reader = begin(kernels, kernels)
        member = create(kernels, b"m" * 32)
        forged, _ = member.encrypt(b"forged", entropy(16))
        refused(reader, forged, Invalid, "signature")
        refused(reader, resigned(sender.encrypt(b"", bytes(16))[0], b"m" * 32), Invalid, "signature")

    def test_another_chain_of_the_same_id(self, kernels: Kernels, entropy: Entropy) -> None:
        """Two chain keys under one id and one signing key: the commitment tells them apart (A31)."""
        sender, reader = begin(kernels, kernels)
        other = kernels.SenderChain.create(
            CHANNEL, SENDER, ROSTER_INDEX, ROSTER, KEY_ID, b"K" * 32, b"e" * 32
        )
        refused(reader, other.encrypt(b"text", entropy(16))[0], Invalid, "commits")
        assert reader.decrypt(sender.encrypt(b"text", entropy(16))[0])[0] == b"text"

    def test_weak_points_in_the_signature(self, kernels: Kernels, entropy: Entropy) -> None:
        sender, reader = begin(kernels, kernels)
        message, _ = sender.encrypt(b"text", entropy(16))
        for point in (*ED25519_SMALL_ORDER, *ED25519_NOT_CANONICAL):
            forged = edited(message, len(message) - SIGNATURE, point)
            refused(reader, forged, Invalid, "signature")
            refused(reader, forged[:-32] + bytes(32), Invalid, "signature")

    def test_padding_that_does_not_fit(self, kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mobium._pure.sender_key.pad", lambda _: b"\xff" * 496)
        message, _ = create(PURE).encrypt(b"", bytes(16))
        refused(begin(PURE, kernels)[1], message, Invalid, "padding")
