"""How channels are named: "#name", or "#" and 64 hexadecimal digits.

Where two channels have one name, "~" and the first digits of the id tell them apart. Not its concern: which
names there may be (`mobium.crypto.invite`).
"""

from __future__ import annotations

import re
from typing import Final

from mobium.client.names import nickname_key, quoted
from mobium.client.store import channels
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput

__all__ = ["is_channel", "label", "name_key", "resolve"]

_HEX_ID: Final = re.compile(r"[0-9a-f]{64}")
_MARKS: Final = re.compile("[~\u02dc\u2053\u223c\u223d\u301c\u3030\uff5e]")  # all look like "~"
_SHORTEST: Final = 4  # digits of an id


def is_channel(name: object) -> bool:
    """Whether somebody means a channel, rightly or wrongly."""
    return isinstance(name, str) and name.strip().startswith("#")


def name_key(name: str) -> str:
    """What is compared of a channel's name; empty for one without a name."""
    return nickname_key(name)


def label(tx: Tx, row: ChannelRow) -> str:
    """What a channel is called: short, and no other one's."""
    if not row.name:
        return f"#{row.hex}"
    same = [other.hex for other in channels.by_name(tx, name_key(row.name)) if other.id != row.id]
    alike = name_key(row.name)  # what a program, or a person, may take it for
    if not same and not _MARKS.search(row.name) and "~" not in alike and not _HEX_ID.fullmatch(alike):
        return f"#{row.name}"  # whoever names a channel could else name it like another one's label
    digits = next(
        (n for n in range(_SHORTEST, 64) if not any(other.startswith(row.hex[:n]) for other in same)), 64
    )
    return f"#{row.name}~{row.hex[:digits]}"


def resolve(tx: Tx, name: str) -> ChannelRow:
    """The channel that `name` means, with or without "#". Raises InvalidInput for none, or several."""
    if not isinstance(name, str):
        raise InvalidInput("A channel is named by “#name”, or by “#” and 64 hexadecimal digits.")
    text = name.strip().removeprefix("#")
    if _HEX_ID.fullmatch(text.lower()):
        found = channels.by_key(tx, bytes.fromhex(text))
        if found is not None:
            return found
    whole: list[ChannelRow] = []
    if "~" in text:
        bare, _, digits = text.rpartition("~")
        whole = [row for row in channels.by_name(tx, name_key(bare)) if row.hex.startswith(digits.lower())]
    if not whole and text:
        whole = channels.by_name(tx, name_key(text))
    # One that was left does not stand in the way of one that was not.
    meant = [row for row in whole if row.state not in channels.GONE] or whole
    if not meant:
        raise InvalidInput(f"There is no channel {quoted(f'#{text}')} in this profile.")
    if len(meant) > 1:
        several = " or ".join(label(tx, row) for row in meant[:3])
        raise InvalidInput(f"There are several channels of that name; write {several}.")
    return meant[0]
