"""What is inside the ciphertext."""

from typing import Any

import msgpack
import pytest

from mobium.errors import ProtocolError
from mobium.protocol import content

ID = b"i" * 16
GOOD: dict[str, Any] = {"kind": "text", "id": ID, "sent": 5, "text": "hi"}


def packed(**changes: Any) -> bytes:
    data: bytes = msgpack.packb({**GOOD, **changes})
    return data


HASH = b"h" * 32


@pytest.mark.parametrize(
    "value",
    [
        content.ChannelSecret(ID, 1, HASH, HASH),
        content.RosterHead(ID, 1, HASH, 7, HASH),
        content.ChainRequest(ID, 1, HASH, 1),
        content.Text(ID, 1_800_000_000_000, "Grüße 🐟 \0"),
        content.Text(ID, 0, ""),
        content.Receipt(ID, 1, "delivered", [ID]),
        content.Receipt(ID, 1, "read", [ID] * 512),
        content.Retry(ID, 1, [b"h" * 32]),
    ],
)
def test_round_trip(value: content.Content) -> None:
    assert content.decode(content.encode(value), "message") == value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (content.ChannelText(ID, 1, "hi", (3, HASH)), "channel_message"),
        (content.Distribution(ID, 1, b"d" * 142), "sender_key_distribution"),
    ],
)
def test_round_trip_in_channels(value: content.Content, where: str) -> None:
    assert content.decode(content.encode(value), where) == value


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("receipt", "channel_message"),
        ("distribution", "message"),
        ("distribution", "channel_message"),
        ("text", "sender_key_distribution"),
        ("chain_request", "sender_key_distribution"),
        ("channel_secret", "channel_message"),
    ],
)
def test_no_kind_moves_to_another_class(kind: str, where: str) -> None:
    with pytest.raises(ProtocolError, match="another class"):
        content.decode(packed(kind=kind), where)


def test_a_text_of_a_channel_says_which_roster_its_sender_knew() -> None:
    with pytest.raises(ProtocolError):
        content.decode(packed(), "channel_message")


def test_an_unknown_kind_is_kept_and_is_no_text() -> None:
    assert content.decode(packed(kind="poll", options=["a"]), "message") == content.Unknown("poll", ID, 5)


@pytest.mark.parametrize("kind", ["text", "receipt", "retry"])
def test_a_known_kind_in_another_class_is_refused(kind: str) -> None:
    with pytest.raises(ProtocolError):
        content.decode(packed(kind=kind), "voice_signal")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain text",
        packed() + b"\0",
        packed(id=b"i" * 15),
        packed(sent=-1),
        packed(text=b"bytes"),
        packed(kind=None),
        packed(kind="poll", id="x"),
        packed(kind="receipt", what="seen", ids=[ID]),
        packed(kind="receipt", what="read", ids=[]),
        packed(kind="receipt", what="read", ids=[ID] * 513),
        packed(kind="retry", hashes=[b"h" * 31]),
        packed(later=msgpack.ExtType(1, b"")),
        b"\x84\xa4kind\xa4text\xa2id\xc4\x10" + ID + b"\xa4sent\x01\xa4sent\x02",
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        content.decode(data, "message")
