"""Names as both sides sign them."""

import pytest

from mobium.errors import InvalidInput
from mobium.protocol.host import canonical_host, split_host


@pytest.mark.parametrize(
    ("name", "port", "host"),
    [
        ("Chat.Example", 443, "chat.example:443"),
        ("chat.example.", 443, "chat.example:443"),
        ("münchen.example", 8443, "xn--mnchen-3ya.example:8443"),
        ("127.0.0.1", 1, "127.0.0.1:1"),
        ("::1", 65535, "[::1]:65535"),
        ("[2001:DB8:0:0::1]", 443, "[2001:db8::1]:443"),
        ("raspberrypi", 8443, "raspberrypi:8443"),
        ("fe80::1%eth0", 443, "[fe80::1%eth0]:443"),
    ],
)
def test_canonical(name: str, port: int, host: str) -> None:
    assert canonical_host(name, port) == host
    assert canonical_host(*split_host(host)) == host


@pytest.mark.parametrize(
    ("name", "port"),
    [("", 1), ("a b", 1), ("a/b", 1), ("a@b", 1), ("x", 0), ("x", 65536), ("ß" * 70, 1),
     ("fe80::1%é", 1), ("fe80::1%a b", 1), ("::1%]", 1), ("::1%a%b", 1)],
)  # fmt: skip
def test_refused(name: str, port: int) -> None:
    with pytest.raises(InvalidInput):
        canonical_host(name, port)


@pytest.mark.parametrize(
    "host", ["", "x", "x:", "x:y", "X:1", "x:01", "::1:1", "[::1]", "x:٣", "[fe80::1%é]:443"]
)
def test_split_takes_the_canonical_form_alone(host: str) -> None:
    with pytest.raises(InvalidInput):
        split_host(host)
