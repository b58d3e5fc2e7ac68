"""The vault (docs/CRYPTO.md section 2; A22): what it refuses, never overwrites, and what a crash leaves."""

from __future__ import annotations

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from mobium.crypto import Identity, _files, vault
from mobium.errors import InvalidInput, StoreError, WrongPassword

PASSWORD = "correct horse battery"
OTHER = "staple, and so on"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault"


@pytest.fixture(scope="module")
def sealed(alice: Identity) -> tuple[bytes, bytes]:
    """(A vault's bytes under PASSWORD, its data key), made once: each costs Argon2id's time."""
    data_key = bytes(range(32))
    return vault._seal(PASSWORD, data_key, alice.seed), data_key


@pytest.fixture
def written(path: Path, sealed: tuple[bytes, bytes]) -> Path:
    path.write_bytes(sealed[0])
    return path


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id must not run."""

    def derive(*_: object) -> bytes:
        raise AssertionError("work was done")

    monkeypatch.setattr(vault, "_derive", derive)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of files alone: a key derivation that costs nothing."""
    monkeypatch.setattr(vault, "_derive", lambda password, *_: sha256(password).digest())


def test_what_is_created_opens(alice: Identity, path: Path) -> None:
    data_key = vault.create(path, PASSWORD, alice)
    identity, opened = vault.open(path, PASSWORD)
    assert len(data_key) == 32
    assert opened == data_key
    assert (identity.public, identity.seed) == (alice.public, alice.seed)
    assert path.stat().st_size == vault.VAULT_SIZE == 184
    assert names(path.parent) == ["vault"]


@pytest.mark.usefixtures("quick")
def test_two_vaults_of_one_identity_and_password_share_nothing(alice: Identity, tmp_path: Path) -> None:
    """A22: the same password on two profiles gives different keys."""
    keys = [vault.create(tmp_path / name, PASSWORD, alice) for name in ("one", "two")]
    assert keys[0] != keys[1]
    assert vault.database_key(keys[0]) != vault.database_key(keys[1])
    one, two = ((tmp_path / name).read_bytes() for name in ("one", "two"))
    assert one[:16] == two[:16]
    for start in range(16, 184 - 4):
        assert one[start : start + 4] != two[start : start + 4]


def test_the_file_tells_nothing_of_the_identity(written: Path, alice: Identity) -> None:
    data = written.read_bytes()
    for part in (
        alice.public,
        alice.x_public,
        alice.binding,
        alice.seed[:32],
        alice.seed[32:],
        PASSWORD.encode(),
    ):
        assert part not in data


