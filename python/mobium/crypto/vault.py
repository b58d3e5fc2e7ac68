"""The vault: an identity's seed and the store's key behind a password, 184 bytes (docs/CRYPTO.md section 2).

    "MBV1" ‖ m_kib(u32) ‖ t(u32) ‖ p(u32) ‖ salt(16)
    ‖ nonce(12) ‖ AEAD(Argon2id(password, salt, m, t, p), data_key(32), the first 32 bytes)
    ‖ nonce(12) ‖ AEAD(identity_key, seed(64), "mobium/1 vault identity" ‖ 0)

where identity_key = HKDF(data_key, "", "mobium/1 vault identity", 32). The public key stands nowhere in it: a
copy of a locked disk does not tell whose it is.

A new password gives new salt and nonces and keeps the data key, so the database need not be encrypted again.
Opening and writing take Argon2id's time (some tenths of a second, without the interpreter lock): call them
from a thread. Not its concern: the database itself, one process at a time (the engine's lock), and the
recovery words, which are never in it.
"""

from __future__ import annotations

import os
import secrets
import unicodedata
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium.crypto import _files
from mobium.crypto._primitives import hkdf
from mobium.crypto.identity import Identity
from mobium.errors import InvalidInput, StoreError, WrongPassword

__all__ = [
    "DATA_KEY_SIZE",
    "PASSWORD_LENGTH",
    "VAULT_SIZE",
    "change_password",
    "check_password",
    "create",
    "database_key",
    "open",
]

VAULT_SIZE = 184
DATA_KEY_SIZE = 32
PASSWORD_LENGTH = 12  # code points after NFKC

_MAGIC = b"MBV1"
_MEND = "Put a copy in its place, or bring the identity back from its 24 words in another profile."
_HEAD_SIZE = 32
_SALT_SIZE = 16
_NONCE_SIZE = 12
_TAG_SIZE = 16
_IDENTITY_AT = _HEAD_SIZE + _NONCE_SIZE + DATA_KEY_SIZE + _TAG_SIZE
_LABEL_IDENTITY = b"mobium/1 vault identity"
_LABEL_DATABASE = b"mobium/1 vault database"

# What is written: RFC 9106's second recommended setting (64 MiB), three passes, four lanes.
_MEMORY_KIB, _PASSES, _LANES = 65_536, 3, 4
# What is read: nothing weaker than what is written, nothing that would take minutes or the machine's memory.
_MEMORY_RANGE = (65_536, 1_048_576)
_PASSES_RANGE = (3, 16)
_LANES_RANGE = (1, 8)


def check_password(password: str) -> None:
    """Raises InvalidInput if the password is not one to protect an identity with: under 12 characters."""
    length = len(unicodedata.normalize("NFKC", password))
    if length < PASSWORD_LENGTH:
        raise InvalidInput(f"A password needs at least {PASSWORD_LENGTH} characters; this one has {length}.")
    _password_bytes(password)


def create(path: str | os.PathLike[str], password: str, identity: Identity) -> bytes:
    """Write a new vault for `identity` and return its data key (32 bytes).

    Raises InvalidInput for a weak password, StoreError if there is a vault already (it stays as it is) or the
    file cannot be written.
    """
    target = Path(path)
    check_password(password)
    taken = StoreError(f"There is already an identity in {target}; it was left as it is.")
    if os.path.lexists(target):
        raise taken
    data_key = secrets.token_bytes(DATA_KEY_SIZE)
    sealed = _seal(password, data_key, identity.seed)
    try:
        _files.write_new(target, sealed)
    except OSError as error:
        if os.path.lexists(target):  # made by another process meanwhile
            raise taken from None
        raise StoreError(f"The identity could not be written to {target}: {error.strerror}.") from error
    return data_key


def open(path: str | os.PathLike[str], password: str) -> tuple[Identity, bytes]:  # noqa: A001 - vault.open
    """The identity and the data key (32 bytes) in a vault.

    Raises WrongPassword, and StoreError if there is no vault there, or a file that is none, is damaged, or
    asks for work outside the limits (refused before any of it is done).
    """
    return _open(Path(path), password)


def change_password(path: str | os.PathLike[str], old: str, new: str) -> None:
    """Seal the vault anew under another password; the data key stays.

    Raises InvalidInput for a weak new password, else what `open` raises; then the old one still opens it.
    """
    target = Path(path)
    check_password(new)
    identity, data_key = _open(target, old)
    try:
        _files.replace(target, _seal(new, data_key, identity.seed))
    except OSError as error:
        raise StoreError(f"The new password could not be written to {target}: {error.strerror}.") from error


