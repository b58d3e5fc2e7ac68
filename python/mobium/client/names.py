"""How peers are named: by 32 bytes, hex, a contact link or a nickname; and which nicknames there may be.

Not its concern: who is a contact (`mobium.client.contacts`).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from mobium.errors import InvalidInput, SignatureError
from mobium.signing import check_public

__all__ = [
    "MAX_NICKNAME",
    "check_nickname",
    "contact_link",
    "nickname_key",
    "parse_key",
    "parse_link",
    "peer_key",
]

MAX_NICKNAME: Final = 64  # code points

_LONGEST_LINK: Final = 1_024  # characters: a key, and a server's name of at most 253
_HEX_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
# Control and format characters (bidi overrides among them), what is not assigned, and every blank but the
# space: names that look alike, run into their surroundings or turn them around.
_REFUSED: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_BROKEN: Final = "This contact link is damaged; one is mobium://contact/ and 64 hexadecimal digits."


def parse_key(text: str) -> bytes | None:
    """The identity (32 bytes) that `text` is the hex of, or None if it is no hex of 32 bytes.

    Raises InvalidInput for a key that no identity has.
    """
    return _checked(bytes.fromhex(text)) if _HEX_KEY.fullmatch(text) else None


def parse_link(text: str) -> tuple[bytes, str | None] | None:
    """The identity (32 bytes) and the server in a contact link, or None if `text` is no link.

    Raises InvalidInput for a broken one. The server is as it was written.
    """
    if "://" not in text:
        return None
    try:
        parts = urlsplit(text[: _LONGEST_LINK + 1])
        fields = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise InvalidInput(_BROKEN) from error
    key = parse_key(parts.path.strip("/"))
    kind = (parts.scheme.lower(), parts.netloc.lower())
    if key is None or kind != ("mobium", "contact") or parts.fragment or len(text) > _LONGEST_LINK:
        raise InvalidInput(_BROKEN)
    servers = fields.get("server", [])
    if len(servers) > 1:
        raise InvalidInput("The contact link names more than one server.")
    return key, servers[0] if servers else None


def contact_link(key: bytes, server: str | None) -> str:
    """The link that names an identity (32 bytes), and the URL of the server where it is reached."""
    link = f"mobium://contact/{key.hex()}"
    return link if server is None else f"{link}?server={quote(server.removesuffix('/ws'), safe=':/[]')}"


def peer_key(peer: bytes | str) -> bytes | None:
    """The identity that `peer` is, as 32 bytes, hex or a contact link; None if it can only be a nickname.

    Raises InvalidInput for a key that no identity has, a broken link, and another type.
    """
    if isinstance(peer, bytes):
        return _checked(peer)
    if not isinstance(peer, str):
        raise InvalidInput("A peer is named by 32 bytes, 64 hexadecimal digits, a link or a nickname.")
    text = peer.strip()
    link = parse_link(text)
    return parse_key(text) if link is None else link[0]


def _checked(key: bytes) -> bytes:
    try:
        check_public(key)
    except SignatureError as error:
        raise InvalidInput("This is not the key of an identity; check that it was copied whole.") from error
    return key


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
