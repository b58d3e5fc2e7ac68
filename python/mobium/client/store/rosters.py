"""Rosters between transactions: loaded once, changed as values, kept only after the commit.

Not its concern: what a statement means for a channel (`mobium.client.rosters`) and the channel's own row
(`channels`).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from mobium.protocol.roster import Roster

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = ["RosterCache"]

_KEPT: Final = 64  # channels whose roster stays in memory; one of 1,000 members takes about a megabyte


class RosterCache:
    """The rosters of the channels last used, and what the present transaction has made of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Roster] = OrderedDict()
        self._working: dict[int, Roster] = {}

    def of(self, tx: Tx, channel: int) -> Roster | None:
        """The roster of a channel as far as it is stored, or None before its first statement."""
        found = self._working.get(channel) or self._kept.get(channel)
        if found is not None:
            return found
        raws = [row[0] for row in tx.all("SELECT raw FROM statement WHERE channel = ? ORDER BY idx", channel)]
        if not raws:
            return None
        # They were verified before they were stored, and the file is encrypted.
        loaded = self._kept[channel] = Roster.load(raws, verify=False)
        return loaded

    def begin(self, tx: Tx, channel: int, raws: list[bytes], roster: Roster) -> None:
        """Store the whole chain of a channel, verified as `roster`, in the place of what was stored."""
        tx.execute("DELETE FROM statement WHERE channel = ?", channel)
        tx.many(
            "INSERT INTO statement VALUES (?, ?, ?)",
            [(channel, index, raw) for index, raw in enumerate(raws)],
        )
        self._working[channel] = roster

    def append(self, tx: Tx, channel: int, raw: bytes, roster: Roster) -> None:
        """Store one more statement, which has made the roster `roster`."""
        tx.execute("INSERT INTO statement VALUES (?, ?, ?)", channel, roster.index, raw)
        self._working[channel] = roster

    def raw(self, tx: Tx, channel: int, index: int) -> bytes:
        """A stored statement, which there is."""
        return bytes(tx.value("SELECT raw FROM statement WHERE channel = ? AND idx = ?", channel, index))

    def remove(self, tx: Tx, channel: int) -> None:
        """Delete the chain of a channel."""
        tx.execute("DELETE FROM statement WHERE channel = ?", channel)
        self._working.pop(channel, None)
        self._kept.pop(channel, None)

    def discard(self) -> None:
        """The transaction failed: nothing of it stays."""
        self._working.clear()

    def keep(self) -> None:
        """The transaction is committed."""
        for channel, roster in self._working.items():
            self._kept[channel] = roster
            self._kept.move_to_end(channel)
        self._working.clear()
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._working.clear()
