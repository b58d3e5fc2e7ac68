"""Addresses in a text: where they are, and what they open. What is shown is what is opened, letter by letter.

Only http and https are links. One with a name in front of its host (`https://bank.example@evil.example`), or
with letters of other alphabets in its host, which may look like Latin ones, is no link: it can be read and
copied, but a click does not open it. Not its concern: opening.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

__all__ = ["Link", "find_links"]

Link = tuple[int, int, str]
"""Where it begins and ends in the text, and the address."""

_FOUND: Final = re.compile(r"https?://[^\s<>\"'‹›“”]+", re.IGNORECASE)
_BEHIND: Final = ".,;:!?…*_~"
_BRACKETS: Final = {")": "(", "]": "[", "}": "{"}
_LONGEST: Final = 2_048  # characters; browsers take little more
_HOST: Final = re.compile(r"[A-Za-z0-9.\-\[\]:]+")


def find_links(text: str) -> tuple[Link, ...]:
    """The links of a text, in order."""
    found = []
    for match in _FOUND.finditer(text):
        url = _trimmed(match[0])
        if _plain(url):
            found.append((match.start(), match.start() + len(url), url))
    return tuple(found)


def _trimmed(url: str) -> str:
    """Without what ends the sentence, not the address."""
    while url:
        last = url[-1]
        if last in _BEHIND or (last in _BRACKETS and url.count(last) > url.count(_BRACKETS[last])):
            url = url[:-1]
        else:
            break
    return url


def _plain(url: str) -> bool:
    """Whether it opens what it seems to open."""
    if len(url) > _LONGEST or not url.isprintable():
        return False
    try:
        split = urlsplit(url)
        host, _ = split.hostname, split.port
    except ValueError:
        return False
    return bool(host) and "@" not in split.netloc and _HOST.fullmatch(split.netloc) is not None
