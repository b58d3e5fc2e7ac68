"""Single values of a profile, and what is known of its servers.

Not its concern: connecting (`mobium.client.online`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from mobium.protocol import limits

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = [
    "MESSAGE_SIZE",
    "MESSAGE_TTL",
    "NAME",
    "Server",
    "choose_server",
    "current_server",
    "drop",
    "get",
    "largest_content",
    "meet_server",
    "note_drained",
    "own_name",
    "pin_server_key",
    "put",
    "server",
    "set_server_key",
]

# Before a server has told its limits: the largest bucket, and 30 days.
MESSAGE_SIZE: Final = 4 << 20
MESSAGE_TTL: Final = 30 * 86_400
NAME: Final = "name"


class Server(msgspec.Struct, frozen=True):
    """A server as it is remembered. `key` is its pinned public key (32 bytes) once it has been reached."""

    host: str
    url: str
    key: bytes | None
    published: bool
    message_size: int
    message_ttl: int
    drained_at: int


def get(tx: Tx, name: str, default: Any = None) -> Any:
    """The value stored under `name`."""
    row = tx.one("SELECT value FROM meta WHERE name = ?", name)
    return default if row is None else row[0]


def own_name(tx: Tx) -> str:
    """What this identity calls itself in its channels; empty for nothing."""
    name: str = get(tx, NAME, "")
    return name


def put(tx: Tx, name: str, value: Any) -> None:
    """Store a value under `name`."""
    tx.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value
    )


def drop(tx: Tx, name: str) -> None:
    """Forget a value."""
    tx.execute("DELETE FROM meta WHERE name = ?", name)


def server(tx: Tx, host: str) -> Server | None:
    """What is known of a server, by its canonical host."""
    row = tx.one(
        "SELECT host, url, key, published, message_size, message_ttl, drained_at FROM server WHERE host = ?",
        host,
    )
    if row is None:
        return None
    name, url, key, published, size, ttl, drained_at = row
    return Server(name, url, key, bool(published), size or MESSAGE_SIZE, ttl or MESSAGE_TTL, drained_at)


def current_server(tx: Tx) -> Server | None:
    """The server of the last login; before the first one, the first that was named."""
    host = get(tx, "server")
    return None if host is None else server(tx, host)


def largest_content(tx: Tx) -> int:
    """The longest plaintext, in bytes, that the current server takes as far as is known."""
    current = current_server(tx)
    return limits.largest_content(MESSAGE_SIZE if current is None else current.message_size)


def meet_server(tx: Tx, host: str, url: str) -> Server:
    """Note a server that somebody named.

    It becomes the current one at a login (`choose_server`), since a name may be mistyped; only where there
    is none yet, at once.
    """
    tx.execute("INSERT OR IGNORE INTO server (host, url) VALUES (?, ?)", host, url)
    if get(tx, "server") is None:
        put(tx, "server", host)
    found = server(tx, host)
    assert found is not None
    return found


def choose_server(tx: Tx, host: str, url: str) -> None:
    """Make a server the current one, under the address where it was reached."""
    tx.execute("UPDATE server SET url = ? WHERE host = ?", url, host)
    put(tx, "server", host)


def set_server_key(tx: Tx, host: str, key: bytes, message_size: int, message_ttl: int) -> None:
    """Note the key and the limits that a server has shown at a login."""
    tx.execute(
        "UPDATE server SET key = ?, message_size = ?, message_ttl = ? WHERE host = ?",
        key, message_size, message_ttl, host,
    )  # fmt: skip


def pin_server_key(tx: Tx, host: str, key: bytes) -> None:
    """Believe this key (32 bytes) of a server from now on."""
    tx.execute("UPDATE server SET key = ? WHERE host = ?", key, host)


def note_drained(tx: Tx, host: str, now: int) -> None:
    """Note that everything that waited on the server has been received."""
    tx.execute("UPDATE server SET drained_at = ? WHERE host = ?", now, host)
