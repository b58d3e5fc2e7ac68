"""What is a link, and that none opens something else than it shows."""

from __future__ import annotations

import pytest

from mobium_client.gui.models.links import find_links


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
