"""Links into channels, `mobium://join/<channel>[/<invite>]?server=<address>[#<secret and head>]`.

What follows on "#" is the secret of a private channel, which no server ever sees, and the head of its roster
when the link was made. Not its concern: who made the link, and whether the channel still takes it
(`mobium.client.membership`).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from mobium.client import address
from mobium.errors import InvalidInput

__all__ = ["JoinLink", "format_join", "parse_join"]

_LONGEST: Final = 1_024
_HEX_CHANNEL: Final = re.compile(r"[0-9a-f]{64}")
_HEX_INVITE: Final = re.compile(r"[0-9a-f]{32}")
_CUT: Final = "The end of this link is missing, from the # on: copy the whole of it, in quotes."
_BROKEN: Final = "This is no invite link, or not the whole of one; it begins with mobium://join/."


@dataclass(frozen=True, slots=True)
class JoinLink:
    """What a link says: ids of a channel (32 bytes) and an invite (16), the server's URL, and for a private
    channel its secret and a head of its roster (32 bytes each). Its repr leaves the secret out.
    """

    channel_id: bytes
    server: str | None = None
    invite: bytes | None = None
    secret: bytes | None = field(default=None, repr=False)
    head: bytes | None = None


def format_join(link: JoinLink) -> str:
    """The link as it is passed on."""
    text = f"mobium://join/{link.channel_id.hex()}"
    if link.invite is not None:
        text += f"/{link.invite.hex()}"
    if link.server is not None:
        text += f"?server={quote(address.parse(link.server).short, safe=':/[]')}"
    if link.secret is not None and link.head is not None:
        text += "#" + base64.urlsafe_b64encode(link.secret + link.head).rstrip(b"=").decode()
    return text


def parse_join(text: str) -> JoinLink:
    """What a link says. Raises InvalidInput with a sentence that does not repeat it."""
    text = text.strip()
    try:
        parts = urlsplit(text[: _LONGEST + 1])
        fields = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise InvalidInput(_BROKEN) from None
    channel, _, invite = parts.path.strip("/").lower().partition("/")
    servers = fields.get("server", [])
    if (
        (parts.scheme.lower(), parts.netloc.lower()) != ("mobium", "join")
        or not _HEX_CHANNEL.fullmatch(channel)
        or (invite and not _HEX_INVITE.fullmatch(invite))
        or len(servers) > 1
        or len(text) > _LONGEST
    ):
        raise InvalidInput(_BROKEN)
    secret, head = _secrets(parts.fragment)
    if invite and secret is None:  # open channels have no invites; a shell takes # for a comment
        raise InvalidInput(_CUT)
    return JoinLink(
        bytes.fromhex(channel),
        address.parse(servers[0]).url if servers else None,
        bytes.fromhex(invite) if invite else None,
        secret,
        head,
    )


def _secrets(fragment: str) -> tuple[bytes | None, bytes | None]:
    if not fragment:
        return None, None
    try:
        data = base64.b64decode(fragment + "=" * (-len(fragment) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(_BROKEN) from None
    if len(data) != 64:
        raise InvalidInput(_BROKEN)
    return data[:32], data[32:]
