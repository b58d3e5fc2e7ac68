"""Addresses as people type them."""

import pytest

from mobium.client.address import parse
from mobium.errors import InvalidInput

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("typed", "url", "host"),
    [
        ("chat.example", "wss://chat.example/ws", "chat.example:443"),
        (" Chat.Example:8443 ", "wss://chat.example:8443/ws", "chat.example:8443"),
        ("192.168.1.50:8443", "wss://192.168.1.50:8443/ws", "192.168.1.50:8443"),
        ("ws://192.168.1.50:8443", "ws://192.168.1.50:8443/ws", "192.168.1.50:8443"),
        ("localhost", "ws://localhost:8443/ws", "localhost:8443"),
        ("localhost:9000", "ws://localhost:9000/ws", "localhost:9000"),
        ("127.0.0.1:5", "ws://127.0.0.1:5/ws", "127.0.0.1:5"),
        ("::1", "ws://[::1]:8443/ws", "[::1]:8443"),
        ("[::1]:7", "ws://[::1]:7/ws", "[::1]:7"),
        ("2001:db8::5", "wss://[2001:db8::5]/ws", "[2001:db8::5]:443"),
        ("ws://localhost", "ws://localhost/ws", "localhost:80"),
        ("WSS://chat.example/ws", "wss://chat.example/ws", "chat.example:443"),
        ("wss://chat.example/ws/", "wss://chat.example/ws", "chat.example:443"),
        ("chat.example\n", "wss://chat.example/ws", "chat.example:443"),  # a pasted line end is no mistake
        ("chat.example/", "wss://chat.example/ws", "chat.example:443"),
        ("münchen.example", "wss://xn--mnchen-3ya.example/ws", "xn--mnchen-3ya.example:443"),
    ],
)
def test_parse(typed: str, url: str, host: str) -> None:
    address = parse(typed)
    assert (address.url, address.host, address.secure) == (url, host, url.startswith("wss"))
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("https://chat.example/x", "wss://chat.example"),
        ("http://chat.example:80", "ws://chat.example:80"),
        ("http://chat.example", "ws://chat.example$"),
        ("http://localhost", "ws://localhost:8443$"),
        ("http://localhost:/", "ws://localhost:8443$"),
        ("http://localhost:8000/ws", "ws://localhost:8000$"),
        ("https://127.0.0.1/", "wss://127.0.0.1:8443$"),
        ("http://[::1]", r"ws://\[::1\]:8443$"),
        ("http://", "write it as"),
        ("http://[::1", "write it as"),
        ("ftp://chat.example", "does not begin with ftp"),
        ("", "empty"),
        ("a b", "blanks"),
        ("chat.example:99999", "name and a port"),
        ("chat.example:0", "port"),
        ("chat.example:x", "name and a port"),
        ("chat.example/elsewhere", "/ws"),
        ("user@chat.example", "name and a port"),
        ("chat.example?x=1", "name and a port"),
        ("wss://", "name and a port"),
        ("a\u202eb", "blanks"),
    ],
)
def test_refused_in_one_sentence(typed: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse(typed)


@pytest.mark.parametrize(
    "typed", ["http://localhost", "https://localhost", "http://127.0.0.1:9000", "http://[::1]/"]
)
def test_what_the_sentence_says_to_write_can_be_written(typed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(typed)
    address = parse(str(refused.value).split()[-1])
    assert address.host == parse(typed.partition("://")[2].rstrip("/")).host
