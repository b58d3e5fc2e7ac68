"""Addresses in a text: where they are, and what they open. What is shown is what is opened, letter by letter.

Links are http, https and `mobium://join/`. One with a name in front of its host
(`https://bank.example@evil.example`), with letters of other alphabets in its host, which may look like Latin
ones, or with a character in it that had to be made harmless, is no link: it can be read and copied, but a
click does not open it. Neither does an invite link in any other form than the one in which they are made.
Not its concern: opening.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from mobium.client.join_links import format_join, parse_join
from mobium.errors import InvalidInput

__all__ = ["JOIN", "Link", "find_links"]

JOIN: Final = "mobium://join/"
"""What a link into a channel begins with."""

Link = tuple[int, int, str]
"""Where it begins and ends in the text, and the address."""

_HARMLESS: Final = "‹U+"  # begins what stands for a character that reorders or hides
_BEHIND: Final = ".,;:!?…*_~"
_BRACKETS: Final = {")": "(", "]": "[", "}": "{"}
_LONGEST: Final = 2_048  # characters; browsers take little more
_FOUND: Final = re.compile(rf"(?<![^\W_])(?:https?://|{JOIN})[^\s<>\"'‹›“”]+", re.IGNORECASE)
_ENDING: Final = 256  # characters that may stand behind an address and are none of it
_HOST: Final = re.compile(r"[A-Za-z0-9.\-\[\]:]+")


def find_links(text: str) -> tuple[Link, ...]:
    """The links of a text, in order."""
    found = []
    for match in _FOUND.finditer(text):
        if match.end() - match.start() > _LONGEST + _ENDING:
            continue
        url = _trimmed(match[0])
        if text.startswith(_HARMLESS, match.end()):
            continue
        if _invites(url) if url.lower().startswith(JOIN) else _plain(url):
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


def _invites(url: str) -> bool:
    """Whether it is an invite link as they are made, with nothing added and nothing written otherwise."""
    try:
        return format_join(parse_join(url)) == url
    except InvalidInput:
        return False
