"""The log file: what nobody expected, as types and places, without the messages and values that could hold
somebody's text.

Both the command line and the desktop write it. Not its concern: what is said on the screen.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobium import __version__

__all__ = ["describe", "keep_log", "note"]

_LOG_SIZE = 1 << 20  # bytes, then the file begins anew and the older half is kept beside it
# Their messages are the interpreter's own and name code, never data.
_TELLING = (AttributeError, ImportError, NameError, TypeError, NotImplementedError)


def describe(error: BaseException) -> str:
    """A traceback of types and places. Messages are left out, since they may repeat somebody's words."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        lines.append(f"{type(current).__module__}.{type(current).__qualname__}{_detail(current)}")
        lines += [
            f"  {frame.filename}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(current.__traceback__)
        ]
        if isinstance(current, BaseExceptionGroup):
            lines += ["  | " + line for inner in current.exceptions for line in describe(inner).splitlines()]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        if current is not None:
            lines.append("after")
    return "\n".join(lines)


def _detail(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f": {error.strerror} (errno {error.errno})"
    return f": {error}" if isinstance(error, _TELLING) else ""


def note(text: str) -> Path:
    """Append an entry to the log file, which is made with mode 0600. Raises OSError."""
    from mobium.client.profile import Profiles, backend_name

    path = Profiles().log_file
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_SIZE:
        path.replace(path.with_name(path.name + ".old"))
    head = (
        f"{time.strftime('%Y-%m-%d %H:%M:%S%z')} mobium {__version__} ({backend_name()}), "
        f"Python {platform.python_version()}, {sys.platform}"
    )
    with open(path, "a", encoding="utf-8", errors="backslashreplace", opener=_private) as file:
        file.write(f"{head}\n{text}\n\n")
    return path


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


class _LogFile(logging.Handler):
    """Warnings of the libraries go to the log file: their first line, and the places of an exception."""

    def emit(self, record: logging.LogRecord) -> None:
        first = str(record.msg).splitlines()[:1]
        lines = [f"{record.levelname} {record.name}: {first[0] if first else ''}"]
        if record.exc_info and record.exc_info[1] is not None:
            lines.append(describe(record.exc_info[1]))
        try:
            note("\n".join(lines))
        except (OSError, ImportError):
            return


@contextmanager
def keep_log() -> Iterator[None]:
    """While the context is open, what libraries log is kept from the screen and goes to the log file."""
    handler = _LogFile(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
