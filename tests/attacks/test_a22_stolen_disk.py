"""A22: a copy of the locked profile's disk (docs/CRYPTO.md section 2): nothing of it is readable, deleted
keys are gone from free pages, one password on two profiles gives two keys, no vault asks for absurd work.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from sqlcipher3 import dbapi2  # type: ignore[import-untyped]

from mobium.client.store import database
from mobium.crypto import Identity, vault
from mobium.errors import MobiumError, StoreError
from tests.attacks.people import Person, Scene, acquainted
from tests.support.engines import PASSWORD as ENGINES_PASSWORD
from tests.support.engines import tx
from tests.support.hostile import HostileServer

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
    # Magic and what the derivation costs; what follows is random, of which a byte may be equal.
    parameters = 16
    assert files[0][:parameters] == files[1][:parameters]
    common = [
        at for at in range(parameters, len(files[0]) - 3) if files[0][at : at + 4] == files[1][at : at + 4]
    ]
    assert common == []


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


# ---------------------------------------------------------------- the whole profile

SERVER = "quite-a-private-server.test"
NICKNAME = "Bartholomew the Baker"
TEXTS = ("meet me at the old lighthouse", "the treasure is under the seventh step", "ünïcödé läuft auch")


def spellings(secret: bytes) -> set[bytes]:
    """The ways in which a secret might stand in a file."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for shift in range(3):  # base64 depends on where in its groups of three the secret begins
        encoded = base64.b64encode(bytes(shift) + secret)
        found.add(encoded[-(-8 * shift // 6) : (shift + len(secret)) * 8 // 6])
    return found


def all_spellings(secrets: dict[str, str | bytes]) -> dict[str, set[bytes]]:
    found: dict[str, set[bytes]] = {}
    for name, secret in secrets.items():
        if isinstance(secret, bytes):
            found[name] = spellings(secret)
        else:
            texts = {secret, secret.upper(), secret.casefold()}
            codes = ("utf-8", "utf-16-le", "utf-16-be", "latin-1")
            found[name] = set().union(*(spellings(text.encode(code)) for text in texts for code in codes))
    return found


def readable(folder: Path, secrets: dict[str, str | bytes]) -> set[str]:
    """Which of the secrets stand somewhere in the files of a folder, or in their names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "mobium.db" for path in files)
    everything = b"\n".join([path.read_bytes() + path.name.encode() for path in files])
    return {name for name, ways in all_spellings(secrets).items() if any(way in everything for way in ways)}


async def lived_in(folder: Path) -> tuple[Path, dict[str, str | bytes]]:
    """A profile with a past, locked; and what nobody may read in it."""
    async with HostileServer(SERVER) as there, Scene(folder) as scene:
        scene.server, scene.world.connector, scene.world.url = there, there.connect, there.url
        words = await scene.world.create("bob")
        alice = await scene.person("alice")
        async with scene.visitor("bob") as bob:
            await bob.engine.contacts.add(alice.key, NICKNAME)
            await alice.engine.contacts.add(bob.key)
            for text in TEXTS:
                await alice.says(bob, text, "delivered")
                await bob.says(alice, text[::-1], "delivered")
            await bob.engine.send(alice.key, "queued: " + TEXTS[0])
            lines = await bob.engine.history(alice.key)
            secrets: dict[str, str | bytes] = {
                "the server": SERVER,
                "a nickname": NICKNAME,
                "a peer": alice.key,
                "the owner": bob.key,
                "the password": ENGINES_PASSWORD,
                "the words": words,
                "the seed": bob.engine.identity.seed,
                "the server's key": there.key.public,
                **{f"text {number}": text for number, text in enumerate(TEXTS)},
                **{f"answer {number}": text[::-1] for number, text in enumerate(TEXTS)},
                **{f"content id {line.position}": bytes.fromhex(line.id) for line in lines},
                **{f"time {line.position}": str(int(line.at.timestamp() * 1000)) for line in lines},
                **{
                    f"binary time {line.position}": int(line.at.timestamp() * 1000).to_bytes(6, "big")
                    for line in lines
                },
            }
        return scene.world.path("bob"), secrets


async def test_nothing_of_a_locked_profile_is_readable(folder: Path) -> None:
    profile, secrets = await lived_in(folder)
    assert len(secrets) > 25
    assert readable(profile, secrets) == set()
    assert not (profile / "mobium.db-wal").exists() or not (profile / "mobium.db-wal").stat().st_size
    for path in profile.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_without_the_cipher_everything_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_connect", unkeyed)  # the defence, off
    profile, secrets = await lived_in(folder)
    hidden = {"the password", "the words", "the seed", "the owner"}  # which are in no table
    times = {name for name in secrets if name.startswith("time")}  # binary there
    assert readable(profile, secrets) == secrets.keys() - hidden - times


def unkeyed(path: Path, _key: bytes) -> object:
    return dbapi2.connect(str(path), isolation_level=None, check_same_thread=False)


# ---------------------------------------------------------------- free pages


def decrypted(profile: Path) -> bytes:
    """All pages of the database, in use or free, as somebody sees them who learned the password later."""
    _, data_key = vault.open(profile / "vault", ENGINES_PASSWORD)
    key, data = vault.database_key(data_key), (profile / "mobium.db").read_bytes()
    pages = []
    for at in range(0, len(data), 4_096):
        page = data[at : at + 4_096]
        reader = Cipher(algorithms.AES(key), modes.CBC(page[-80:-64])).decryptor()
        pages.append(reader.update(page[16 if at == 0 else 0 : -80]))  # the salt stands in the first one
    return b"".join(pages)


async def used_up(folder: Path) -> tuple[bytes, list[bytes], list[bytes]]:
    """Bob's database after first messages used one-time keys of his: its pages, keys deleted, keys kept."""
    async with Scene(folder) as scene:
        alice, carol = await scene.person("alice"), await scene.person("carol")
        async with scene.visitor("bob") as bob:
            await acquainted(alice, bob, carol)
            before = await private_keys(bob)
            for friend in (alice, carol):
                await friend.says(bob, "hello", "delivered")
                await bob.says(friend, "hello too", "delivered")
            after = await private_keys(bob)
        pages = decrypted(scene.world.path("bob"))
        return pages, sorted(before - after), sorted(after)


async def private_keys(person: Person) -> set[bytes]:
    return await tx(person.engine, lambda tx: {row[0] for row in tx.all("SELECT private FROM prekey")})


async def test_deleted_keys_are_not_in_free_pages(folder: Path) -> None:
    pages, gone, kept = await used_up(folder)
    assert len(gone) == 4
    assert all(key in pages for key in kept)  # the pages were read right
    assert not any(key in pages or key[8:] in pages for key in gone)


async def test_without_secure_delete_deleted_keys_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple(pragma for pragma in database._PRAGMAS if "secure_delete" not in pragma)
    monkeypatch.setattr(database, "_PRAGMAS", (*others, "secure_delete = OFF"))  # the defence, off
    pages, gone, _ = await used_up(folder)
    assert any(key[8:] in pages for key in gone)