def database_key(data_key: bytes) -> bytes:
    """The raw key (32 bytes) of the profile's database, from its data key (32 bytes)."""
    return hkdf(_checked(data_key), b"", _LABEL_DATABASE, 32)


def _identity_key(data_key: bytes) -> bytes:
    return hkdf(_checked(data_key), b"", _LABEL_IDENTITY, 32)


def _checked(data_key: bytes) -> bytes:
    if len(data_key) != DATA_KEY_SIZE:
        raise InvalidInput(f"A data key has {DATA_KEY_SIZE} bytes, not {len(data_key)}.")
    return data_key


def _password_bytes(password: str) -> bytes:
    try:
        return unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError:  # its text would be the password
        raise InvalidInput("This password holds bytes that are not text.") from None


def _derive(password: bytes, salt: bytes, memory_kib: int, passes: int, lanes: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    argon2id = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory_kib)
    try:
        return argon2id.derive(password)
    except MemoryError as error:
        raise StoreError(f"Opening the vault takes {memory_kib // 1024} MiB of free memory.") from error


def _seal(
    password: str,
    data_key: bytes,
    seed: bytes,
    *,
    salt: bytes | None = None,
    nonces: tuple[bytes, bytes] | None = None,
) -> bytes:
    """The vault's 184 bytes. Salt (16 bytes) and nonces (12 each) are fresh but in known-answer tests."""
    salt = salt or secrets.token_bytes(_SALT_SIZE)
    first, second = nonces or (secrets.token_bytes(_NONCE_SIZE), secrets.token_bytes(_NONCE_SIZE))
    parameters = b"".join(n.to_bytes(4, "big") for n in (_MEMORY_KIB, _PASSES, _LANES))
    head = _MAGIC + parameters + salt
    key = _derive(_password_bytes(password), salt, _MEMORY_KIB, _PASSES, _LANES)
    return b"".join(
        (
            head,
            first,
            AESGCM(key).encrypt(first, data_key, head),
            second,
            AESGCM(_identity_key(data_key)).encrypt(second, seed, _LABEL_IDENTITY + b"\0"),
        )
    )


def _open(path: Path, password: str) -> tuple[Identity, bytes]:
    try:
        data = _files.read_limited(path, VAULT_SIZE + 1)
    except FileNotFoundError:
        raise StoreError(f"There is no identity in {path}.") from None
    except OSError as error:
        raise StoreError(f"The vault {path} could not be read: {error.strerror}.") from error
    memory_kib, passes, lanes, salt = _parameters(path, data)
    key = _derive(_password_bytes(password), salt, memory_kib, passes, lanes)
    nonce, sealed = _split(data[_HEAD_SIZE:_IDENTITY_AT])
    try:
        data_key = AESGCM(key).decrypt(nonce, sealed, data[:_HEAD_SIZE])
    except InvalidTag:
        raise WrongPassword("This is not the password of this profile; type it again.") from None
    nonce, sealed = _split(data[_IDENTITY_AT:])
    try:
        seed = AESGCM(_identity_key(data_key)).decrypt(nonce, sealed, _LABEL_IDENTITY + b"\0")
    except InvalidTag:
        raise StoreError(
            f"The vault {path} is damaged: the password is right, but the identity does not open. {_MEND}"
        ) from None
    return Identity.from_seed(seed), data_key


def _split(part: bytes) -> tuple[bytes, bytes]:
    return part[:_NONCE_SIZE], part[_NONCE_SIZE:]


def _parameters(path: Path, data: bytes) -> tuple[int, int, int, bytes]:
    """Memory in KiB, passes, lanes and salt. Raises StoreError for what is no vault or asks for too much."""
    if data[:4] != _MAGIC:
        raise StoreError(f"The file {path} is not a vault of mobium.")
    if len(data) != VAULT_SIZE:
        raise StoreError(f"The vault {path} is damaged: it does not have {VAULT_SIZE} bytes. {_MEND}")
    memory_kib, passes, lanes = (int.from_bytes(data[at : at + 4], "big") for at in (4, 8, 12))
    for value, (least, most) in (
        (memory_kib, _MEMORY_RANGE),
        (passes, _PASSES_RANGE),
        (lanes, _LANES_RANGE),
    ):
        if not least <= value <= most:
            raise StoreError(f"The vault {path} asks for work outside the limits, so it is not opened.")
    return memory_kib, passes, lanes, data[16:_HEAD_SIZE]
