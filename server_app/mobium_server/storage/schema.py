"""The tables of the server's database, as numbered steps that are never changed once released.

Not its concern: running them (`mobium_server.storage.migrate`). There is no column for anything that delivery
does not need: no last-seen time, no sender or recipient of a message that was delivered.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "MIGRATIONS"]

APPLICATION_ID = 0x4D4F4253  # "MOBS": tells this database from any other SQLite file

# Mailbox order is the row order of `messages`: AUTOINCREMENT never uses a number again, not even that of a
# deleted last row.
_FIRST = """
CREATE TABLE server (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    identity BLOB NOT NULL,
    device INTEGER NOT NULL,
    x_public BLOB NOT NULL,
    binding BLOB NOT NULL,
    signed_id INTEGER NOT NULL,
    signed_expires INTEGER NOT NULL,
    signed_public BLOB NOT NULL,
    signed_signature BLOB NOT NULL,
    resort_id INTEGER NOT NULL,
    resort_expires INTEGER NOT NULL,
    resort_public BLOB NOT NULL,
    resort_signature BLOB NOT NULL,
    UNIQUE (identity, device)
);

CREATE TABLE prekeys (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES devices (id),
    kind INTEGER NOT NULL,
    id INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    public BLOB NOT NULL,
    signature BLOB NOT NULL,
    UNIQUE (owner, kind, id)
);

CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox INTEGER NOT NULL REFERENCES devices (id),
    sender BLOB NOT NULL,
    delivery BLOB NOT NULL,
    arrived INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE UNIQUE INDEX messages_once ON messages (mailbox, sender, delivery);
CREATE INDEX messages_in_order ON messages (mailbox);
"""

# A channel's row counts its numbers, not the rows of its entries: what has expired leaves its number used.
_CHANNELS = """
CREATE TABLE channels (
    id INTEGER PRIMARY KEY,
    channel BLOB NOT NULL UNIQUE,
    next INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    member_index INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    kept_bytes INTEGER NOT NULL
);

CREATE TABLE statements (
    channel INTEGER NOT NULL REFERENCES channels (id),
    position INTEGER NOT NULL,
    number INTEGER NOT NULL,
    statement BLOB NOT NULL,
    PRIMARY KEY (channel, position)
) WITHOUT ROWID;
CREATE UNIQUE INDEX statements_by_number ON statements (channel, number);

CREATE TABLE members (
    channel INTEGER NOT NULL REFERENCES channels (id),
    identity BLOB NOT NULL,
    joined INTEGER NOT NULL,
    gone INTEGER,
    PRIMARY KEY (channel, identity)
) WITHOUT ROWID;
CREATE INDEX members_by_identity ON members (identity, gone);

CREATE TABLE posts (
    seq INTEGER PRIMARY KEY,
    channel INTEGER NOT NULL REFERENCES channels (id),
    number INTEGER NOT NULL,
    sender BLOB NOT NULL,
    delivery BLOB NOT NULL,
    arrived INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE UNIQUE INDEX posts_by_number ON posts (channel, number);
CREATE UNIQUE INDEX posts_once ON posts (channel, sender, delivery);

CREATE TABLE invites (
    number INTEGER PRIMARY KEY,
    channel INTEGER NOT NULL REFERENCES channels (id),
    id BLOB NOT NULL,
    uses INTEGER NOT NULL,
    used INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    made_by BLOB NOT NULL,
    UNIQUE (channel, id)
);

ALTER TABLE messages ADD COLUMN channel BLOB;
"""

# On the server's own clock, as of the next upkeep, so that no wall clock retires anybody; NULL until then.
_RENEWED = """
ALTER TABLE devices ADD COLUMN renewed INTEGER;
CREATE INDEX devices_by_renewal ON devices (renewed);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _CHANNELS, _RENEWED)
