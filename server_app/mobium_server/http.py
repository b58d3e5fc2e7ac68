"""The HTTP side of the port: `/health`, `/info`, `/metrics`, `/admin/stats` and the status page `/admin`; who
may ask, and from which web origin (docs/PROTOCOL.md).

Requests and responses are plain values. Not its concern: bytes and the WebSocket handshake
(`mobium_server.gateway`), the figures (`mobium_server.figures`), the page itself
(`mobium_server.statuspage`).
"""

from __future__ import annotations

import email.utils
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mobium_server import statuspage

__all__ = ["PHRASES", "Asked", "Reply", "Routes", "plain"]

METHODS = "GET, HEAD, OPTIONS"
PHRASES = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_OPEN = ("/health", "/info")
_GUARDED = ("/metrics", "/admin/stats")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its method, its path without the query, and the headers that matter here."""

    method: str
    path: str
    host: str = ""
    origin: str | None = None
    authorization: str = ""
    forwarded_for: tuple[str, ...] = ()
    forwarded_proto: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A response."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, str]:
        """All of its headers."""
        return {
            "Date": email.utils.formatdate(usegmt=True),
            "Connection": "close",
            "Content-Length": str(len(self.body)),
            "Content-Type": self.kind,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **self.headers,
        }


def plain(status: int, text: str, **headers: str) -> Reply:
    """A response of one sentence."""
    return Reply(
        status,
        f"{text}\n".encode(),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


class Routes:
    """What each path answers. `info` and `stats` give their values, `metrics` the Prometheus text.

    The status page is for anybody who comes once there is a token: it holds nothing, and asks for the token
    itself.
    """

    def __init__(
        self,
        *,
        origins: tuple[str, ...],
        admin_token: str,
        own_name: Callable[[str], bool],
        info: Callable[[], dict[str, Any]],
        stats: Callable[[], dict[str, Any]],
        metrics: Callable[[], bytes],
    ) -> None:
        self._origins = origins
        self._token = admin_token.encode()
        self._own_name = own_name
        self._info = info
        self._stats = stats
        self._metrics = metrics
        self._page = statuspage.parts() if admin_token else {}

    def answer(self, asked: Asked) -> Reply:
        """The response to any request but a WebSocket handshake."""
        guarded = self._token and asked.path in _GUARDED
        if asked.path not in _OPEN and asked.path not in self._page and not guarded:
            return plain(404, "There is nothing here.")
        if asked.method not in METHODS.split(", "):
            return plain(405, f"Only {METHODS} are answered here.", Allow=METHODS)
        cors = self._cors(asked)
        if asked.method == "OPTIONS":
            return Reply(204, b"", headers={"Allow": METHODS, **cors, **self._preflight(asked, cors)})
        if asked.path in _GUARDED and not self._authorized(asked):
            return plain(
                401, "A token is needed: Authorization: Bearer <SC_ADMIN_TOKEN>.", WWW_Authenticate="Bearer"
            )
        reply = self._read(asked.path)
        return Reply(reply.status, reply.body, reply.kind, {**reply.headers, **cors})

    def _read(self, path: str) -> Reply:
        if path in self._page:
            part = self._page[path]
            return Reply(200, part.body, part.kind, statuspage.HEADERS)
        if path == "/health":
            return Reply(200, b"OK")
        if path == "/info":
            return Reply(200, json.dumps(self._info()).encode(), "application/json")
        if path == "/metrics":
            return Reply(200, self._metrics(), "text/plain; version=0.0.4; charset=utf-8")
        return Reply(200, json.dumps(self._stats()).encode(), "application/json")

    def _authorized(self, asked: Asked) -> bool:
        scheme, _, token = asked.authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token)

    def _listed(self, origin: str) -> bool:
        return "*" in self._origins or origin.lower() in self._origins

    def _cors(self, asked: Asked) -> dict[str, str]:
        if not self._origins:
            return {"Access-Control-Allow-Origin": "*"} if asked.path in _OPEN else {}
        if asked.origin is None or not self._listed(asked.origin):
            return {"Vary": "Origin"}
        return {"Access-Control-Allow-Origin": asked.origin, "Vary": "Origin"}

    @staticmethod
    def _preflight(asked: Asked, cors: dict[str, str]) -> dict[str, str]:
        if "Access-Control-Allow-Origin" not in cors:
            return {}
        allowed = {"Access-Control-Allow-Methods": METHODS}
        if asked.path in _GUARDED:
            allowed["Access-Control-Allow-Headers"] = "Authorization"
        return allowed

    def may_open_socket(self, origin: str | None, host: str) -> bool:
        """Whether a WebSocket from a page of this origin is allowed: none (a native client), the server's own
        host, or a listed one.

        The origin must be the Host that was asked for, and that a name of this server: a page that had its
        own name resolve here is refused.
        """
        if origin is None or self._listed(origin):
            return True
        try:
            url = urlsplit(origin)
        except ValueError:  # brackets without an address between them, and the like
            return False
        return (
            url.netloc.lower() == host.lower() != ""
            and url.hostname is not None
            and self._own_name(url.hostname)
        )
