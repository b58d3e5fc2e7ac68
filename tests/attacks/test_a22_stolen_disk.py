"""A22: a copy of the locked profile's disk (docs/CRYPTO.md section 2): nothing of it is readable, deleted
keys are gone from free pages, one password on two profiles gives two keys, no vault asks for absurd work.
"""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import pytest

from mobium.crypto import Identity, vault
from mobium.errors import MobiumError, StoreError

PASSWORD = "correct horse battery"  # of nobody


# ---------------------------------------------------------------- the vault


def made_twice(folder: Path) -> tuple[list[bytes], list[bytes]]:
    """The files and the data keys of two profiles of one identity with one password."""
    identity, _ = Identity.generate()
    paths = [folder / "one", folder / "two"]
    keys = [vault.create(path, PASSWORD, identity) for path in paths]
    return [path.read_bytes() for path in paths], keys


def test_one_password_gives_two_profiles_different_keys(tmp_path: Path) -> None:
    files, keys = made_twice(tmp_path)
    assert keys[0] != keys[1]
    assert vault.database_key(keys[0]) != vault.database_key(keys[1])
    common = [at for at in range(len(files[0]) - 3) if files[0][at : at + 4] == files[1][at : at + 4]]
    assert common == list(range(13))  # magic and parameters


def test_without_fresh_salt_and_keys_the_profiles_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.crypto.vault.secrets.token_bytes", bytes)  # the defence, off
    files, keys = made_twice(tmp_path)
    assert files[0] == files[1]
    assert keys[0] == keys[1]


ABSURD = (
    (2**32 - 1, 3, 4),  # 4 TiB of memory
    (1_048_577, 3, 4),
    (65_536, 2**32 - 1, 4),  # years
    (65_536, 17, 4),
    (65_536, 3, 2**24),
    (65_536, 3, 9),
    (65_535, 3, 4),  # weaker than what is written: somebody has changed the file
    (8, 1, 1),
    (0, 0, 0),
    (65_536, 2, 4),
    (65_536, 3, 0),
)


class Recorder:
    """Argon2id that notes what it is asked for and does nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int]] = []

    def __call__(
        self, *, salt: bytes, length: int, iterations: int, lanes: int, memory_cost: int
    ) -> Recorder:
        self.asked.append((memory_cost, iterations, lanes))
        return self

    def derive(self, password: bytes) -> bytes:
        return hashlib.sha256(password).digest()


@pytest.fixture
def argon2(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr("cryptography.hazmat.primitives.kdf.argon2.Argon2id", recorder)
    return recorder


def with_parameters(path: Path, parameters: tuple[int, int, int]) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"".join(n.to_bytes(4, "big") for n in parameters) + data[16:])


@pytest.mark.parametrize("parameters", ABSURD)
def test_absurd_parameters_are_refused_before_any_work(
    parameters: tuple[int, int, int], tmp_path: Path, argon2: Recorder
) -> None:
    path = tmp_path / "vault"
    identity, _ = Identity.generate()
    vault.create(path, PASSWORD, identity)
    honest = path.read_bytes()
    with_parameters(path, parameters)
    argon2.asked.clear()
    for act in (
        lambda: vault.open(path, PASSWORD),
        lambda: vault.change_password(path, PASSWORD, PASSWORD + "!"),
    ):
        with pytest.raises(StoreError, match="outside the limits"):
            act()
    assert argon2.asked == []
    path.write_bytes(honest)
    assert vault.open(path, PASSWORD)[0].public == identity.public
    assert argon2.asked == [(65_536, 3, 4)]


def test_without_the_limits_the_work_begins(
    tmp_path: Path, argon2: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vault"
    vault.create(path, PASSWORD, Identity.generate()[0])
    for parameters in ABSURD:
        argon2.asked.clear()
        with_parameters(path, parameters)
        # The defence, off:
        monkeypatch.setattr(vault, "_parameters", lambda _path, data, p=parameters: (*p, data[16:32]))
        with pytest.raises(MobiumError):
            vault.open(path, PASSWORD)
        assert argon2.asked == [parameters]


def test_a_changed_byte_of_the_vault_opens_nothing(tmp_path: Path, argon2: Recorder) -> None:
    path = tmp_path / "vault"
    identity, _ = Identity.generate()
    vault.create(path, PASSWORD, identity)
    honest = path.read_bytes()
    for at in itertools.chain(range(32), range(32, len(honest), 5)):
        path.write_bytes(honest[:at] + bytes((honest[at] ^ 1,)) + honest[at + 1 :])
        with pytest.raises(MobiumError):
            vault.open(path, PASSWORD)
    path.write_bytes(honest)
    assert vault.open(path, PASSWORD)[0].seed == identity.seed
