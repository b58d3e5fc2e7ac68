"""Writes the frozen vectors beside it, from reference.py and fixed inputs.

`python -m tests.vectors.reference_make`
What cannot be computed again is kept from the files as they are: KEM ciphertexts (the library draws their
entropy itself) and stored sessions (made by mobium when the format was frozen). Running it changes nothing as
long as the constructions stay what they are. Not its concern: checking; tests/crypto/test_vectors.py does.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey

from tests.vectors import reference as ref

FOLDER = Path(__file__).parent

Json = dict[str, Any]


def fixed(name: str, size: int = 32) -> bytes:
    return hashlib.shake_256(b"mobium vectors: " + name.encode()).digest(size)


WORDS = {  # published BIP39 vectors: all zeros, all ones, and one with nothing regular in it
    "00" * 32: "abandon " * 23 + "art",
    "ff" * 32: "zoo " * 23 + "vote",
    "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f": (
        "void come effort suffer camp survey warrior heavy shoot primary clutch crush "
        "open amazing screen patrol group space point ten exist slush involve unfold"
    ),
}


def identity() -> Json:
    cases = []
    for entropy, words in WORDS.items():
        for passphrase in ("", "TREZOR", "caf\u00e9 \ufb01\u2075"):
            seed = ref.bip39_seed(words, passphrase)
            made = ref.Identity(seed)
            case = {"entropy": entropy, "words": words, "passphrase": passphrase, "seed": seed.hex()}
            case |= {"x_private": made.x_private.hex(), "ed": made.ed.hex(), "x": made.x.hex()}
            cases.append(case | {"binding": made.binding.hex()})
    return {"cases": cases}


def safety() -> Json:
    people = [ref.Identity(fixed(f"safety {name}", 64)) for name in "abc"]
    pairs = [(people[0], people[1]), (people[1], people[2]), (people[2], people[0])]
    cases = [
        {
            "ed_a": a.ed.hex(),
            "x_a": a.x.hex(),
            "ed_b": b.ed.hex(),
            "x_b": b.x.hex(),
            "number": ref.safety_number((a.ed, a.x), (b.ed, b.x)),
        }
        for a, b in pairs
    ]
    return {"cases": cases}


def prekeys() -> Json:
    seed = fixed("prekeys identity", 64)
    cases = []
    for number, kind in enumerate(ref.PREKEY_LABELS, start=0xFFFFFFFC):
        private = fixed(f"prekey {kind}", 64 if "kem" in kind or kind == "last_resort" else 32)
        expires = 1_800_000_000 + number
        public, signature = ref.prekey(ref.Identity(seed), kind, number, expires, private)
        case: Json = {"kind": kind, "id": number, "expires": expires, "private": private.hex()}
        cases.append(case | {"public": public.hex(), "signature": signature.hex()})
    return {"seed": seed.hex(), "cases": cases}


def handshake(case: Json) -> ref.Handshake:
    """The handshake of one case of pqxdh.json."""
    one_time = case["one_time"]
    return ref.Handshake(
        initiator=ref.Identity(bytes.fromhex(case["initiator_seed"])),
        responder=ref.Identity(bytes.fromhex(case["responder_seed"])),
        ephemeral=bytes.fromhex(case["ephemeral_private"]),
        signed=(case["signed"]["id"], bytes.fromhex(case["signed"]["private"])),
        one_time=(one_time["id"], bytes.fromhex(one_time["private"])) if one_time else None,
        kem_kind=case["kem_kind"],
        kem=(case["kem"]["id"], bytes.fromhex(case["kem"]["private"])),
        ciphertext=bytes.fromhex(case["ciphertext"]),
    )


def pqxdh(before: Json) -> Json:
    cases = []
    for index, (one_time, kem_kind) in enumerate([(True, 1), (True, 2), (False, 1), (False, 2)]):
        name = f"pqxdh {index}"
        kem_seed = fixed(f"{name} kem", 64)
        if before:
            ciphertext = bytes.fromhex(before["cases"][index]["ciphertext"])
        else:
            ciphertext = MLKEM1024PrivateKey.from_seed_bytes(kem_seed).public_key().encapsulate()[1]
        kem_secret = MLKEM1024PrivateKey.from_seed_bytes(kem_seed).decapsulate(ciphertext)
        case: Json = {
            "initiator_seed": fixed(f"{name} initiator", 64).hex(),
            "responder_seed": fixed(f"{name} responder", 64).hex(),
            "ephemeral_private": fixed(f"{name} ephemeral").hex(),
            "signed": {"id": 0x01020304 + index, "private": fixed(f"{name} signed").hex()},
            "one_time": {"id": 0x05060708, "private": fixed(f"{name} one-time").hex()} if one_time else None,
            "kem_kind": kem_kind,
            "kem": {"id": 0xF1F2F3F4, "private": kem_seed.hex()},
            "ciphertext": ciphertext.hex(),
            "kem_secret": kem_secret.hex(),
        }
        made = handshake(case)
        case["header"] = made.header().hex()
        case["handshake"] = hashlib.sha256(made.header()).hexdigest()
        case["shared_secret"] = made.shared_secret().hex()
        case["associated_data"] = made.associated_data().hex()
        cases.append(case)
    return {"cases": cases}


def session(case: Json, before: Json) -> Json:
    """Two messages before the answer, the answer, two after it; the second of those is opened first."""
    made = handshake(case)
    entropy = {name: fixed(f"session {name}") for name in ("initiator 0", "responder 1", "initiator 1")}
    first, answer, second = entropy.values()
    salts = [fixed(f"session salt {index}", 16) for index in range(5)]
    texts = [b"first", b"second", b"", b"left behind", b"x" * 600]
    ad, header = made.associated_data(), made.header()
    root, sending = ref.root_step(made.shared_secret(), ref.dh(made.signed[1], ref.x_public(first)))
    root, answering = ref.root_step(root, ref.dh(answer, ref.x_public(first)))
    root, following = ref.root_step(root, ref.dh(second, ref.x_public(answer)))
    payloads = [
        header + ref.ratchet_message(sending, ref.x_public(first), 0, 0, salts[0], ad, texts[0]),
        header + ref.ratchet_message(sending, ref.x_public(first), 0, 1, salts[1], ad, texts[1]),
        ref.ratchet_message(answering, ref.x_public(answer), 0, 0, salts[2], ad, texts[2]),
        ref.ratchet_message(following, ref.x_public(second), 2, 0, salts[3], ad, texts[3]),
        ref.ratchet_message(following, ref.x_public(second), 2, 1, salts[4], ad, texts[4]),
    ]
    return {
        "handshake": case,
        "entropy": {name: value.hex() for name, value in entropy.items()},
        "now": 1_800_000_000,
        "messages": [
            {"salt": salt.hex(), "plaintext": text.hex(), "payload": payload.hex()}
            for salt, text, payload in zip(salts, texts, payloads, strict=True)
        ],
        "states": before.get("states", {}),
    }


def vault() -> Json:
    cases = []
    for password in ("correct horse battery", "e\u0301toile \ufb01ve \u2460\u2461\u2462\u2463\u2464"):
        data_key, seed = fixed("vault data key"), fixed("vault seed", 64)
        salt, first, second = fixed("vault salt", 16), fixed("vault nonce 1", 12), fixed("vault nonce 2", 12)
        cases.append(
            {
                "password": password,
                "data_key": data_key.hex(),
                "seed": seed.hex(),
                "salt": salt.hex(),
                "nonces": [first.hex(), second.hex()],
                "vault": ref.vault(password, data_key, seed, salt, first, second).hex(),
                "database_key": ref.database_key(data_key).hex(),
            }
        )
    return {"cases": cases}


class Chain:
    """A channel of roster.json while it is made: statement by statement, and who is in after each."""

    def __init__(self, name: str, access: int) -> None:
        self.name, self.access = name, access
        self.raws: list[bytes] = []
        self.cases: list[Json] = []
        self.id = self.head = bytes(32)
        self.secret = b""

    def key_for(self, who: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(fixed(f"roster {self.name} {who}"))

    def ed(self, who: str) -> bytes:
        return self.key_for(who).public_key().public_bytes_raw()

    def add(self, kind: int, actor: str, subject: str | None = None, *, role: int = 0) -> None:
        index, names = len(self.raws), {}
        data = b""
        if kind in (1, 4, 6, 8):
            self.secret = fixed(f"roster {self.name} secret {index}")
            public = ref.channel_keys(self.secret)[0].public_key().public_bytes_raw()
            data = (bytes((self.access,)) if kind == 1 else b"") + (self.secret if self.access else public)
        if kind in (1, 4, 6, 7, 8):
            nonce = fixed(f"roster {self.name} nonce {index}", 12)
            texts = f"caf\u00e9 {index}", "" if index % 2 else "\u0442\u0435\u043c\u0430 \U0001f41f"
            data += ref.sealed_names(self.secret, *texts, self.ed(actor), index, nonce)
            names = {"secret": self.secret.hex(), "nonce": nonce.hex(), "name": texts[0], "topic": texts[1]}
        if kind == 2 and not self.access:
            data = ref.join_proof(self.secret, self.id, self.head, self.ed(actor))
        if kind == 5:
            data = bytes((role,))
        place = (self.id, index, self.head)
        time_ms = 1_800_000_000_000 + index
        raw = ref.statement(self.key_for(actor), kind, place, self.ed(subject or actor), time_ms, data)
        self.raws.append(raw)
        self.id, self.head = ref.channel_id(self.raws[0]), ref.roster_head(raw)
        seed = fixed(f"roster {self.name} {actor}").hex()
        case: Json = {"seed": seed, "time_ms": time_ms, "statement": raw.hex(), "head": self.head.hex()}
        members = [[ed.hex(), role] for ed, role in ref.members_after(self.raws)]
        self.cases.append(case | names | {"members": members})

    def content(self) -> Json:
        nonce, stranger = fixed(f"roster {self.name} login"), self.ed("stranger")
        peek = ref.peek_proof(self.secret, self.id, stranger, nonce)
        peeked = {
            "ed": stranger.hex(),
            "nonce": nonce.hex(),
            "proof": peek.hex(),
            "secret": self.secret.hex(),
        }
        return {"channel_id": self.id.hex(), "statements": self.cases, "peek": peeked}


def roster() -> Json:
    """A private and an open channel, with every kind of statement in each."""
    channels = []
    for name, access in (("private", 0), ("open", 1)):
        chain = Chain(name, access)
        chain.add(1, "a")
        for who in "bcd":
            chain.add(2, who)
        chain.add(5, "a", "b", role=2)
        chain.add(7, "b")
        chain.add(4, "b", "c")
        chain.add(2, "c")
        chain.add(8, "b", "d")
        chain.add(8, "a", "stranger")
        chain.add(9, "b", "d")
        chain.add(6, "a")
        chain.add(2, "d")
        chain.add(5, "a", "b", role=3)
        chain.add(5, "b", "a", role=1)
        chain.add(3, "a")
        channels.append(chain.content())
    return {"channels": channels}


def load(name: str) -> Json:
    path = FOLDER / f"{name}.json"
    content: Json = json.loads(path.read_text()) if path.exists() else {}
    return content


def compute() -> dict[str, Json]:
    """Every file's content, by its name."""
    handshakes = pqxdh(load("pqxdh"))
    return {
        "identity": identity(),
        "safety": safety(),
        "prekeys": prekeys(),
        "pqxdh": handshakes,
        "session": session(handshakes["cases"][0], load("session")),
        "vault": vault(),
        "roster": roster(),
    }


if __name__ == "__main__":
    for name, content in compute().items():
        (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
