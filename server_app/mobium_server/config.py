"""The settings: every `SC_*` variable, its default, and the sentence that a wrong value gets.

Read from the environment and from a `.env` file, where the environment wins. Not its concern: what the
settings do.
"""

# ruff: noqa: RUF009 - _setting is a dataclass field

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv.parser import parse_stream

from mobium.errors import InvalidInput
from mobium.protocol.host import canonical_host, split_host
from mobium.protocol.limits import BUCKET_SIZES
from mobium_server.limits import Network, Rate

__all__ = ["Settings", "database_path", "problems", "unknown_variables", "variables"]

_SQLITE = "sqlite://"
# RFC 7064 and RFC 7065: no slashes, and a transport for TURN alone
_ICE_URL = re.compile(r"(stun|turn)s?:(\[[^\]]*\]|[^\[\]:?]*)(?::([0-9]{1,5}))?(\?transport=(?:udp|tcp))?")


def _listen_on(value: str) -> str:
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else ""
    try:
        # As in a URL: an IPv6 address may stand in brackets.
        return str(ipaddress.IPv6Address(bare) if bare else ipaddress.ip_address(value))
    except ValueError:
        try:
            canonical_host("" if bare else value, 1)
        except InvalidInput as error:
            raise InvalidInput(
                "must be an address or a name of this machine, such as 0.0.0.0 or 127.0.0.1; the port goes"
                " into SC_PORT"
            ) from error
    return value


def _number(low: float, high: float, unit: str) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise InvalidInput(f"must be a number from {low:g} to {high:g} ({unit})")
        return number

    return parse


def _whole(low: int, high: int, unit: str) -> Callable[[str], int]:
    def parse(value: str) -> int:
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 19 else -1
        if not low <= number <= high:
            raise InvalidInput(f"must be a whole number from {low} to {high} ({unit})")
        return number

    return parse


def _bool(value: str) -> bool:
    known = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if value.lower() not in known:
        raise InvalidInput("must be true or false")
    return known[value.lower()]


def _expand(value: str) -> Path:
    """The path with ~ and ~user as a shell takes them."""
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise InvalidInput(f"names a home folder that does not exist: {value}") from error


def _file(value: str) -> Path | None:
    if not value:
        return None
    path = _expand(value)
    try:
        there = path.is_file()
    except OSError as error:  # a folder above it is closed to this user, as certbot's are
        raise InvalidInput(f"names a file that cannot be reached: {value} ({error.strerror})") from error
    if not there:
        raise InvalidInput(f"names a file that does not exist: {value}")
    return path


def _database(value: str) -> str:
    database_path(value)
    return value


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _hosts(value: str) -> tuple[str, ...]:
    hosts = []
    for name in _list(value):
        try:
            hosts.append(split_host(canonical_host(name, 1))[0])
        except InvalidInput as error:
            raise InvalidInput(
                f"must be names or addresses without scheme and port, separated by commas; {name!r} is none"
            ) from error
    return tuple(hosts)


