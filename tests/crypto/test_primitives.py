"""The primitives, as the facade calls them, against the package `cryptography-vectors`."""

from __future__ import annotations

from collections.abc import Iterator

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mobium.crypto import _primitives, vault
from mobium.errors import CryptoError, SignatureError
from mobium.signing import SigningKey, verify
from tests.crypto.points import X25519_SMALL_ORDER

Case = dict[str, str]


def cases(path: str, first: str) -> Iterator[Case]:
    """The `name = value` blocks of a vector file; each begins with the line named `first`."""
    case: Case = {}
    with cryptography_vectors.open_vector_file(path, "r") as file:
        for line in file:
            name, equals, value = (part.strip() for part in line.partition("="))
            if name.startswith("#") or not name:
                continue
            if name.lower() == first and case:
                yield case
                case = {}
            case[name.lower().strip("[")] = value if equals else "yes"
    yield case


def test_x25519() -> None:
    found = list(cases("asymmetric/X25519/rfc7748.txt", "count"))
    for case in found:
        shared = _primitives.x25519(bytes.fromhex(case["input_scalar"]), bytes.fromhex(case["input_u"]))
        assert shared.hex() == case["output_u"]
    assert len(found) == 3


def test_x25519_public_key_is_the_product_with_the_base_point() -> None:
    base = (9).to_bytes(32, "little")
    for n in range(16):
        private = bytes((n,)) * 32
        assert _primitives.x25519_public(private) == _primitives.x25519(private, base)


@pytest.mark.parametrize("public", X25519_SMALL_ORDER, ids=bytes.hex)
def test_x25519_refuses_keys_of_small_order(public: bytes) -> None:
    for private in (b"\1" * 32, b"\xfe" * 32):
        with pytest.raises(CryptoError, match="small order"):
            _primitives.x25519(private, public)


@pytest.mark.parametrize(("private", "public"), [(31, 32), (32, 33), (0, 32), (32, 0)])
def test_x25519_refuses_other_lengths(private: int, public: int) -> None:
    with pytest.raises(CryptoError, match=f"not {private} and {public}"):
        _primitives.x25519(b"\1" * private, b"\2" * public)
    if private != 32:
        with pytest.raises(CryptoError, match=f"not {private}"):
            _primitives.x25519_public(b"\1" * private)


def test_ed25519() -> None:
    with cryptography_vectors.open_vector_file("asymmetric/Ed25519/sign.input", "r") as file:
        lines = [line.split(":") for line in file if line.strip()]
    for secret, public_hex, message_hex, signed, *_ in lines:
        key = SigningKey.from_seed(bytes.fromhex(secret)[:32])
        message, signature = bytes.fromhex(message_hex), bytes.fromhex(signed)[:64]
        assert key.public.hex() == public_hex
        assert key.sign(message) == signature
        verify(key.public, signature, message)
        with pytest.raises(SignatureError):
            verify(key.public, signature, message + b"x")
    assert len(lines) == 1024


def test_hkdf_sha256() -> None:
    found = list(cases("KDF/rfc-5869-HKDF-SHA256.txt", "count"))
    for case in found:
        ikm, salt, info = (bytes.fromhex(case.get(name, "")) for name in ("ikm", "salt", "info"))
        assert _primitives.hkdf(ikm, salt, info, int(case["l"])).hex() == case["okm"]
    assert len(found) == 3


def test_aes_256_gcm() -> None:
    found = [case for case in cases("ciphers/AES/GCM/gcmDecrypt256.rsp", "count") if "key" in case]
    used = failed = 0
    for case in found:
        key, nonce, ciphertext, aad, tag = (
            bytes.fromhex(case[name]) for name in ("key", "iv", "ct", "aad", "tag")
        )
        if len(nonce) != 12 or len(tag) != 16:
            continue
        used += 1
        if "fail" in case:
            failed += 1
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, ciphertext + tag, aad)
        else:
            plaintext = bytes.fromhex(case["pt"])
            assert AESGCM(key).decrypt(nonce, ciphertext + tag, aad) == plaintext
            assert AESGCM(key).encrypt(nonce, plaintext, aad) == ciphertext + tag
    assert used > 300
    assert failed > 100


def test_ml_kem_1024() -> None:
    count = 0
    for case in cases("asymmetric/MLKEM/kat_MLKEM_1024.rsp", "count"):
        seed = bytes.fromhex(case["d"] + case["z"])
        assert _primitives.kem_public(seed).hex() == case["pk"]
        assert _primitives.kem_decapsulate(seed, bytes.fromhex(case["ct"])).hex() == case["ss"]
        # A ciphertext of somebody else gives another secret, without an error.
        assert _primitives.kem_decapsulate(seed, bytes.fromhex(case["ct_n"])).hex() == case["ss_n"]
        count += 1
    assert count == 1000


def test_ml_kem_1024_encapsulates_what_it_decapsulates() -> None:
    seed = bytes(range(64))
    ciphertext, secret = _primitives.kem_encapsulate(_primitives.kem_public(seed))
    assert (len(ciphertext), len(secret)) == (1568, 32)
    assert _primitives.kem_decapsulate(seed, ciphertext) == secret
    again, other = _primitives.kem_encapsulate(_primitives.kem_public(seed))
    assert again != ciphertext
    assert other != secret


@pytest.mark.parametrize("public", [b"", bytes(1567), bytes(1569), b"\xff" * 1568])
def test_ml_kem_1024_refuses_what_is_no_public_key(public: bytes) -> None:
    """The last one has the right length and coefficients above the modulus."""
    with pytest.raises(CryptoError, match="not an ML-KEM-1024 public key"):
        _primitives.kem_encapsulate(public)


def test_ml_kem_1024_refuses_other_lengths() -> None:
    with pytest.raises(CryptoError, match="64 bytes, not 63"):
        _primitives.kem_public(bytes(63))
    with pytest.raises(CryptoError, match="not 65 and 1568"):
        _primitives.kem_decapsulate(bytes(65), bytes(1568))
    with pytest.raises(CryptoError, match="not 64 and 1567"):
        _primitives.kem_decapsulate(bytes(64), bytes(1567))


def test_argon2id() -> None:
    found = list(cases("KDF/argon2id.txt", "count"))
    for case in found:
        derived = Argon2id(
            salt=bytes.fromhex(case["salt"]),
            length=int(case["length"]),
            iterations=int(case["iter"]),
            lanes=int(case["lanes"]),
            memory_cost=int(case["memcost"]),
            ad=bytes.fromhex(case["ad"]) if case.get("ad") else None,
            secret=bytes.fromhex(case["secret"]) if case.get("secret") else None,
        ).derive(bytes.fromhex(case["pass"]))
        assert derived.hex() == case["output"]
    assert len(found) >= 5


def test_argon2id_takes_its_parameters_in_the_vaults_order() -> None:
    salt = b"pycasalt" * 2
    expected = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=65536).derive(b"password")
    assert vault._derive(b"password", salt, 65536, 3, 4) == expected
