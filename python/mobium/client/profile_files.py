"""The files of one profile: `vault` (the identity behind a password), `mobium.db` (everything else), `lock`.

Not its concern: where profiles lie and how they are called (`mobium.client.profile`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from mobium.client.events import Event
from mobium.client.profile_lock import ProfileLock
from mobium.client.recovery import WORDS
from mobium.client.store import meta
from mobium.client.store.database import Store
from mobium.crypto import vault
from mobium.crypto.identity import Identity
from mobium.errors import StoreError

__all__ = ["DATABASE", "VAULT", "OpenProfile", "create", "open_profile", "recover"]

T = TypeVar("T")

VAULT: Final = "vault"
DATABASE: Final = "mobium.db"


class OpenProfile(msgspec.Struct, frozen=True):
    """What `open_profile` gives: close the store first, then release the lock.

    `began_anew`: the database was missing, so there is a new one.
    """

    identity: Identity
    store: Store
    lock: ProfileLock
    began_anew: bool


async def create(
    directory: Path, password: str, show: Callable[[str], object] | None = None, *, keep: bool = False
) -> str:
    """A new identity in `directory`; returns its recovery words, which `show` has got before. With `keep`
    the database has them until somebody confirms them.

    Whoever is cancelled, or gets an error, also from `show`, leaves no identity behind. Raises InvalidInput,
    StoreError, and what `show` raises.
    """
    vault.check_password(password)
    identity, words = await asyncio.to_thread(Identity.generate)
    kept = words if keep else None
    await _make(directory, password, identity, 0, (lambda: show(words)) if show is not None else None, kept)
    return words


async def recover(directory: Path, password: str, words: str, passphrase: str, now: int) -> None:
    """The identity of those words in `directory`. Raises RecoveryError, InvalidInput, StoreError."""
    vault.check_password(password)
    identity = await asyncio.to_thread(Identity.from_words, words, passphrase)
    await _make(directory, password, identity, now)


async def _make(
    directory: Path,
    password: str,
    identity: Identity,
    recovered_at: int,
    last: Callable[[], object] | None = None,
    words: str | None = None,
) -> None:
    _make_folder(directory)
    lock = ProfileLock(directory)
    try:
        if _exists(directory / DATABASE) and not _exists(directory / VAULT):
            raise StoreError(
                f"There is a database without its identity in {directory}; it was left as it is."
            )
        before = _files(directory)
        loop = asyncio.get_running_loop()  # and no task, which the loop's end would cancel
        sealing = loop.run_in_executor(None, vault.create, directory / VAULT, password, identity)
        try:
            data_key = await _to_its_end(sealing)
            await _to_its_end(_new_database(directory / DATABASE, data_key, recovered_at, words))
            if last is not None:
                last()
        except BaseException:
            if sealing.done() and not sealing.cancelled() and sealing.exception() is None:
                _unmake(directory, before)
            raise
    finally:
        lock.release()


async def _to_its_end(work: Awaitable[T]) -> T:
    """Wait for `work` even if the caller is cancelled, which happens only then: a thread cannot be stopped,
    and what it made when nobody waited any more would stay for ever.
    """
    future = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not future.cancelled():
            future.exception()  # nobody else will look at it
        raise cancelled
    return future.result()


async def _new_database(path: Path, data_key: bytes, recovered_at: int, words: str | None) -> None:
    store = await Store.open(path, vault.database_key(data_key), _nobody, recovered_at=recovered_at)
    try:
        if words is not None:
            await store.run(meta.put, WORDS, words)
    finally:
        await store.close()


def _unmake(directory: Path, before: Collection[Path]) -> None:
    """Remove a vault that nobody has seen the words of, and its database; what lay there `before` stays.

    The vault goes last, since a database alone would be in the way of the next try. The lock's file stays:
    another process may have it open.
    """
    with suppress(OSError):
        mine = _files(directory).difference(before)
        for file in (*(one for one in mine if one.name.startswith(DATABASE)), directory / VAULT):
            file.unlink(missing_ok=True)


def _make_folder(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder {directory} cannot be made: {error.strerror}.") from error


def _files(directory: Path) -> set[Path]:
    return set(directory.iterdir())


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _nobody(_events: list[Event]) -> None:
    """A new database tells nothing."""


async def open_profile(
    directory: Path, password: str, on_events: Callable[[list[Event]], None], now: int
) -> OpenProfile:
    """Open the profile in `directory`.

    A profile whose database is gone (or was never made, after a crash during creation) goes on like one
    recovered on an empty machine. Raises WrongPassword, StoreError.
    """
    if not _exists(directory / VAULT):
        raise StoreError(f"There is no profile in {directory}.")
    lock = ProfileLock(directory)
    try:
        identity, data_key = await asyncio.to_thread(vault.open, directory / VAULT, password)
        key = vault.database_key(data_key)
        store = await Store.open(directory / DATABASE, key, on_events, recovered_at=now)
    except BaseException:
        lock.release()
        raise
    return OpenProfile(identity, store, lock, store.made)
