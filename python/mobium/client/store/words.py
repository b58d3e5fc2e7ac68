"""Messages found by their words.

The index is a table of SQLite's FTS5 laid over the messages, inside the encrypted file. Not its concern:
keeping it up to date, which triggers do (`schema`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mobium.client.store.messages import COLUMNS, FROM, Message, read_message

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = ["MOST_WORDS", "find"]

MOST_WORDS: Final = 16
"""Words of one search that are looked at."""

# What `history` pages by: the number in a channel, else the row.
_PLACE: Final = (
    "CASE WHEN message.channel IS NULL THEN message.id ELSE coalesce(number, 1099511627776 + message.id) END"
)
_WORD: Final = re.compile(r"\w+")


def find(tx: Tx, text: str, limit: int) -> list[Message]:
    """The last `limit` texts that hold every word of `text`, or a word that begins so, the latest first.

    Case and accents do not matter. A text without words finds nothing.
    """
    wanted = " ".join(f'"{word}"*' for word in _WORD.findall(text)[:MOST_WORDS])
    if not wanted:
        return []
    columns = COLUMNS.replace("message.id", _PLACE, 1)
    rows = tx.all(
        f"SELECT {columns} FROM {FROM} WHERE message.id IN"  # noqa: S608
        " (SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?) ORDER BY message.id DESC",
        wanted, limit,
    )  # fmt: skip
    return [read_message(row) for row in rows]
