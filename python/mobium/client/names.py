"""How peers are named: by 32 bytes, hex, a contact link or a nickname; and which nicknames there may be.

Not its concern: what a link looks like (`mobium.client.links`), and who is a contact.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from mobium.client.links import parse_contact
from mobium.errors import InvalidInput, SignatureError
from mobium.signing import check_public

__all__ = ["MAX_NICKNAME", "check_nickname", "nickname_key", "peer_key"]

MAX_NICKNAME: Final = 64  # code points

_HEX_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
# Control and format characters (bidi overrides among them), what is not assigned, and every blank but the
# space: names that look alike, run into their surroundings or turn them around.
_REFUSED: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def peer_key(peer: bytes | str) -> bytes | None:
    """The identity that `peer` is, as 32 bytes, hex or a contact link; None if it can only be a nickname.

    Raises InvalidInput for a key that no identity has, a broken link, and another type.
    """
    if isinstance(peer, bytes):
        try:
            check_public(peer)
        except SignatureError as error:
            raise InvalidInput("These bytes are not the key of an identity.") from error
        return peer
    if not isinstance(peer, str):
        raise InvalidInput("A peer is named by 32 bytes, 64 hexadecimal digits, a link or a nickname.")
    text = peer.strip()
    if "://" in text or _HEX_KEY.fullmatch(text):
        return parse_contact(text).public
    return None


def check_nickname(nickname: str) -> str:
    """The nickname in its stored form. Raises InvalidInput for one that could mislead."""
    name = unicodedata.normalize("NFC", nickname.strip(" "))
    if not 0 < len(name) <= MAX_NICKNAME:
        raise InvalidInput(f"A nickname has between 1 and {MAX_NICKNAME} characters.")
    if any(unicodedata.category(c) in _REFUSED or (c.isspace() and c != " ") for c in name):
        raise InvalidInput("A nickname cannot hold control, invisible or direction-changing characters.")
    if "  " in name or unicodedata.combining(name[0]):
        raise InvalidInput("A nickname cannot begin with a combining mark or hold two blanks in a row.")
    if _HEX_KEY.fullmatch(name) or "://" in name:
        raise InvalidInput("A nickname cannot look like a key or a link.")
    return name


def nickname_key(nickname: str) -> str:
    """What two nicknames must not have in common: compatibility forms and case are one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", nickname.strip()).casefold())
