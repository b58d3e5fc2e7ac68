"""The tables of a profile's database, as numbered migrations that never change once released.

Everything here lies inside one SQLCipher file, so names, peers and times are ciphertext on the disk. Times
are unix seconds unless the name ends in `_ms`. Message rows have an integer key and one text column, so that
an FTS5 table with external content can be laid over them. Not its concern: who reads and writes the rows (the
other modules of this package, one for each subject).
"""

from __future__ import annotations

from typing import Final

__all__ = ["APPLICATION_ID", "MIGRATIONS"]

APPLICATION_ID: Final = 0x4D6F6231  # "Mob1": tells a profile's database from any other one under the same key

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- One profile uses one server at a time; what is known of earlier ones is kept.
CREATE TABLE server (
    host TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    key BLOB,                                   -- pinned at first use
    published INTEGER NOT NULL DEFAULT 0,       -- whether this store has ever published prekeys there
    message_size INTEGER NOT NULL DEFAULT 0,
    message_ttl INTEGER NOT NULL DEFAULT 0,
    drained_at INTEGER NOT NULL DEFAULT 0       -- when the mailbox was last known to be empty
) WITHOUT ROWID;

CREATE TABLE peer (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ed BLOB NOT NULL UNIQUE,
    x BLOB,                                     -- pinned at first sight
    offered_x BLOB,                             -- what came instead, while trust is 'changed'
    trust TEXT NOT NULL DEFAULT 'unverified' CHECK (trust IN ('unverified', 'verified', 'changed')),
    relation TEXT NOT NULL CHECK (relation IN ('contact', 'request', 'unknown')),
    blocked INTEGER NOT NULL DEFAULT 0,
    nickname TEXT,
    nickname_key TEXT UNIQUE,                   -- the nickname as it is compared
    added_at INTEGER NOT NULL,
    retry_at INTEGER NOT NULL DEFAULT 0,        -- when the last retry session was begun
    read_to INTEGER NOT NULL DEFAULT 0          -- message.id up to which the user has read
);

-- A session's state without its skipped keys and its handshake header: under 1 KiB, written at every step.
CREATE TABLE session (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer INTEGER NOT NULL,
    handshake BLOB NOT NULL UNIQUE,
    head BLOB NOT NULL,
    receive_only INTEGER NOT NULL,
    rank INTEGER NOT NULL,                      -- the highest one that is not receive-only is active
    made_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
);
CREATE INDEX session_peer ON session (peer);
CREATE TABLE session_header (session INTEGER PRIMARY KEY, header BLOB NOT NULL);
CREATE TABLE skipped (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,      -- oldest first
    session INTEGER NOT NULL,
    key BLOB NOT NULL,
    record BLOB NOT NULL,
    stored_at INTEGER NOT NULL,
    after INTEGER NOT NULL,                     -- message.id behind which the missing number would stand
    UNIQUE (session, key)
);
CREATE TABLE seen (
    handshake BLOB PRIMARY KEY,
    newest INTEGER NOT NULL                     -- made_at of the newest key held at that moment
) WITHOUT ROWID;

