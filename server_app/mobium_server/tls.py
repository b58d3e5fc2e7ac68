"""TLS 1.3 of the server itself: the context, its reload, and one connection's layer between socket bytes and
plain bytes.

The layer is sans-I/O on `ssl.MemoryBIO`, because asyncio's own keeps 256 KiB of buffers for every connection.
Not its concern: when TLS is required (`mobium_server.gateway`).
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

from mobium.errors import InvalidInput
from mobium.protocol.host import canonical_host, split_host

__all__ = ["ALERT", "CLIENT_HELLO", "Certificates", "TlsLayer", "moment"]

CLIENT_HELLO = 0x16  # the first byte of a TLS connection; no HTTP request begins with it
# fatal handshake_failure: what a TLS client understands from a server without TLS
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"
SLICE = 16_384  # a TLS record; the memory BIOs keep what they once needed, so they are fed in pieces


class Certificates:
    """The certificate and key of `cert` and `key` (PEM files), loaded again by `reload`."""

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert = cert
        self._key = key
        self.context, self.names, self.begins, self.ends = self._load()

    def reload(self) -> None:
        """Use what the files hold now for new connections. Raises InvalidInput if it cannot be used, and
        keeps what it had.
        """
        self.context, self.names, self.begins, self.ends = self._load()

    def doubts(self, hosts: Collection[str], now: datetime) -> list[str]:
        """A sentence about each reason for which clients that dial one of `hosts` refuse it. `now` has a time
        zone.
        """
        untimely = self.untimely(now)
        return [*([untimely] if untimely else ()), *self.foreign(hosts)]

    def untimely(self, now: datetime) -> str:
        """Why every client refuses it now; empty if it is in force."""
        if self.ends <= now:
            return f"{self._cert} expired on {moment(self.ends)}; clients refuse it. Renew it."
        if self.begins > now:
            return f"{self._cert} is not in force before {moment(self.begins)}; is this clock right?"
        return ""

    def foreign(self, hosts: Collection[str]) -> list[str]:
        """A sentence about each of `hosts` that it is not for."""
        return [
            f"{self._cert} is not for {host}, which SC_PUBLIC_HOSTS names."
            for host in hosts
            if host not in self.names and f"*.{host.partition('.')[2]}" not in self.names
        ]

    def _load(self) -> tuple[ssl.SSLContext, frozenset[str], datetime, datetime]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._cert, self._key, password=lambda: "")
            pem = self._cert.read_bytes()
            names, (begins, ends) = _names(pem), _period(pem)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise InvalidInput(
                f"SC_TLS_CERT and SC_TLS_KEY cannot be used: {_reason(error)} ({self._cert}, {self._key})."
            ) from error
        return context, names, begins, ends


def moment(time: datetime) -> str:
    """A point in time as people read it."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key is not that of the certificate"
    elif isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "they are not a certificate chain and its key, without a password, in PEM"


def _names(pem: bytes) -> frozenset[str]:
    """The names and addresses of the first certificate, as `mobium.protocol.host` writes them."""
    from cryptography import x509  # a server behind a proxy, or on loopback, never needs it

    certificate = x509.load_pem_x509_certificates(pem)[0]
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    names = extension.value.get_values_for_type(x509.DNSName)
    names += [str(address) for address in extension.value.get_values_for_type(x509.IPAddress)]
    found = set()
    for name in names:
        wildcard = name.startswith("*.")
        try:
            bare = split_host(canonical_host(name.removeprefix("*."), 1))[0]
        except InvalidInput:
            continue
        found.add(f"*.{bare}" if wildcard else bare)
    return frozenset(found)


def _period(pem: bytes) -> tuple[datetime, datetime]:
    """From when until when the first certificate of a chain is in force. Raises ValueError without one."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificates(pem)[0]
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


class TlsLayer:
    """TLS on one connection. `write` takes bytes for the socket."""

    def __init__(self, context: ssl.SSLContext, write: Callable[[bytes], None]) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._write = write
        self._handshaking = True
        self.finished = False
        """The peer ended TLS in order: nothing more comes."""

    def receive(self, data: bytes | memoryview, deliver: Callable[[bytes], None]) -> None:
        """Take bytes from the socket and hand on the plain ones. Raises ssl.SSLError for anything that is not
        TLS as it should be.
        """
        for start in range(0, len(data), SLICE):
            self._incoming.write(data[start : start + SLICE])
            self._read(deliver)

    def _read(self, deliver: Callable[[bytes], None]) -> None:
        try:
            if self._handshaking:
                self._object.do_handshake()
                self._handshaking = False
            while not self.finished:
                plain = self._object.read(SLICE)
                if not plain:
                    self.finished = True
                    break
                deliver(plain)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.finished = True
        finally:
            self._flush()

    def send(self, data: bytes) -> None:
        """Encrypt bytes for the socket."""
        if self._handshaking:
            return  # nobody could read it
        for start in range(0, len(data), SLICE):
            self._object.write(data[start : start + SLICE])
            self._flush()

    def end(self) -> None:
        """Tell the peer that nothing more comes."""
        with contextlib.suppress(ssl.SSLError):  # the peer's own end has not come yet, or never will
            self._object.unwrap()
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._write(self._outgoing.read())
