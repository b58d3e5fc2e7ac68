"""The name of a server as both sides sign it: `host:port`, lower-case ASCII, IPv6 in brackets
(docs/CRYPTO.md section 9).

Not its concern: which names a server answers to, which its settings decide, and addresses as people type
them (`mobium.client.address`).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from mobium.errors import InvalidInput

__all__ = ["canonical_host", "split_host"]

_ZONE: Final = re.compile(r"[A-Za-z0-9._-]+")  # RFC 6874, section 2; ipaddress takes anything
_INVALID: Final = "The server's name is not a valid host name."


def canonical_host(name: str, port: int) -> str:
    """The signed form of a dialled name and port.

    International names become A-labels. Raises InvalidInput.
    """
    bare = name.strip().removeprefix("[").removesuffix("]").rstrip(".")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        try:
            label = bare.encode("ascii").decode() if bare.isascii() else bare.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise InvalidInput(_INVALID) from error
        if not label or not all(c.isalnum() or c in "-._" for c in label):
            raise InvalidInput(_INVALID) from None
        host = label.lower()
    else:
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None and not _ZONE.fullmatch(address.scope_id):
                raise InvalidInput(_INVALID)
            host = f"[{address.compressed}]"
        else:
            host = str(address)
    if not 0 < port < 65_536:
        raise InvalidInput("A port lies between 1 and 65535.")
    return f"{host}:{port}"


def split_host(host: str) -> tuple[str, int]:
    """Name (without brackets) and port of a signed host.

    Raises InvalidInput unless it is in canonical form.
    """
    name, separator, port = host.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or canonical_host(name, int(port)) != host:
        raise InvalidInput("The host is not in its canonical form, name:port.")
    return name.removeprefix("[").removesuffix("]"), int(port)
