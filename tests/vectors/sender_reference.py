"""A third, short implementation of the sender keys, written from docs/CRYPTO.md section 6 alone.

It imports nothing of mobium: the frozen vectors in sender_key.json are computed by both back ends and by this
file. It checks nothing and is in no hurry. Not its concern: refusals and stored states.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LABEL = b"mobium/1 sender message"


class Chain:
    """A sender's chain; `chain_key` is that of the message `iteration`."""

    def __init__(
        self,
        channel_id: bytes,
        sender: bytes,
        roster_index: int,
        roster_hash: bytes,
        key_id: int,
        chain_key: bytes,
        signing_seed: bytes,
    ) -> None:
        self.channel_id, self.sender, self.roster_hash = channel_id, sender, roster_hash
        self.roster_index, self.key_id = roster_index.to_bytes(4, "big"), key_id.to_bytes(4, "big")
        self.chain_key, self.iteration = chain_key, 0
        self.signing = Ed25519PrivateKey.from_private_bytes(signing_seed)

    def distribution(self, nickname: bytes) -> bytes:
        public = self.signing.public_key().public_bytes_raw()
        secret = self.key_id + self.iteration.to_bytes(4, "big") + self.chain_key + public
        about = self.roster_index + self.roster_hash + bytes([len(nickname)]) + nickname
        return b"\x01" + self.channel_id + secret + about

    def encrypt(self, plaintext: bytes, salt: bytes) -> bytes:
        """The message; the chain steps."""
        message_key = hmac.digest(self.chain_key, b"\x01", "sha256")
        keys = HKDF(hashes.SHA256(), 76, salt, LABEL).derive(message_key)
        bucket = 512
        while bucket < len(plaintext) + 24:
            bucket *= 2
        padded = len(plaintext).to_bytes(4, "big") + bytes(4) + plaintext.ljust(bucket - 24, b"\0")
        head = b"\x01" + self.key_id + self.iteration.to_bytes(4, "big") + salt
        associated = self.channel_id + self.sender + self.roster_hash + head
        body = head + keys[44:] + AESGCM(keys[:32]).encrypt(keys[32:44], padded, associated)
        self.chain_key = hmac.digest(self.chain_key, b"\x02", "sha256")
        self.iteration += 1
        return body + self.signing.sign(LABEL + b"\0" + self.channel_id + self.sender + body)