@pytest.mark.usefixtures("quick")
@pytest.mark.skipif(
    os.name == "nt", reason="Windows keeps no such modes; its profile folder is the user's own"
)
def test_nobody_else_may_read_it_from_its_first_moment(
    alice: Identity, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    real_open = os.open

    def watching(name: str, flags: int, mode: int = 0o777) -> int:
        descriptor = real_open(name, flags, mode)
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    before = os.umask(0)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", watching)
            vault.create(path, PASSWORD, alice)
        vault.change_password(path, PASSWORD, OTHER)
    finally:
        os.umask(before)
    assert modes[0] == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_wrong_password_is_told_so_and_changes_nothing(written: Path) -> None:
    before = written.read_bytes()
    for wrong in (PASSWORD + " ", PASSWORD.upper(), "", "x"):
        with pytest.raises(WrongPassword, match="not the password"):
            vault.open(written, wrong)
    with pytest.raises(WrongPassword):
        vault.change_password(written, OTHER, PASSWORD)
    assert written.read_bytes() == before


@pytest.mark.parametrize(
    ("written_as", "typed_as"),
    [("étoile étoile", "e\u0301toile e\u0301toile"), ("ﬁve ①②③④⑤ stars", "five 12345 stars")],
)
@pytest.mark.usefixtures("quick")
def test_a_password_is_the_same_however_it_is_encoded(
    alice: Identity, path: Path, written_as: str, typed_as: str
) -> None:
    data_key = vault.create(path, written_as, alice)
    assert vault.open(path, typed_as)[1] == data_key


@pytest.mark.parametrize("password", ["", "short", "elevenchars", "ｅ" * 11, "e\u0301" * 11])
@pytest.mark.usefixtures("no_work")
def test_a_password_of_under_twelve_characters_is_refused(
    alice: Identity, path: Path, written: Path, password: str
) -> None:
    written.unlink()
    with pytest.raises(InvalidInput, match="at least 12 characters") as caught:
        vault.create(path, password, alice)
    assert password == "" or password not in str(caught.value)
    assert names(path.parent) == []
    with pytest.raises(InvalidInput, match="at least 12 characters"):
        vault.change_password(path, PASSWORD, password)


def test_twelve_characters_are_enough() -> None:
    for password in ("twelve chars", "ｅ" * 12, "ﬃ" * 4):
        vault.check_password(password)


@pytest.mark.usefixtures("no_work")
def test_a_password_that_is_no_text_is_refused(alice: Identity, path: Path) -> None:
    password = "not text \udcff\udcfe and long"
    with pytest.raises(InvalidInput, match="not text") as caught:
        vault.create(path, password, alice)
    assert "long" not in str(caught.value)
    assert caught.value.__cause__ is None  # a UnicodeEncodeError carries the password
    assert caught.value.__suppress_context__


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("at", "value"),
    [
        (4, 0),
        (4, 65_535),
        (4, 1_048_577),
        (4, 2**32 - 1),
        (8, 0),
        (8, 2),
        (8, 17),
        (8, 2**32 - 1),
        (12, 0),
        (12, 9),
        (12, 2**32 - 1),
    ],
)
def test_parameters_outside_the_limits_are_refused_before_any_work(
    written: Path, at: int, value: int
) -> None:
    data = bytearray(written.read_bytes())
    data[at : at + 4] = value.to_bytes(4, "big")
    written.write_bytes(data)
    with pytest.raises(StoreError, match="outside the limits"):
        vault.open(written, PASSWORD)
    with pytest.raises(StoreError, match="outside the limits"):
        vault.change_password(written, PASSWORD, OTHER)


