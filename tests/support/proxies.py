"""The real Caddy and the real nginx in front of a server, configured by the examples that are shipped.

Only ports, paths and the certificate are replaced. Clients come from addresses of their own, since all of
127.0.0.0/8 is this machine (on Linux). Not its concern: the server (tests/support/server.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.certificates import certificate, trusting
from tests.support.programs import Program, free_port, running
from tests.support.raw import WAIT, Response, parse
from tests.support.server import Client, Person, log_in

__all__ = ["DEPLOY", "HOME", "NAME", "NEIGHBOUR", "PROXIES", "Site", "nginx"]

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = "chat.example.org"
HOME, NEIGHBOUR = "127.0.0.2", "127.0.0.3"  # where clients are


@dataclass(frozen=True)
class Site:
    """A proxy that listens."""

    program: Program
    plain_port: int
    """Where it speaks HTTP without TLS."""
    context: ssl.SSLContext

    @property
    def dialled(self) -> str:
        """What a login is bound to."""
        return f"{NAME}:{self.program.port}"

    async def log_in(self, source: str = HOME, person: Person | None = None, **fields: Any) -> Client:
        """Log in through the proxy, from an address of this machine."""
        sock = await _connected(source, self.program.port)
        url = f"wss://{self.dialled}/ws"
        return await log_in(url, person, sock=sock, ssl=fields.pop("ssl", self.context), **fields)

    async def ask(
        self, path: str, headers: Sequence[str] = (), *, tls: bool = True, source: str = HOME
    ) -> Response:
        """What a request gets. Header lines are sent as they are."""
        port = self.program.port if tls else self.plain_port
        reader, writer = await asyncio.open_connection(
            sock=await _connected(source, port),
            ssl=self.context if tls else None,
            server_hostname=NAME if tls else None,
        )
        lines = [f"GET {path} HTTP/1.1", f"Host: {NAME}:{port}", *headers]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            async with asyncio.timeout(WAIT):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(parse(head).headers.get("Content-Length", "0"))
                return parse(head + await reader.readexactly(length))
        finally:
            writer.close()


async def _connected(source: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


def _changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"the example does not say {old!r} any more"
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def caddy(folder: Path, server_port: int, changes: dict[str, str] | None = None) -> Iterator[Site]:
    """Caddy in front of a server. `changes` are made to the example before those that every test needs."""
    example = _changed((DEPLOY / "caddy" / "Caddyfile").read_text("utf-8"), changes or {})
    cert, key = certificate(folder, NAME)
    plain = free_port()

    def command(port: int) -> list[str]:
        needed = {
            "\n{\n": "\n{\n\tadmin off\n\tdefault_bind 127.0.0.1\n"
            f"\thttp_port {plain}\n\thttps_port {port}\n",
            "tls {": f"tls {cert} {key} {{",
            "127.0.0.1:8443": f"127.0.0.1:{server_port}",
        }
        (folder / "Caddyfile").write_text(_changed(example, needed), "utf-8")
        return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]

    with running(command, folder) as program:
        yield Site(program, plain, trusting(cert))


@contextlib.contextmanager
def nginx(folder: Path, server_port: int, changes: dict[str, str] | None = None) -> Iterator[Site]:
    """nginx in front of a server. `changes` are made to the example before those that every test needs."""
    example = _changed((DEPLOY / "nginx" / "mobium.conf").read_text("utf-8"), changes or {})
    cert, key = certificate(folder, NAME)
    plain = free_port()

    def command(port: int) -> list[str]:
        needed = {
            "    listen [::]:80;\n": "",  # not every machine has IPv6
            "    listen [::]:443 ssl;\n": "",
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            f"/etc/letsencrypt/live/{NAME}/fullchain.pem": str(cert),
            f"/etc/letsencrypt/live/{NAME}/privkey.pem": str(key),
            "/var/log/nginx/mobium.log": str(folder / "mobium.log"),
            "127.0.0.1:8443": f"127.0.0.1:{server_port}",
        }
        (folder / "mobium.conf").write_text(_changed(example, needed), "utf-8")
        around = [
            f"pid {folder / 'nginx.pid'};",
            "daemon off;",
            "error_log stderr;",
            "events {}",
            "http {",
            f"access_log {folder / 'access.log'};",
            *(
                f"{kind}_temp_path {folder / kind};"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
            f"include {folder / 'mobium.conf'};",
            "}",
        ]
        (folder / "nginx.conf").write_text("\n".join(around), "utf-8")
        return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]

    with running(command, folder) as program:
        yield Site(program, plain, trusting(cert))


Proxy = Callable[..., contextlib.AbstractContextManager[Site]]
PROXIES: dict[str, Proxy] = {"caddy": caddy, "nginx": nginx}
