"""What is a link, and that none opens something else than it shows."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest

from mobium_client.gui.models.links import find_links
from mobium_client.plain import harmless


def urls(text: str) -> list[str]:
    found = find_links(text)
    assert all(text[begin:end] == url for begin, end, url in found)
    return [url for _, _, url in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://a.example/x.", ["https://a.example/x"]),
        ("(https://a.example/x_(y)), then", ["https://a.example/x_(y)"]),
        (
            "HTTP://A.example and https://b.example:8443/?q=1#z!",
            ["HTTP://A.example", "https://b.example:8443/?q=1#z"],
        ),
        ("nothing: ftp://a.example javascript:alert(1) file:///etc/passwd a.example", []),
        ("https://[::1]:80/x", ["https://[::1]:80/x"]),
    ],
)
def test_links(text: str, found: list[str]) -> None:
    assert urls(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "https://bank.example@evil.example/",  # a name in front of the host
        "https://bank.example%2f@evil.example/",
        "https://b\u0430nk.example/",  # a Cyrillic letter
        "https://bank.example\u202e/gnp.evil",  # what follows is shown backwards
        "https://bank.example\u2044evil.example",  # a slash that is none
        "https://",
        "https://a.example:port/",
        "https://[::1/",
        "https://a.example/" + "x" * 3_000,
    ],
)
def test_what_pretends_is_no_link(text: str) -> None:
    assert urls(text) == []


CHANNEL, INVITE = "ab" * 32, "cd" * 16
SECRET = urlsafe_b64encode(bytes(range(64))).rstrip(b"=").decode()
OPEN = f"mobium://join/{CHANNEL}?server=wss://chat.example.org"
PRIVATE = f"mobium://join/{CHANNEL}/{INVITE}?server=ws://127.0.0.1:8443#{SECRET}"


@pytest.mark.parametrize("link", [f"mobium://join/{CHANNEL}", OPEN, PRIVATE])
def test_an_invite_link_as_it_is_made_is_a_link(link: str) -> None:
    assert urls(f"come in: {link}, or ({link}).\n{link}") == [link] * 3


@pytest.mark.parametrize(
    "text",
    [
        f"mobium://join/{CHANNEL[:-1]}",
        f"mobium://join/{CHANNEL}00",
        f"mobium://join/{CHANNEL.upper()}",
        f"MOBIUM://join/{CHANNEL}",
        f"mobium://join.evil.example/{CHANNEL}",
        f"mobium://evil@join/{CHANNEL}",
        f"mobium://contact/{CHANNEL}",
        f"xmobium://join/{CHANNEL}",
        f"mobi\u00fcm://join/{CHANNEL}",
        f"mobium://jo\u0456n/{CHANNEL}",  # a Cyrillic letter
        f"mobium:\u2044\u2044join/{CHANNEL}",  # slashes that are none
        f"mobium://join/{CHANNEL}?server=wss://b\u0430nk.example",
        f"mobium://join/{CHANNEL}?server=wss://b%D0%B0nk.example",  # shown as something else than it is
        f"mobium://join/{CHANNEL}?server=wss://bank.example%40evil.example",
        f"mobium://join/{CHANNEL}?server=wss://a.example&server=wss://evil.example",
        f"mobium://join/{CHANNEL}?server=wss://a.example&and=more",
        f"{OPEN}\u200f",
        f"{OPEN}\u202egro.lanigiro",
        harmless(f"{OPEN}\u202egro.lanigiro"),
        f"{OPEN}#" + "A" * 2_000,
        PRIVATE + "A",
    ],
)
def test_what_is_no_invite_link_as_it_is_made_is_text(text: str) -> None:
    assert urls(text) == []


def test_an_address_with_something_made_harmless_in_it_is_text() -> None:
    assert urls(harmless("https://bank.example\u202e/gnp.evil")) == []
