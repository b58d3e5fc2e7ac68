"""Server addresses as people type them, turned into what is dialled and what is signed.

`ws://` and `wss://` are taken as they are; a bare name means `wss://`, and localhost or a loopback
address `ws://`; `/ws` is added. Not its concern: whether anybody answers there
(`mobium.client.transport`).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from mobium.errors import InvalidInput
from mobium.protocol.host import canonical_host, split_host

__all__ = ["Address", "parse"]

_PORTS = {"ws": 80, "wss": 443}
_SERVER_DEFAULT_PORT = 8_443  # SC_PORT's default: what a bare `localhost` means
_PATH = "/ws"
_HOW = "write it as wss://name, ws://name:port, or just the name."


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: `url` is dialled, `host` (canonical name:port) is signed, `secure` tells TLS."""

    url: str
    host: str
    secure: bool

    @property
    def short(self) -> str:
        """The URL without its path, as links carry it."""
        return self.url.removesuffix(_PATH)

    def __str__(self) -> str:
        return self.url


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def parse(text: str) -> Address:
    """The address that `text` means. Raises InvalidInput with a sentence that says what to write instead."""
    text = text.strip()
    if not text or any(c.isspace() or not c.isprintable() for c in text):
        raise InvalidInput(f"The server's address is empty or has blanks in it; {_HOW}")
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower() if separator else ""
    if scheme in {"http", "https"}:
        raise InvalidInput(f"{scheme}:// is a web address; {_instead(scheme, rest.split('/')[0])}")
    if separator and scheme not in _PORTS:
        raise InvalidInput(f"A server's address does not begin with {scheme}://; {_HOW}")
    return _build(scheme, rest if separator else text)


def _instead(scheme: str, rest: str) -> str:
    """What to write for a web address: a web server's port is not a mobium server's on this machine."""
    try:
        parts = urlsplit(f"//{rest}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return _HOW
    if not name:
        return _HOW
    here = f":{_SERVER_DEFAULT_PORT}" if port is None and _is_loopback(name) else ""
    return f"for a mobium server write {'wss' if scheme == 'https' else 'ws'}://{rest.rstrip(':')}{here}"


def _build(scheme: str, rest: str) -> Address:
    if rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"  # a bare IPv6 address
    try:
        parts = urlsplit(f"//{rest}")
        name, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"The server's address is not a name and a port; {_HOW}") from error
    if not name or parts.username is not None or parts.query or parts.fragment:
        raise InvalidInput(f"The server's address is not a name and a port; {_HOW}")
    if parts.path.rstrip("/") not in {"", _PATH}:
        raise InvalidInput(f"A server's address ends with its name, its port or {_PATH}; {_HOW}")
    if not scheme:
        loopback = _is_loopback(name)
        scheme = "ws" if loopback else "wss"
        port = _SERVER_DEFAULT_PORT if loopback and port is None else port
    host = canonical_host(name, _PORTS[scheme] if port is None else port)
    bare, number = split_host(host)
    authority = f"[{bare}]" if ":" in bare else bare
    shown = authority if number == _PORTS[scheme] else f"{authority}:{number}"
    return Address(f"{scheme}://{shown}{_PATH}", host, scheme == "wss")
