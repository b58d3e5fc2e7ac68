"""Text that others chose and people read: which characters may stand in a name, and what the names of a
channel are sealed to.

It lies below crypto, protocol and client, because all three need the same rules. Not its concern: how
nicknames are looked up (`mobium.client.names`), and sealing (`mobium.crypto.invite`).
"""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["cleaned", "misleads", "names_ad"]

# Control and format characters (bidi overrides among them), what is not assigned, and every blank but the
# space: names that look alike, run into their surroundings or turn them around.
_REFUSED: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
# Letters, marks and symbols that show nothing, though their category does not say so.
_BLANK: Final = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0))
)
_LABEL_NAMES: Final = b"mobium/1 channel names\0"


def misleads(text: str) -> bool:
    """Whether `text` holds control, invisible or direction-changing characters, or blanks but the space."""
    return any(map(_misleads, text))


def cleaned(text: str) -> str:
    """`text` (NFC) without what `misleads`: other blanks become spaces, several spaces one, and there are
    none at the ends, nor a combining mark at the beginning. May be empty.
    """
    spaced = (" " if c.isspace() else c for c in unicodedata.normalize("NFC", text))
    shown = "".join(c for c in spaced if not _misleads(c))
    while shown and (shown[0] == " " or unicodedata.combining(shown[0])):
        shown = shown[1:]
    return unicodedata.normalize("NFC", " ".join(shown.split()))


def names_ad(actor: bytes, index: int) -> bytes:
    """What the sealed names in a statement are bound to: its actor (32 bytes) and index (docs/CRYPTO.md
    section 7).
    """
    return _LABEL_NAMES + actor + index.to_bytes(4, "big")


def _misleads(c: str) -> bool:
    if c.isascii():
        return not c.isprintable()
    return unicodedata.category(c) in _REFUSED or c.isspace() or c in _BLANK or 0xE0100 <= ord(c) <= 0xE01EF
