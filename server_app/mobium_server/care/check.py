"""`mobium-server check`: whether the settings, the database, the certificate and the disk are as they should
be. A server may run meanwhile; nothing is changed.

Not its concern: whether the server answers (`mobium_server.care.probe`) and the settings' own rules
(`mobium_server.config`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from mobium.errors import InvalidInput, StoreError
from mobium_server.care.contents import faults, identify, look, reading
from mobium_server.config import Settings, database_path, problems, unknown_variables
from mobium_server.space import reserve
from mobium_server.storage.access import hindrance
from mobium_server.storage.beside import linked, remains, replaced
from mobium_server.storage.database import InUse, connect, lock
from mobium_server.storage.schema import MIGRATIONS
from mobium_server.tls import Certificates, moment

__all__ = ["Finding", "Grade", "check"]

WARN_DAYS = 14  # before a certificate ends; one that renews itself is renewed thirty days before
COMFORT = 2  # times the reserve, below which it is time to look


class Grade(Enum):
    """How a finding is to be taken."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(NamedTuple):
    """One line of the report."""

    grade: Grade
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.grade.value:<8} {self.subject:<12} {self.text}"


def check(environment: Mapping[str, str], env_file: Path | None, now: datetime) -> Iterator[Finding]:
    """Look at everything, in this order: settings, database, certificate, disk. `now` has a time zone."""
    try:
        wrong, unknown = problems(environment, env_file), unknown_variables(environment, env_file)
    except InvalidInput as error:
        wrong, unknown = [str(error)], []
    for sentence in wrong:
        yield Finding(Grade.WRONG, "settings", sentence)
    for name in unknown:
        yield Finding(Grade.WARNING, "settings", f"There is no setting {name}; it is ignored.")
    if wrong:
        text = "not looked at, because the settings are wrong."
        yield Finding(Grade.WARNING, "the rest", text)
        return
    settings = Settings.from_env(environment, env_file)
    yield from _settings(settings)
    yield from _database(database_path(settings.database_url))
    yield from _certificate(settings, now)
    yield from _disk(database_path(settings.database_url))


def _settings(settings: Settings) -> Iterator[Finding]:
    public = settings.host not in ("127.0.0.1", "::1", "localhost")
    if settings.require_tls and settings.tls_cert is None and not settings.trusted_proxies:
        yield Finding(
            Grade.WRONG,
            "settings",
            "SC_REQUIRE_TLS is true, but there is neither a certificate nor a proxy in SC_TRUSTED_PROXIES:"
            " nobody can connect.",
        )
    elif not settings.require_tls and settings.tls_cert is None and public:
        yield Finding(
            Grade.WARNING,
            "settings",
            f"SC_REQUIRE_TLS is false and SC_HOST={settings.host} is open to the network: whoever listens"
            " there sees who writes to whom.",
        )
    else:
        yield Finding(Grade.OK, "settings", "Every variable is understood.")


# ---------------------------------------------------------------- the database


def _database(path: Path) -> Iterator[Finding]:
    why = hindrance(path)
    if why:
        yield Finding(Grade.WRONG, "database", f"{path} cannot be used by a server of this user. {why}")
        return
    doubt = remains(path) or linked(path)
    if doubt:
        yield Finding(Grade.WRONG, "database", doubt)
        return
    if not path.exists():
        yield Finding(Grade.OK, "database", f"There is none yet; the first start makes {path}.")
        return
    try:
        running = _runs(path)
        with reading(path) as connection:
            identify(connection, path)
            found = faults(connection)
            contents = None if found else look(connection, path)
    except StoreError as error:
        yield Finding(Grade.WRONG, "database", str(error))
        return
    for fault in found:
        yield Finding(Grade.WRONG, "database", f"{path} is damaged: {fault.splitlines()[-1]}.")
    if contents is None:
        yield Finding(
            Grade.WRONG,
            "database",
            "Stop the server, then put a backup in its place: mobium-server restore FILE.",
        )
        return
    if not contents.has_key:
        yield Finding(
            Grade.WRONG if contents.rows.get("devices") else Grade.WARNING,
            "database",
            f"{path} holds no key of the server; it makes a new one, and clients will be warned of it.",
        )
    if contents.version < len(MIGRATIONS):
        newest = len(MIGRATIONS)
        text = f"Its schema is {contents.version}; the next start upgrades it to {newest}, after a copy."
        yield Finding(Grade.OK, "database", text)
    yield Finding(Grade.OK, "database", f"{path} is sound: {contents}.")
    yield _writable(path, running=running)
    yield from _readers(path)
    for aside in replaced(path):
        text = (
            f"{aside} is what a restore replaced, and holds what was deleted since; delete it when you can."
        )
        yield Finding(Grade.WARNING, "database", text)


