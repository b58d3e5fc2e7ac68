"""The files of one profile: `vault` (the identity behind a password), `mobium.db` (everything else), `lock`.

Not its concern: where profiles lie and how they are called (`mobium.client.profile`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from mobium.client.events import Event
from mobium.client.profile_lock import ProfileLock
from mobium.client.store import meta
from mobium.client.store.database import Store
from mobium.crypto import vault
from mobium.crypto.identity import Identity
from mobium.errors import StoreError

__all__ = ["DATABASE", "VAULT", "OpenProfile", "create", "open_profile", "recover"]

VAULT: Final = "vault"
DATABASE: Final = "mobium.db"


class OpenProfile(msgspec.Struct, frozen=True):
    """What `open_profile` gives: close the store first, then release the lock."""

    identity: Identity
    store: Store
    lock: ProfileLock


async def create(directory: Path, password: str) -> str:
    """A new identity in `directory`; returns its recovery words. Raises InvalidInput, StoreError."""
    vault.check_password(password)
    identity, words = await asyncio.to_thread(Identity.generate)
    await _make(directory, password, identity, None)
    return words


async def recover(directory: Path, password: str, words: str, passphrase: str, now: int) -> None:
    """The identity of those words in `directory`. Raises RecoveryError, InvalidInput, StoreError."""
    vault.check_password(password)
    identity = await asyncio.to_thread(Identity.from_words, words, passphrase)
    await _make(directory, password, identity, now)


async def _make(directory: Path, password: str, identity: Identity, recovered_at: int | None) -> None:
    _make_folder(directory)
    lock = ProfileLock(directory)
    try:
        if _exists(directory / DATABASE) and not _exists(directory / VAULT):
            raise StoreError(
                f"There is a database without its identity in {directory}; it was left as it is."
            )
        data_key = await asyncio.to_thread(vault.create, directory / VAULT, password, identity)
        store = await Store.open(directory / DATABASE, vault.database_key(data_key), _nobody)
        try:
            await store.run(meta.put, "recovered_at", recovered_at or 0)
        finally:
            await store.close()
    finally:
        lock.release()


def _make_folder(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder {directory} cannot be made: {error.strerror}.") from error


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
        fresh = not _exists(directory / DATABASE)
        store = await Store.open(directory / DATABASE, vault.database_key(data_key), on_events)
        if fresh:
            await store.run(meta.put, "recovered_at", now)
    except BaseException:
        lock.release()
        raise
    return OpenProfile(identity, store, lock)
