"""Contact links and their QR codes."""

from __future__ import annotations

import pytest

from mobium.client.links import check_server, contact_link, is_nickname, parse_contact, qr_code
from mobium.errors import InvalidInput
from mobium.signing import SigningKey

pytestmark = pytest.mark.once

KEY = SigningKey.from_seed(bytes(range(32))).public
HEX = KEY.hex()


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        (None, ""),
        ("wss://chat.example.org/ws", "?server=wss://chat.example.org"),
        ("chat.example.org", "?server=wss://chat.example.org"),
        ("ws://127.0.0.1:8443/ws", "?server=ws://127.0.0.1:8443"),
        ("ws://[::1]:8443", "?server=ws://[::1]:8443"),
    ],
)
def test_a_link_says_key_and_server_and_is_read_back(server: str | None, shown: str) -> None:
    link = contact_link(KEY, server)
    assert link == f"mobium://contact/{HEX}{shown}"
    read = parse_contact(f"  {link}\n")
    assert read.public == KEY
    assert (read.server is None) == (server is None)
    if read.server is not None:
        assert contact_link(read.public, read.server) == link


def test_hexadecimal_digits_alone_are_a_contact() -> None:
    assert parse_contact(HEX.upper()).public == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        HEX[:-1],
        HEX + "00",
        HEX[:-2] + "zz",
        "０" * 64,
        " ".join(HEX[i : i + 2] for i in range(0, 64, 2)),
        "00" * 32,
        f"https://contact/{HEX}",
        f"mobium://channel/{HEX}",
        f"mobium://contact/{HEX}#secret",
        f"mobium://contact/{HEX}/more",
        f"mobium://contact/{HEX}?server=wss://a&server=wss://b",
        f"mobium://contact/{HEX}?server=http://a",
        f"mobium://contact/{HEX}?server=",
        "mobium://contact/[",
        "mobium://" + "x" * 5000,
    ],
)
def test_anything_else_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_contact(text)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said.split()) > 4


def test_the_qr_code_is_the_links_own_and_fits_a_small_terminal() -> None:
    import segno

    link = contact_link(KEY, "wss://chat.example.org")
    lines = qr_code(link)
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= 80
    expected = [
        [bool(dot) for dot in row] for row in segno.make(link, error="m", micro=False).matrix_iter(border=4)
    ]
    rows = []
    for line in lines:
        rows.append([sign in " ▄" for sign in line])
        rows.append([sign in " ▀" for sign in line])
    assert rows[: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "nickname"), [("bob", True), (HEX, False), (HEX[:-1], True), ("mobium://x", False)]
)
def test_what_can_only_be_a_nickname(text: str, nickname: bool) -> None:
    assert is_nickname(text) is nickname


def test_a_server_as_it_is_typed() -> None:
    assert check_server("localhost") == "ws://localhost:8443/ws"
    with pytest.raises(InvalidInput):
        check_server("http://chat.example.org")