def _runs(path: Path) -> bool:
    """Whether a server runs on a database."""
    if not path.with_name(f"{path.name}.lock").exists():
        return False
    try:
        with lock(path):
            return False
    except InUse:
        return True
    except OSError as error:
        raise StoreError(f"{path}.lock cannot be opened: {error.strerror}.") from error


def _writable(path: Path, *, running: bool) -> Finding:
    try:
        with contextlib.closing(connect(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return Finding(Grade.WRONG, "database", f"{path} cannot be written: {error}.")
    state = "a server runs on it" if running else "no server runs on it"
    return Finding(Grade.OK, "database", f"It can be written, and {state}.")


def _readers(path: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if sys.platform != "win32" and mode & 0o077:
        text = f"Others on this machine may open {path}, which holds the server's key: chmod 600 {path}"
        yield Finding(Grade.WARNING, "database", text)


# ---------------------------------------------------------------- the certificate


def _certificate(settings: Settings, now: datetime) -> Iterator[Finding]:
    if settings.tls_cert is None or settings.tls_key is None:
        if settings.require_tls:
            text = "None: only a proxy of SC_TRUSTED_PROXIES that speaks https lets people in."
        else:
            text = "None, and SC_REQUIRE_TLS is false."
        yield Finding(Grade.OK, "certificate", text)
        return
    try:
        certificates = Certificates(settings.tls_cert, settings.tls_key)
    except InvalidInput as error:
        yield Finding(Grade.WRONG, "certificate", str(error))
        return
    yield _in_force(settings.tls_cert, certificates, now)
    for sentence in certificates.foreign(settings.public_hosts):
        yield Finding(Grade.WARNING, "certificate", sentence)


def _in_force(cert: Path, certificates: Certificates, now: datetime) -> Finding:
    untimely = certificates.untimely(now)
    if untimely:
        return Finding(Grade.WRONG, "certificate", untimely)
    end, left = moment(certificates.ends), certificates.ends - now
    if left < timedelta(days=WARN_DAYS):
        days = "in less than a day" if left.days < 1 else f"in {left.days} day{'s' if left.days > 1 else ''}"
        return Finding(Grade.WARNING, "certificate", f"{cert} expires {days}, on {end}; renew it.")
    return Finding(Grade.OK, "certificate", f"{cert} fits its key and is in force until {end}.")


# ---------------------------------------------------------------- the disk


def _disk(path: Path) -> Iterator[Finding]:
    folder = next(one for one in path.absolute().parents if os.path.exists(one))  # noqa: PTH110 - never raises
    usage = shutil.disk_usage(folder)
    free = usage.free
    least = reserve(usage.total)
    size = 0
    with contextlib.suppress(OSError):  # there is none yet, or it is closed, which was said
        size = path.stat().st_size
    text = f"{_bytes(free)} free for {folder}; the database has {_bytes(size)}."
    if free < least:
        kept = f"{_bytes(least)} have to stay free: mail for people who are away and for channels is refused."
        yield Finding(Grade.WRONG, "disk", f"Only {text} {kept}")
    elif free < COMFORT * least or free < 2 * size:
        yield Finding(Grade.WARNING, "disk", f"Only {text} An upgrade makes a copy of the database first.")
    else:
        yield Finding(Grade.OK, "disk", text)


def _bytes(number: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1_024:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1_024
    return f"{number:.1f} TiB"