def test_parameters_within_the_limits_are_worked_with(
    written: Path, alice: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version may write stronger ones; under this seal they only make the password wrong."""
    asked: list[tuple[int, ...]] = []

    def derive(_password: bytes, _salt: bytes, *parameters: int) -> bytes:
        asked.append(parameters)
        return bytes(32)

    monkeypatch.setattr(vault, "_derive", derive)
    data = bytearray(written.read_bytes())
    for parameters in ((65_536, 3, 1), (1_048_576, 16, 8)):
        data[4:16] = b"".join(value.to_bytes(4, "big") for value in parameters)
        written.write_bytes(data)
        with pytest.raises(WrongPassword):
            vault.open(written, PASSWORD)
        assert asked.pop() == parameters


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    "content", [b"", b"MBV", b"MBV0" + bytes(180), b"SQLite format 3\0" + bytes(4000), bytes(184)]
)
def test_a_foreign_file_is_no_vault(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not a vault"):
        vault.open(path, PASSWORD)
    assert path.read_bytes() == content


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("change", [-1, 1, -100, 100_000])
def test_a_vault_of_another_length_is_damaged(written: Path, change: int) -> None:
    data = written.read_bytes()
    written.write_bytes(data[:change] if change < 0 else data + bytes(change))
    with pytest.raises(StoreError, match="does not have 184 bytes"):
        vault.open(written, PASSWORD)


@pytest.mark.usefixtures("quick")
def test_every_changed_byte_is_found(alice: Identity, path: Path) -> None:
    vault.create(path, PASSWORD, alice)
    data = path.read_bytes()
    for at in range(184):
        path.write_bytes(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
        expected = StoreError if at < 4 or at >= 92 else (StoreError, WrongPassword)
        with pytest.raises(expected):
            vault.open(path, PASSWORD)


@pytest.mark.usefixtures("quick")
def test_an_identity_of_another_vault_does_not_open(alice: Identity, bob: Identity, tmp_path: Path) -> None:
    vault.create(tmp_path / "a", PASSWORD, alice)
    vault.create(tmp_path / "b", PASSWORD, bob)
    mixed = (tmp_path / "a").read_bytes()[:92] + (tmp_path / "b").read_bytes()[92:]
    (tmp_path / "a").write_bytes(mixed)
    with pytest.raises(StoreError, match="the password is right, but the identity does not open"):
        vault.open(tmp_path / "a", PASSWORD)


@pytest.mark.usefixtures("no_work")
def test_no_vault_there(path: Path) -> None:
    with pytest.raises(StoreError, match="no identity in"):
        vault.open(path, PASSWORD)
    path.mkdir()
    with pytest.raises(StoreError, match="could not be read"):
        vault.open(path, PASSWORD)


@pytest.mark.usefixtures("no_work")
def test_an_existing_identity_is_never_overwritten(written: Path, bob: Identity) -> None:
    before = written.read_bytes()
    with pytest.raises(StoreError, match="already an identity"):
        vault.create(written, OTHER, bob)
    assert written.read_bytes() == before
    for content in (b"", b"anything"):
        written.write_bytes(content)
        with pytest.raises(StoreError, match="already an identity"):
            vault.create(written, OTHER, bob)
        assert written.read_bytes() == content


@pytest.mark.skipif(os.name == "nt", reason="making a symbolic link needs a privilege there")
@pytest.mark.usefixtures("no_work")
def test_a_link_that_points_nowhere_is_not_followed(path: Path, bob: Identity) -> None:
    path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(StoreError, match="already an identity"):
        vault.create(path, OTHER, bob)
    assert names(path.parent) == ["vault"]


@pytest.fixture(params=["hard links", "no hard links"])
def linking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no hard links":

        def link(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("quick", "linking")
def test_one_made_in_between_is_not_overwritten(
    path: Path, alice: Identity, bob: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes pass the first look; the file appears while the second one derives its key."""
    derive = vault._derive
    first: list[bytes] = []

    def other_one_is_faster(*arguments: object) -> bytes:
        monkeypatch.setattr(vault, "_derive", derive)
        first.append(vault.create(path, PASSWORD, alice))
        return derive(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(vault, "_derive", other_one_is_faster)
    with pytest.raises(StoreError, match="already an identity"):
        vault.create(path, OTHER, bob)
    identity, data_key = vault.open(path, PASSWORD)
    assert (identity.public, [data_key]) == (alice.public, first)
    assert names(path.parent) == ["vault"]


@pytest.mark.usefixtures("quick", "linking")
def test_of_many_at_once_one_is_made(tmp_path: Path, alice: Identity) -> None:
    def attempt(_: int) -> bytes | None:
        try:
            return vault.create(tmp_path / "vault", PASSWORD, alice)
        except StoreError:
            return None

    for _ in range(20):
        with ThreadPoolExecutor(4) as pool:
            made = [data_key for data_key in pool.map(attempt, range(4)) if data_key is not None]
        assert len(made) == 1
        assert vault.open(tmp_path / "vault", PASSWORD)[1] == made[0]
        (tmp_path / "vault").unlink()


def test_another_password_keeps_the_data_key(written: Path, sealed: tuple[bytes, bytes]) -> None:
    vault.change_password(written, PASSWORD, OTHER)
    assert vault.open(written, OTHER)[1] == sealed[1]
    with pytest.raises(WrongPassword):
        vault.open(written, PASSWORD)
    before, after = sealed[0], written.read_bytes()
    assert before[:16] == after[:16]
    assert before[16:44] != after[16:44]
    assert before[92:104] != after[92:104]
    assert names(written.parent) == ["vault"]


class Crash(BaseException):
    """The process ends here."""


def crash(*_: object, **__: object) -> None:
    raise Crash


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_crash_while_creating_leaves_nothing_or_all(
    path: Path, alice: Identity, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, step, crash)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # a dead process tidies nothing up
        with pytest.raises(Crash):
            vault.create(path, PASSWORD, alice)
    assert not path.exists()
    assert len(names(path.parent)) == 1
    data_key = vault.create(path, PASSWORD, alice)
    assert vault.open(path, PASSWORD)[1] == data_key
    assert names(path.parent) == ["vault"]


@pytest.mark.usefixtures("quick")
def test_a_disk_that_refuses_the_new_password_is_told_and_the_old_one_stays(
    path: Path, alice: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_key = vault.create(path, PASSWORD, alice)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"could not be written to .*: No space left on device\."):
            vault.change_password(path, PASSWORD, OTHER)
    assert names(path.parent) == ["vault"]
    assert vault.open(path, PASSWORD)[1] == data_key


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_crash_while_changing_the_password_leaves_the_old_one(
    path: Path, alice: Identity, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    data_key = vault.create(path, PASSWORD, alice)
    with monkeypatch.context() as patch:
        patch.setattr(Path if step == "replace" else os, step, crash)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(Crash):
            vault.change_password(path, PASSWORD, OTHER)
    assert vault.open(path, PASSWORD)[1] == data_key
    leftovers = [name for name in names(path.parent) if name != "vault"]
    assert len(leftovers) == 1
    # The next change removes it: it is sealed under a password that was never taken.
    vault.change_password(path, PASSWORD, "a third password")
    assert names(path.parent) == ["vault"]
    assert vault.open(path, "a third password")[1] == data_key


@pytest.mark.usefixtures("quick")
def test_the_bytes_are_on_the_disk_before_the_name_is(
    path: Path, alice: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    for name in ("fsync", "link"):
        real = getattr(os, name)

        def noting(*arguments: object, name: str = name, real: object = real) -> object:
            steps.append(name)
            return real(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(os, name, noting)
    real_replace = Path.replace

    def replace(self: Path, target: Path) -> Path:
        steps.append("replace")
        return real_replace(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    vault.create(path, PASSWORD, alice)
    vault.change_password(path, PASSWORD, OTHER)
    assert steps == ["fsync", "link", "fsync", "fsync", "replace", "fsync"]


@pytest.mark.usefixtures("quick")
def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path, alice: Identity) -> None:
    with pytest.raises(StoreError, match="could not be written"):
        vault.create(tmp_path / "missing" / "vault", PASSWORD, alice)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="could not be written"):
        vault.create(tmp_path / "file" / "vault", PASSWORD, alice)


@pytest.mark.usefixtures("quick")
def test_a_full_disk_leaves_the_old_vault(
    path: Path, alice: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        vault.create(path, PASSWORD, alice)
    assert names(path.parent) == []


def test_too_little_memory_is_a_sentence(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Argon2id:
        def __init__(self, **_: object) -> None: ...

        def derive(self, _: bytes) -> bytes:
            raise MemoryError

    monkeypatch.setattr("cryptography.hazmat.primitives.kdf.argon2.Argon2id", Argon2id)
    with pytest.raises(StoreError, match="64 MiB of free memory"):
        vault.open(written, PASSWORD)


def test_a_name_with_pattern_characters_is_a_name(tmp_path: Path) -> None:
    for name in ("[v]ault", "*"):
        (tmp_path / ".vault.x.tmp").write_bytes(b"somebody else's")
        _files.write_new(tmp_path / name, b"data")
        assert (tmp_path / ".vault.x.tmp").exists()
        assert (tmp_path / name).read_bytes() == b"data"


def test_the_databases_key_is_derived_from_the_data_key(sealed: tuple[bytes, bytes]) -> None:
    key = vault.database_key(sealed[1])
    assert len(key) == 32
    assert key != sealed[1]
    for size in (0, 31, 33):
        with pytest.raises(InvalidInput, match=f"32 bytes, not {size}"):
            vault.database_key(bytes(size))


def test_a_file_whose_name_could_not_be_made_durable_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_folder: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_files, "_sync_folder", fail)
    with pytest.raises(OSError, match="Input/output"):
        _files.write_new(tmp_path / "vault", b"data")
    assert list(tmp_path.iterdir()) == []