CREATE TABLE prekey (
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    public BLOB NOT NULL,
    signature BLOB NOT NULL,
    private BLOB NOT NULL,
    made_at INTEGER NOT NULL,
    host TEXT NOT NULL,                         -- the server it was made for
    published INTEGER NOT NULL DEFAULT 0,
    replaced_at INTEGER,                        -- when the server acknowledged its successor
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE TABLE opened (digest BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX opened_at ON opened (at);
CREATE TABLE shown (
    peer INTEGER NOT NULL,
    content BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (peer, content)
) WITHOUT ROWID;
CREATE INDEX shown_at ON shown (at);
CREATE TABLE unopened (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,      -- the order of arrival, in which they are asked for again
    digest BLOB NOT NULL UNIQUE,
    peer INTEGER,                               -- null for a sender that is nobody to us
    at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    retried INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX unopened_peer ON unopened (peer, retried);

CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer INTEGER NOT NULL,
    content BLOB NOT NULL,
    outgoing INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    sent_ms INTEGER NOT NULL,                   -- as the sender says
    at_ms INTEGER NOT NULL,                     -- as this machine says
    state TEXT NOT NULL,
    code TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX message_content ON message (content, peer, outgoing);
CREATE INDEX message_peer ON message (peer, id);

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,       -- the order of sending
    peer INTEGER NOT NULL,
    message INTEGER,                            -- null for receipts and retries
    plaintext BLOB,                             -- what waits to be encrypted; null once it is
    delivery BLOB UNIQUE,
    payload BLOB,
    queued_at INTEGER NOT NULL
);
CREATE INDEX outbox_peer ON outbox (peer, id);
CREATE INDEX outbox_message ON outbox (message);
CREATE TABLE sent (
    digest BLOB PRIMARY KEY,
    peer INTEGER NOT NULL,
    session INTEGER NOT NULL,
    message INTEGER,
    plaintext BLOB,                             -- of what is no message
    at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sent_at ON sent (at);
CREATE TABLE receipt (
    peer INTEGER NOT NULL,
    content BLOB NOT NULL,
    what TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (peer, content, what)
) WITHOUT ROWID;
"""

_CHANNELS = """
CREATE TABLE channel (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel BLOB NOT NULL UNIQUE,               -- its id, 32 bytes
    host TEXT NOT NULL,                         -- the server that keeps it
    private INTEGER NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('joining', 'member', 'left', 'removed', 'banned', 'broken')),
    reason TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    name_key TEXT NOT NULL DEFAULT '',          -- the name as it is compared
    topic TEXT NOT NULL DEFAULT '',
    secret BLOB,                                -- of the key in force, once it is known
    cursor INTEGER NOT NULL DEFAULT 0,          -- every entry up to this number is stored
    cursor_index INTEGER NOT NULL DEFAULT 0,    -- the roster index at the cursor
    head INTEGER NOT NULL DEFAULT 0,            -- the highest number that the server has named
    server_index INTEGER NOT NULL DEFAULT 0,    -- and the highest roster index
    read_to INTEGER NOT NULL DEFAULT 0,         -- the number up to which the user has read
    drained_at INTEGER NOT NULL DEFAULT 0,      -- when the cursor was last known to be at the head
    added_at INTEGER NOT NULL
);
CREATE TABLE statement (
    channel INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    raw BLOB NOT NULL,
    PRIMARY KEY (channel, idx)
) WITHOUT ROWID;
CREATE TABLE member (
    channel INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    name TEXT NOT NULL DEFAULT '',              -- as the member calls itself
    PRIMARY KEY (channel, peer)
) WITHOUT ROWID;
CREATE INDEX member_peer ON member (peer);
-- Heads that members speak of and that this profile has not seen yet.
CREATE TABLE claim (
    channel INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    head BLOB NOT NULL,
    peer INTEGER NOT NULL,
    PRIMARY KEY (channel, peer)
) WITHOUT ROWID;
-- Two statements, or heads, for one index: why a channel is broken.
CREATE TABLE evidence (
    channel INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    mine BLOB NOT NULL,
    other BLOB NOT NULL,
    at INTEGER NOT NULL
);
-- Secrets for a key that is not in force yet: one's own before the server has the statement, others' before
-- this profile has seen it.
CREATE TABLE spare_secret (
    channel INTEGER NOT NULL,
    secret BLOB NOT NULL,
    mine INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (channel, secret)
) WITHOUT ROWID;

CREATE TABLE sender_chain (
    channel INTEGER PRIMARY KEY,
    state BLOB NOT NULL,
    following BLOB,                             -- the next state, while a message is under way
    made_at INTEGER NOT NULL
);
CREATE TABLE handed (
    channel INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    failed_at INTEGER NOT NULL DEFAULT 0,       -- when it could not be handed over; 0 if it was
    PRIMARY KEY (channel, peer)
) WITHOUT ROWID;
CREATE TABLE receiver_chain (
    channel INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    state BLOB NOT NULL,
    roster_index INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    replaced_at INTEGER,                        -- when a newer one of the same sender was first used
    PRIMARY KEY (channel, peer, key_id)
) WITHOUT ROWID;
CREATE TABLE gap (
    channel INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    iteration INTEGER NOT NULL,
    after INTEGER NOT NULL,                     -- the number behind which the missing message would stand
    at INTEGER NOT NULL,
    PRIMARY KEY (channel, peer, key_id, iteration)
) WITHOUT ROWID;
-- Ciphertexts whose chain has not arrived.
CREATE TABLE closed (
    message INTEGER PRIMARY KEY,
    channel INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    idx INTEGER NOT NULL,                       -- the roster index at its number
    payload BLOB NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX closed_chain ON closed (channel, peer, key_id);
CREATE TABLE asked (
    channel INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (channel, peer, key_id)
) WITHOUT ROWID;

CREATE TABLE post (
    id INTEGER PRIMARY KEY AUTOINCREMENT,       -- the order of sending
    channel INTEGER NOT NULL,
    message INTEGER NOT NULL,
    delivery BLOB UNIQUE,
    idx INTEGER NOT NULL DEFAULT 0,             -- the roster index at which it was encrypted
    payload BLOB,
    queued_at INTEGER NOT NULL
);
CREATE INDEX post_channel ON post (channel, id);
CREATE TABLE handout (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    plaintext BLOB,
    delivery BLOB,                              -- shared by all that went out in one frame
    payload BLOB,
    not_before INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL
);
CREATE INDEX handout_channel ON handout (channel, id);
CREATE INDEX handout_delivery ON handout (delivery);

ALTER TABLE sent ADD COLUMN channel INTEGER;    -- of a distribution
ALTER TABLE message ADD COLUMN channel INTEGER; -- null in a direct conversation
ALTER TABLE message ADD COLUMN number INTEGER;  -- the place in a channel; null until the server has given one
ALTER TABLE message ADD COLUMN subject BLOB;    -- whom a statement concerns
CREATE UNIQUE INDEX message_number ON message (channel, number) WHERE number IS NOT NULL;
CREATE INDEX message_place ON message (channel, coalesce(number, 1099511627776 + id)) WHERE channel IS NOT
NULL;
"""

# Whose each spare secret is, so that nobody's displace another's, the key that it makes, and when it came;
# which contents are for one server alone; and where a sender key began that came, perhaps as the answer to a
# request, before the one that opens what was written earlier.
_OF_CHANNELS = """
ALTER TABLE spare_secret RENAME TO spare_secret_before;
CREATE TABLE spare_secret (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,      -- the order of arrival
    channel INTEGER NOT NULL,
    peer INTEGER NOT NULL,                      -- 0: one's own; -1: somebody's, from before this was noted
    secret BLOB NOT NULL,
    key BLOB NOT NULL,                          -- the public invite key
    idx INTEGER NOT NULL DEFAULT 0,             -- of one's own: the statement that it was drawn for
    at INTEGER NOT NULL,
    UNIQUE (channel, peer, secret)
);
CREATE INDEX spare_secret_key ON spare_secret (channel, key);
INSERT INTO spare_secret (channel, peer, secret, key, at)
    SELECT channel, CASE mine WHEN 1 THEN 0 ELSE -1 END, secret, invite_public(secret), at
    FROM spare_secret_before ORDER BY at;
DROP TABLE spare_secret_before;

ALTER TABLE receiver_chain ADD COLUMN begins INTEGER NOT NULL DEFAULT 0;
ALTER TABLE receiver_chain ADD COLUMN earlier BLOB;

ALTER TABLE outbox ADD COLUMN channel INTEGER;  -- which the content concerns; only its server is to see it
"""

# Numbers of the ratchet that were used for signals, until their recipient is told that they are no messages.
_SIGNALS = """
CREATE TABLE signal (
    peer INTEGER NOT NULL,
    key BLOB NOT NULL,                          -- ratchet_public ‖ n(u32)
    at INTEGER NOT NULL,
    PRIMARY KEY (peer, key)
) WITHOUT ROWID;
"""

# The words of texts, to be found, and what was being written: in the same file, as secret as the messages.
_FINDING = """
CREATE VIRTUAL TABLE words USING fts5 (
    text, content='message', content_rowid='id', tokenize="unicode61 remove_diacritics 2"
);
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
INSERT INTO words (rowid, text) SELECT id, text FROM message WHERE kind = 'text';
CREATE TRIGGER words_added AFTER INSERT ON message WHEN new.kind = 'text' BEGIN
    INSERT INTO words (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER words_gone AFTER DELETE ON message WHEN old.kind = 'text' BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER words_changed AFTER UPDATE OF kind, text ON message BEGIN
    INSERT INTO words (words, rowid, text) SELECT 'delete', old.id, old.text WHERE old.kind = 'text';
    INSERT INTO words (rowid, text) SELECT new.id, new.text WHERE new.kind = 'text';
END;

CREATE TABLE draft (
    target TEXT PRIMARY KEY,                    -- a peer in hex, or "#" and a channel's id in hex
    text TEXT NOT NULL
) WITHOUT ROWID;
"""

MIGRATIONS: Final[tuple[str, ...]] = (_FIRST, _CHANNELS, _OF_CHANNELS, _SIGNALS, _FINDING)
"""The script at index n brings a database from version n to n + 1."""
