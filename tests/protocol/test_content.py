"""What is inside the ciphertext."""

from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobium.errors import ProtocolError
from mobium.protocol import content

ID = b"i" * 16
KID = 1 << 31  # step 0
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
        (content.Call(ID, 1, ID, "offer", 0, "v=0"), "voice_signal"),
        (content.Call(ID, 1, ID, "answer", 255, "v=0"), "voice_signal"),
        (content.Call(ID, 1, ID, "hangup", reason="no_answer"), "voice_signal"),
        (content.MediaKey(ID, 1, HASH, 1, 1, KID, b"b" * 32), "voice_signal"),
        (content.MediaKey(ID, 1, HASH, 0xFFFF, 2, 0xFFFFFFFF, b"b" * 64), "voice_signal"),
        (content.MediaRequest(ID, 1, HASH, 1, 1, "key"), "voice_signal"),
        (content.MediaRequest(ID, 1, HASH, 0xFFFF, 2, "picture"), "voice_signal"),
    ],
)
def test_round_trip_in_other_classes(value: content.Content, where: str) -> None:
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
        ("call", "message"),
        ("call", "channel_message"),
        ("media_key", "message"),
        ("media_key", "sender_key_distribution"),
        ("media_request", "message"),
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


CALL: dict[str, Any] = {"kind": "call", "id": ID, "sent": 5, "call_id": ID, "step": "ringing"}
MEDIA_KEY: dict[str, Any] = {
    "kind": "media_key", "id": ID, "sent": 5, "channel_id": HASH, "room": 1, "media_kind": 1, "kid": KID,
    "base": b"b" * 32,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"call_id": b"i" * 15},
        {"step": "hold"},
        {"step": "offer"},
        {"step": "answer", "sdp": ""},
        {"step": "answer", "sdp": "x" * 16_385},
        {"step": "answer", "sdp": b"v=0"},
        {"step": "hangup", "sdp": "v=0"},
        {"attempt": -1},
        {"attempt": 256},
        {"reason": "Sorry!"},
    ],
)
def test_a_malformed_call(change: dict[str, Any]) -> None:
    assert isinstance(content.decode(msgpack.packb(CALL), "voice_signal"), content.Call)
    with pytest.raises(ProtocolError):
        content.decode(msgpack.packb({**CALL, **change}), "voice_signal")


@pytest.mark.parametrize(
    "change",
    [
        {"channel_id": b"h" * 31},
        {"room": 0},
        {"room": 1 << 16},
        {"media_kind": 0},
        {"media_kind": 3},
        {"kid": KID - 1},
        {"kid": 1 << 32},
        {"kid": KID + 1},
        {"base": b"b" * 31},
        {"base": b"b" * 64},
        {"kid": KID + 1, "base": b"b" * 63},
    ],
)
def test_a_malformed_media_key(change: dict[str, Any]) -> None:
    assert isinstance(content.decode(msgpack.packb(MEDIA_KEY), "voice_signal"), content.MediaKey)
    with pytest.raises(ProtocolError):
        content.decode(msgpack.packb({**MEDIA_KEY, **change}), "voice_signal")


def test_neither_a_media_key_nor_an_address_is_in_a_repr() -> None:
    key = content.MediaKey(ID, 1, HASH, 1, 1, KID, b"secret" * 5 + b"--")
    call = content.Call(ID, 1, ID, "offer", sdp="c=IN IP4 192.0.2.1")
    assert "secret" not in repr(key)
    assert "192.0.2.1" not in repr([call])


@given(st.sampled_from([CALL, MEDIA_KEY]), st.integers(0, 400), st.integers(0, 7))
def test_a_flipped_bit_is_a_protocol_error_or_a_content(fields: dict[str, Any], at: int, bit: int) -> None:
    data = bytearray(msgpack.packb(fields))
    data[at % len(data)] ^= 1 << bit
    with suppress(ProtocolError):
        assert isinstance(
            content.decode(bytes(data), "voice_signal"), content.Call | content.MediaKey | content.Unknown
        )


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
