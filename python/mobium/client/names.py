"""How peers are named: by 32 bytes, hex, a contact link or a nickname; and which nicknames there may be.

Not its concern: what a contact link says (`mobium.client.links`) and who is a contact
(`mobium.client.contacts`).
"""

from __future__ import annotations

import unicodedata
from typing import Final

from mobium.client.links import check_key, is_nickname, parse_contact
from mobium.errors import InvalidInput
from mobium.text import misleads

__all__ = ["MAX_NICKNAME", "check_nickname", "check_own_name", "nickname_key", "peer_key", "quoted"]

MAX_NICKNAME: Final = 64  # code points
_LONGEST_QUOTED: Final = 40
_LONGEST_OWN: Final = 255  # bytes of what a sender key carries


def peer_key(peer: bytes | str) -> bytes | None:
    """The identity that `peer` is, as 32 bytes, hex or a contact link; None if it can only be a nickname.

    Raises InvalidInput for a key that no identity has, a broken link, and another type.
    """
    if isinstance(peer, bytes):
        return check_key(peer)
    if not isinstance(peer, str):
        raise InvalidInput("A peer is named by 32 bytes, 64 hexadecimal digits, a link or a nickname.")
    return None if is_nickname(peer) else parse_contact(peer).public


def check_nickname(nickname: str) -> str:
    """The nickname in its stored form. Raises InvalidInput for one that could mislead."""
    name = unicodedata.normalize("NFC", nickname.strip(" "))
    if not 0 < len(name) <= MAX_NICKNAME:
        raise InvalidInput(f"A nickname has between 1 and {MAX_NICKNAME} characters.")
    if misleads(name):
        raise InvalidInput("A nickname cannot hold control, invisible or direction-changing characters.")
    if "  " in name or unicodedata.combining(name[0]):
        raise InvalidInput("A nickname cannot begin with a combining mark or hold two blanks in a row.")
    if not is_nickname(name) or name.startswith("#"):
        raise InvalidInput("A nickname cannot look like a key, a link or a channel.")
    return name


def check_own_name(name: str) -> str:
    """What somebody calls himself in channels, in its stored form; empty for nothing. Raises InvalidInput."""
    chosen = check_nickname(name) if name else ""
    if len(chosen.encode()) > _LONGEST_OWN:
        raise InvalidInput(f"A name for channels has at most {_LONGEST_OWN} bytes; this one has more.")
    return chosen


def nickname_key(nickname: str) -> str:
    """What two nicknames must not have in common: compatibility forms and case are one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", nickname.strip()).casefold())


def quoted(text: str) -> str:
    """What somebody typed, fit for a sentence: 40 characters of it, in quotation marks."""
    return "“" + "".join(c if c.isprintable() else "?" for c in text.strip()[:_LONGEST_QUOTED]) + "”"
