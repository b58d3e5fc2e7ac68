"""The status page: a page, a script, a style and an icon, as they lie beside this file, and the headers that
keep a browser from taking anything from elsewhere.

Not its concern: when they are answered (`mobium_server.http`) and the figures, which the page asks for with
the token (`mobium_server.figures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

__all__ = ["HEADERS", "Part", "parts"]

# Nothing inline and nothing from elsewhere: what a figure or a sentence of the server holds is never run.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_FILES = {
    "/admin": ("status.html", "text/html; charset=utf-8"),
    "/admin/status.css": ("status.css", "text/css; charset=utf-8"),
    "/admin/status.js": ("status.js", "text/javascript; charset=utf-8"),
    "/admin/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Part(NamedTuple):
    """A file of the page, and its type."""

    body: bytes
    kind: str


def parts() -> dict[str, Part]:
    """The files by the paths where they are answered."""
    folder = resources.files(__name__)
    return {path: Part((folder / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}