def _networks(value: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    if value.lower() == "none":  # an empty variable would be the default
        return ()
    for part in _list(value):
        try:
            networks.append(ipaddress.ip_network(part, strict=False))
        except ValueError as error:
            raise InvalidInput(
                f"must be addresses or networks, separated by commas; {part!r} is neither"
            ) from error
    return tuple(networks)


def _origins(value: str) -> tuple[str, ...]:
    origins = []
    for part in _list(value):
        try:
            url = urlsplit(part)
        except ValueError:
            url = urlsplit("")
        if part != "*" and (
            url.scheme not in ("http", "https") or not url.netloc or part != f"{url.scheme}://{url.netloc}"
        ):
            raise InvalidInput(
                f"must be origins such as https://chat.example.org, separated by commas, or *; not {part!r}"
            )
        origins.append(part.lower())
    return tuple(origins)


def _secret(value: str) -> str:
    """What nobody may guess. A TURN user can try secrets on his own machine, on the credential he got."""
    if value and len(value) < 16:
        raise InvalidInput(
            "must have at least 16 characters, or be empty; make one with: openssl rand -hex 24"
        )
    if not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidInput("must be printable ASCII without spaces")
    return value


def _rate(value: str) -> Rate:
    number, _, burst = value.partition("/")
    try:
        rate = Rate(float(number), int(burst) if burst else math.ceil(2 * float(number)))
    except (ValueError, OverflowError):  # inf has no double
        rate = Rate(-1, 0)
    least = 1 if rate.per_second else 0
    if not 0 <= rate.per_second <= 1_000_000 or not least <= rate.burst <= 2_000_000:
        raise InvalidInput(
            "must be messages a second, or messages a second/at once such as 30/60; 0 is unlimited"
        )
    return rate


def _ice_url(kind: str, example: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        found = _ICE_URL.fullmatch(value)
        try:
            good = found is not None and found[1] == kind and (kind == "turn" or not found[4])
            if found is not None:
                canonical_host(found[2], int(found[3] or 1))
        except InvalidInput:
            good = False
        if value and not good:
            raise InvalidInput(f"must look like {example}")
        return value

    return parse


def _setting(default: str, parse: Callable[[str], Any], about: str, *, secret: bool = False) -> Any:
    metadata = {"default": default, "parse": parse, "about": about}
    return field(default_factory=lambda: parse(default), metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, checked. Each field is the variable of the same name: `max_connections` is
    SC_MAX_CONNECTIONS.
    """

    host: str = _setting("0.0.0.0", _listen_on, "address to listen on")  # noqa: S104 - a server is for the network; TLS is required by default
    port: int = _setting("8443", _whole(0, 65_535, "port"), "port to listen on; 0 takes a free one")
    database_url: str = _setting("sqlite://./data/mobium.db", _database, "where the database is")
    require_tls: bool = _setting("true", _bool, "refuse every connection that is not encrypted")
    tls_cert: Path | None = _setting("", _file, "certificate chain (PEM)")
    tls_key: Path | None = _setting("", _file, "private key of the certificate (PEM)")
    public_hosts: tuple[str, ...] = _setting("", _hosts, "names by which clients dial this server")
    trusted_proxies: tuple[Network, ...] = _setting(
        "127.0.0.1,::1", _networks, "proxies whose X-Forwarded headers are believed"
    )
    max_connections: int = _setting(
        "2000", _whole(0, 1_000_000, "connections"), "connections at once; 0 is unlimited"
    )
    max_connections_per_ip: int = _setting(
        "10", _whole(0, 1_000_000, "connections"), "connections of one address; 0 is unlimited"
    )
    max_message_size: int = _setting(
        "1048576", _whole(BUCKET_SIZES[0], BUCKET_SIZES[-1], "bytes"), "largest padded ciphertext, bytes"
    )
    max_offline_messages: int = _setting(
        "1000", _whole(10, 10_000_000, "messages"), "messages that one mailbox keeps"
    )
    message_ttl: int = _setting(
        "604800", _whole(60, 31_536_000, "seconds"), "seconds that a message waits for its recipient"
    )
    ws_ping_interval: float = _setting(
        "30", _number(1, 3_600, "seconds"), "seconds between pings; two unanswered close"
    )
    auth_timeout: float = _setting(
        "10", _number(1, 300, "seconds"), "seconds that a connection has to log in"
    )
    rate_general: Rate = _setting(
        "30/60", _rate, "requests of one identity: a second/at once; 0 is unlimited"
    )
    rate_media: Rate = _setting(
        "80/150", _rate, "media frames of one identity: a second/at once; 0 is unlimited"
    )
    rate_address_factor: float = _setting(
        "10", _number(0, 1_000_000, "identities"), "an address may do so many times as much; 0 is unlimited"
    )
    cors_origins: tuple[str, ...] = _setting("", _origins, "web origins that may use this server")
    admin_token: str = _setting("", _secret, "opens /metrics, /admin/stats and the page /admin", secret=True)
    ice_stun_url: str = _setting(
        "", _ice_url("stun", "stun:stun.example.org:3478"), "STUN server that clients use in calls"
    )
    ice_turn_url: str = _setting(
        "",
        _ice_url("turn", "turn:turn.example.org:3478, or with ?transport=tcp at its end"),
        "TURN server that clients use in calls",
    )
    ice_turn_secret: str = _setting(
        "", _secret, "the TURN server's static-auth-secret, for its credentials", secret=True
    )
    ice_ttl: int = _setting("86400", _whole(60, 604_800, "seconds"), "life of TURN credentials, seconds")

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InvalidInput("SC_TLS_CERT and SC_TLS_KEY belong together: set both or neither.")
        if self.ice_turn_url and not self.ice_turn_secret:
            raise InvalidInput("SC_ICE_TURN_SECRET must be set, because SC_ICE_TURN_URL is.")

    @classmethod
    def from_env(cls, environment: Mapping[str, str], env_file: Path | None = None) -> Settings:
        """Read the variables; `env_file` fills in those that the environment does not have. Raises
        InvalidInput with a sentence naming the variable.
        """
        found, wrong = _parse(_gather(environment, env_file))
        if wrong:
            raise InvalidInput(wrong[0])
        return cls(**found)


def _parse(values: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The fields that can be read, and a sentence about each that cannot."""
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for one in fields(Settings):
        name = f"SC_{one.name.upper()}"
        # An empty variable is an unset one: compose files and units pass them on empty.
        text = values.get(name, "").strip() or one.metadata["default"]
        try:
            found[one.name] = one.metadata["parse"](text)
        except InvalidInput as error:
            wrong.append(f"{name} {error}.")
    return found, wrong


def problems(environment: Mapping[str, str], env_file: Path | None = None) -> list[str]:
    """A sentence about everything that is wrong with the variables; empty if a server can start with them."""
    found, wrong = _parse(_gather(environment, env_file))
    if not wrong:
        try:
            Settings(**found)
        except InvalidInput as error:
            wrong.append(str(error))
    return wrong


def variables() -> dict[str, tuple[str, str]]:
    """Each variable with its default and what it is about, in the order of the documents."""
    return {
        f"SC_{one.name.upper()}": (one.metadata["default"], one.metadata["about"]) for one in fields(Settings)
    }


def unknown_variables(environment: Mapping[str, str], env_file: Path | None = None) -> list[str]:
    """Names that look like settings and are none: most often a slip of the pen."""
    given = _gather(environment, env_file)
    return sorted(name for name in given if name.startswith("SC_") and name not in variables())


def _gather(environment: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    values = dict(environment)
    try:
        if env_file is not None and env_file.is_file():
            for name, value in _read(env_file).items():
                values.setdefault(name, value)
    except OSError as error:
        raise InvalidInput(f"The settings in {env_file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The settings in {env_file} are not UTF-8 text.") from error
    return values


def _read(env_file: Path) -> dict[str, str]:
    """The variables of a file, of which the last wins. Raises InvalidInput for a line with a setting that
    cannot be understood, OSError and UnicodeDecodeError.
    """
    found = {}
    with env_file.open(encoding="utf-8-sig") as lines:  # some editors put a mark before the first name
        for one in parse_stream(lines):
            text, number = one.original
            if one.error and "SC_" in text:  # others may have lines of their own there
                number += text[: len(text) - len(text.lstrip())].count("\n")
                raise InvalidInput(
                    f"Line {number} of {env_file} cannot be understood; a setting is NAME=value, and a quote"
                    " ends where the value ends."
                )
            if one.key is not None:
                found[one.key] = one.value or ""
    return found


def database_path(url: str) -> Path:
    """The file that a database URL names; where that is a link, the one to which it leads, so that lock and
    log lie beside the file by whatever name a server finds it. Raises InvalidInput for anything but SQLite.
    """
    if not url.startswith(_SQLITE):
        raise InvalidInput(
            "must begin with sqlite:// in this version, such as sqlite://./data/mobium.db;"
            " other databases come later"
        )
    name = url.removeprefix(_SQLITE)
    if not name or name.endswith("/") or "?" in name or name.startswith(":"):
        raise InvalidInput(
            "must name a file, such as sqlite://./data/mobium.db or sqlite:///var/lib/mobium/mobium.db"
        )
    path = _expand(name)
    # (As text: a path's own methods raise where a folder is closed, which is said when it is opened.)
    return Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114
