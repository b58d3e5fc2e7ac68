"""The profile's database: one SQLCipher file, one thread, one transaction at a time.

A unit of work is a synchronous function that gets a `Tx`; it runs on the store's own thread between BEGIN
IMMEDIATE and COMMIT, so no await can come between two of its statements, and what it returns or emits exists
only after the commit. Not its concern: what the rows mean (the other modules of this package) and the
password (`mobium.crypto.vault`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sqlcipher3 import dbapi2  # type: ignore[import-untyped]

from mobium.client.events import Event
from mobium.client.store.cache import SessionCache
from mobium.client.store.rosters import RosterCache
from mobium.client.store.schema import APPLICATION_ID, MIGRATIONS
from mobium.crypto.invite import invite_key
from mobium.errors import MobiumError, StoreDamaged, StoreError, StoreFault

__all__ = ["Row", "Store", "Tx"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Row = tuple[Any, ...]

_COPY_LIFE: Final = 7 * 86_400  # seconds
# FULL: NORMAL loses commits when power fails. secure_delete: deleted keys are overwritten in the file.
_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "fullfsync = ON",
    "checkpoint_fullfsync = ON",
    "secure_delete = ON",
    "temp_store = MEMORY",
    "foreign_keys = ON",
)


class Tx:
    """One transaction: statements, the sessions and rosters that it changes, the events that its commit
    releases.
    """

    __slots__ = ("_connection", "events", "rosters", "sessions")

    def __init__(self, connection: Any, sessions: SessionCache, rosters: RosterCache) -> None:
        self._connection = connection
        self.sessions = sessions
        self.rosters = rosters
        self.events: list[Event] = []

    def execute(self, sql: str, *parameters: object) -> int:
        """Run one statement; returns the number of rows it changed."""
        return int(self._connection.execute(sql, parameters).rowcount)

    def insert(self, sql: str, *parameters: object) -> int:
        """Run one INSERT; returns the new row's id."""
        return int(self._connection.execute(sql, parameters).lastrowid)

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row of parameters."""
        self._connection.executemany(sql, rows)

    def one(self, sql: str, *parameters: object) -> Row | None:
        """The first row, or None."""
        row: Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, *parameters: object) -> list[Row]:
        """Every row."""
        rows: list[Row] = self._connection.execute(sql, parameters).fetchall()
        return rows

    def value(self, sql: str, *parameters: object) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, *parameters)
        return None if row is None else row[0]

    def emit(self, event: Event) -> None:
        """Tell `event` once this transaction is committed, and never if it is not."""
        self.events.append(event)


class Store:
    """The open database of one profile."""

    def __init__(self, path: Path, on_events: Callable[[list[Event]], None]) -> None:
        self._path = path
        self._on_events = on_events
        self.made = False
        """Whether there was no database here before."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mobium-store")
        self._connection: Any = None
        self._damage: StoreDamaged | None = None
        self._sessions = SessionCache()
        self._rosters = RosterCache()
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(
        cls, path: Path, key: bytes, on_events: Callable[[list[Event]], None], *, recovered_at: int = 0
    ) -> Store:
        """Open the database at `path` under the 32-byte `key`, or make it; brings older versions up to date,
        a copy of the file first.

        `on_events` is called on the running loop with what each commit released. A database that is made here
        belongs to an identity that was recovered at the unix second `recovered_at`; 0 for a new one. Raises
        StoreError with a sentence, having changed nothing.
        """
        store = cls(path, on_events)
        try:
            await store._on_thread(store._open, key, recovered_at)
        except BaseException:
            await store.close()
            raise
        return store

    async def run(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(tx, ...)` in one transaction and return its result once it is committed.

        If it raises, or the commit fails, nothing has changed. A cancelled caller does not undo a transaction
        that has begun. Raises StoreError, and what `work` raises of mobium's own errors; any other becomes a
        StoreFault.
        """
        return await self._on_thread(self._transact, work, args, kwargs)

    async def checkpoint(self) -> None:
        """Move the write-ahead log into the database and truncate it."""
        await self._on_thread(self._checkpoint)

    async def forget_copies(self, now: float) -> None:
        """Delete the copies of 7 days ago and more that updates have made: they hold keys that were deleted
        since.
        """
        await self._on_thread(self._forget_copies, now)

    async def close(self) -> None:
        """Checkpoint, close, and forget every session; further work raises StoreError."""
        thread = self._thread
        try:
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(thread, self._close))
        except RuntimeError:  # closed before
            return
        finally:
            thread.shutdown(wait=False)

    async def _on_thread(self, work: Callable[..., T], *args: Any) -> T:
        try:
            return await self._loop.run_in_executor(self._thread, work, *args)
        except (dbapi2.IntegrityError, dbapi2.InterfaceError, dbapi2.ProgrammingError) as error:
            raise self._fault(error) from error
        except dbapi2.Error as error:
            explained = _explain(error, self._path)
            if isinstance(explained, StoreDamaged):
                self._damage = explained
            raise explained from error
        except MobiumError:
            raise
        except (MemoryError, OSError) as error:  # it passes, perhaps
            if self._damage is not None:  # whatever is asked after a page that does not verify: no memory
                raise self._damage from error
            raise StoreError(f"{self._path} could not be changed: {type(error).__name__}.") from error
        except Exception as error:
            if isinstance(error, RuntimeError) and self._connection is None:
                raise StoreError("The profile is locked.") from error
            raise self._fault(error) from error

    @staticmethod
    def _fault(error: Exception) -> StoreFault:
        """A fault of this program, which somebody may have caused from outside: it must not end the program,
        and can be found by its place. Its words may hold what nobody is to read.
        """
        place = traceback.extract_tb(error.__traceback__)[-1]
        log.error(
            "A change of the database failed and was undone: %s in %s, line %d",
            type(error).__name__, Path(place.filename).name, place.lineno,
        )  # fmt: skip
        return StoreFault("A change of this profile's database failed and was undone; the log says where.")

    # ------------------------------------------------------------ on the store's thread

    def _open(self, key: bytes, recovered_at: int) -> None:
        _refuse_empty(self._path)
        connection = _connect(self._path, key)
        try:
            version = _check(connection, self._path)
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            self._connection = connection
            connection.create_function("invite_public", 1, lambda secret: invite_key(secret).public)
            for number in range(version, len(MIGRATIONS)):
                self._migrate(number, key, copy=version > 0, recovered_at=recovered_at)
            self.made = version == 0
        except BaseException:
            self._connection = None
            connection.close()
            raise

    def _migrate(self, number: int, key: bytes, *, copy: bool, recovered_at: int) -> None:
        if copy:
            kept = self._path.with_name(f"{self._path.name}.version-{number}")
            kept.unlink(missing_ok=True)
            with contextlib.closing(_connect(kept, key)) as target:
                self._connection.backup(target)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _statements(MIGRATIONS[number]):
                self._connection.execute(statement)
            if not number:
                self._connection.execute("INSERT INTO meta VALUES ('recovered_at', ?)", (recovered_at,))
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {number + 1}")
            self._commit()
        except BaseException:
            self._rollback()
            raise

    def _forget_copies(self, now: float) -> None:
        for copy in self._path.parent.glob(f"{self._path.name}.version-*"):
            with contextlib.suppress(OSError):  # the next hour tries again
                if abs(now - copy.stat().st_mtime) > _COPY_LIFE:
                    copy.unlink()

    def _transact(self, work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        if self._connection is None:
            raise StoreError("The profile is locked.")
        tx = Tx(self._connection, self._sessions, self._rosters)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(tx, *args, **kwargs)
            self._sessions.write(tx)
            self._commit()
        except BaseException:
            self._sessions.discard()
            self._rosters.discard()
            self._rollback()
            raise
        self._sessions.keep()
        self._rosters.keep()
        if tx.events:
            # Before the caller resumes, and even if it was cancelled: what is committed is told.
            self._loop.call_soon_threadsafe(self._on_events, tx.events)
        return result

    def _commit(self) -> None:
        self._connection.execute("COMMIT")

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _checkpoint(self) -> None:
        if self._connection is not None:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._sessions.clear()
        self._rosters.clear()
        if connection is not None:
            with contextlib.suppress(dbapi2.Error):  # a full disk must not keep the profile open
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()


def _connect(path: Path, key: bytes) -> Any:
    # For its owner alone, and so are the files that SQLite makes beside it; it would leave that to the umask.
    # What goes wrong here goes wrong again below, with a sentence.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = dbapi2.connect(str(path), isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA cipher_log_level = NONE")
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    return connection


def _refuse_empty(path: Path) -> None:
    """SQLite would take an empty file for a new database, and what once was in it for never written."""
    try:
        size = path.stat().st_size
    except OSError:
        return  # there is none, or it will be told below
    if not size:
        raise StoreError(
            f"The database {path} is empty, so it is damaged; put a copy in its place, or remove it to go on"
            " without contacts and history."
        )


def _check(connection: Any, path: Path) -> int:
    """The version of the database, 0 for a new one. Raises StoreError for one that is not ours."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if tables and application != APPLICATION_ID:
        raise StoreError(f"The database {path} is not one of mobium's; it was left as it is.")
    if version > len(MIGRATIONS):
        raise StoreError(f"The database {path} was written by a newer version of mobium; update this one.")
    return version


def _statements(script: str) -> list[str]:
    """The statements of a script, so that all of them run inside the migration's own transaction."""
    found, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line.split("--", 1)[0].rstrip() + "\n"
        if dbapi2.complete_statement(current):
            found.append(current)
            current = ""
    return found


def _explain(error: Exception, path: Path) -> StoreError:
    text = str(error)
    if "not a database" in text:
        return StoreError(
            f"The database {path} does not belong to this profile or is damaged; it was left as it is. "
            "Put a copy in its place, or move it away to go on without contacts and history."
        )
    if "malformed" in text:
        return StoreDamaged(
            f"The database {path} is damaged; put a copy in its place, or recover with the 24 words."
        )
    if "full" in text:
        return StoreError("The disk is full, so nothing was changed; make room and try again.")
    if "readonly" in text or "read-only" in text or "unable to open" in text:
        return StoreError(f"The database {path} cannot be written; check its permissions and the disk.")
    return StoreError(f"The database {path} failed: {text}.")
