"""Contact links, `mobium://contact/<hex>?server=<address>`, and the QR code of one.

Not its concern: who the contact is, and whether its key is the right one (compare safety numbers).
"""

from __future__ import annotations

from dataclasses import dataclass
from string import hexdigits
from urllib.parse import parse_qs, quote, urlsplit

from mobium.client import address
from mobium.errors import InvalidInput, SignatureError
from mobium.signing import check_public

__all__ = [
    "ContactLink",
    "check_key",
    "check_server",
    "contact_link",
    "is_nickname",
    "parse_contact",
    "qr_code",
]

_SCHEME = "mobium"
_KIND = "contact"
_LONGEST = 1_024  # characters: a key, and a server's name of at most 253
_HOW = "A contact is 64 hexadecimal digits, or a link mobium://contact/..."
_LIGHT, _DARK = False, True
# Two rows of modules in one row of text. Light modules are drawn and dark ones left out, so that the code
# stands light around dark on a dark terminal; scanners read it either way round.
_HALVES = {(_LIGHT, _LIGHT): "█", (_LIGHT, _DARK): "▀", (_DARK, _LIGHT): "▄", (_DARK, _DARK): " "}


@dataclass(frozen=True, slots=True)
class ContactLink:
    """What a link says: a public key of 32 bytes and, if it says so, the address of a server as a URL."""

    public: bytes
    server: str | None = None


def contact_link(public: bytes, server: str | None = None) -> str:
    """The link to the contact with the key `public` (32 bytes), who is found at `server`.

    Raises InvalidInput.
    """
    link = f"{_SCHEME}://{_KIND}/{check_key(public).hex()}"
    if server is None:
        return link
    return f"{link}?server={quote(address.parse(server).short, safe=':/[]')}"


def parse_contact(text: str) -> ContactLink:
    """What a link, or 64 hexadecimal digits alone, say. Raises InvalidInput."""
    text = text.strip()
    if len(text) > _LONGEST:
        raise InvalidInput(f"That is too long to be a contact. {_HOW}")
    if "://" not in text:
        return ContactLink(_key(text))
    try:
        parts = urlsplit(text)
        fields = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise InvalidInput(f"That is not a contact link. {_HOW}") from error
    if parts.scheme.lower() != _SCHEME or parts.netloc.lower() != _KIND or parts.fragment:
        raise InvalidInput(f"That is not a contact link. {_HOW}")
    servers = fields.get("server", [])
    if len(servers) > 1:
        raise InvalidInput("The contact link names more than one server.")
    return ContactLink(_key(parts.path.strip("/")), address.parse(servers[0]).url if servers else None)


def is_nickname(text: str) -> bool:
    """Whether `text` can only be a nickname: it is not meant as a key or a link, right or wrong."""
    text = text.strip()
    return "://" not in text and not (len(text) == 64 and all(c in hexdigits for c in text))


def check_key(public: bytes) -> bytes:
    """`public`, if it is the key of an identity (32 bytes). Raises InvalidInput."""
    try:
        check_public(public)
    except SignatureError as error:
        raise InvalidInput(
            "That key is not the key of an identity; check that it was copied whole."
        ) from error
    return public


def check_server(text: str) -> str:
    """The URL of the server that is meant by `text`. Raises InvalidInput."""
    return address.parse(text).url


def qr_code(text: str) -> list[str]:
    """The QR code of `text` in lines of block characters, one column a module, with the quiet border that
    scanners need.
    """
    import segno

    rows = [
        [bool(module) for module in row]
        for row in segno.make(text, error="m", micro=False).matrix_iter(border=4)
    ]
    if len(rows) % 2:
        rows.append([_LIGHT] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(_HALVES[pair] for pair in zip(upper, lower, strict=True)) for upper, lower in pairs]


def _key(text: str) -> bytes:
    try:
        public = bytes.fromhex(text) if text.isascii() and len(text) == 64 else b""
    except ValueError:
        public = b""
    if not public:
        raise InvalidInput(f"That names no contact. {_HOW}")
    return check_key(public)
