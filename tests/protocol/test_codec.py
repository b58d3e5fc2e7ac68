"""Frames: what comes back, what is refused, and with which code."""

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobium.errors import ProtocolError
from mobium.protocol import codec, limits
from mobium.protocol import messages as m
from mobium.protocol.codes import ErrorCode

KEY = b"k" * 32
ID = b"i" * 16
PREKEY = m.WirePrekey(7, 1_800_000_000, b"p" * 32, b"s" * 64)
ALLOWED = m.Limits(1 << 20, 1_000, 604_800, 30.0, 60, 30.0)

UP: list[m.ClientMessage] = [
    m.Auth(KEY, KEY, b"b" * 64, b"n" * 32, "localhost:8443", 1, 1, b"s" * 64),
    m.SendMessage(ID, KEY, b"payload", 3),
    m.SendMessage(ID, KEY, b""),
    m.AckDeliveries(1),
    m.PublishPrekeys(PREKEY, PREKEY, [PREKEY], [PREKEY], True, 1),
    m.PublishPrekeys(),
    m.GetPrekeyBundle(KEY, 0),
    m.GetPrekeyCount(0xFFFFFFFF),
    m.GetInfo(),
    m.CreateChannel(b"s" * 781, 1),
    m.JoinChannel(b"s", ID),
    m.LeaveChannel(b"s"),
    m.RosterAppend(b"s", 2),
    m.GetMembers(KEY, 3, b"p" * 64, ID, 4),
    m.ChannelPost(ID, KEY, 7, b"payload", 5),
    m.GetHistory(KEY, 2**40 - 1, 10),
    m.GetChannels(KEY, 6),
    m.Distribute(ID, KEY, [m.Distribution(KEY, b"payload")] * 2, 7),
    m.CreateInvite(KEY, 10, 3_600),
    m.ListInvites(KEY, 8),
    m.RevokeInvite(KEY, ID),
    m.SendSignal(KEY, b"payload", 3),
    m.JoinVoice(KEY, 4),
    m.LeaveVoice(KEY),
    m.GetIceConfig(9),
    m.Ping(1),
    m.Pong(),
]
DOWN: list[m.ServerMessage] = [
    m.AuthChallenge(b"n" * 32, KEY, [1, 2]),
    m.AuthSuccess(3, ALLOWED, b"s" * 64),
    m.Delivery(1, ID, KEY, b"payload"),
    m.Delivery(2, ID, KEY, b"payload", KEY),
    m.Accepted(ID, 1),
    m.Accepted(ID, 1, 2**40 - 1),
    m.Accepted(ID, failed=[m.NotTaken(KEY, "queue_full", 60.0)]),
    m.Appended(KEY, 1, 2, 3),
    m.RosterPage(KEY, 1, [b"s", b"t"], 9, 17, 4),
    m.ChannelMessage(KEY, 5, KEY, b"payload"),
    m.ChannelHead(KEY, 6),
    m.History(KEY, [m.Entry(1, statement=b"s"), m.Entry(3, KEY, b"payload")], 3, 9, 5),
    m.Channels([m.ChannelState(KEY, 9, 2)]),
    m.Invite(KEY, ID, 10, 2**33, 6),
    m.Invites(KEY, [m.InviteRow(ID, 1, 0, KEY)]),
    m.Signal(KEY, b"payload"),
    m.Forwarded(3),
    m.VoiceState(KEY, 0xFFFF, [m.Speaker(KEY, 1), m.Speaker(bytes(32), 0xFFFF)], 4),
    m.VoiceState(KEY),
    m.PrekeyBundle(KEY, KEY, b"b" * 64, PREKEY, PREKEY, 2, PREKEY, 9),
    m.PrekeyBundle(KEY, KEY, b"b" * 64, PREKEY, PREKEY, 1),
    m.PrekeyCount(1, 2, 3, 4, 5),
    m.IceConfig([m.IceServer(["stun:a"]), m.IceServer(["turn:a"], "1:x", "c")], 60, 9),
    m.IceConfig([]),
    m.Info("mobium", "0.1.0", [1], ["dm"], ALLOWED),
    m.Error("queue_full", "Full.", 1, ID, 2.5),
    m.Ping(),
    m.Pong(1),
]

GOOD: dict[str, Any] = {"type": "message", "id": ID, "recipient": KEY, "payload": b"x"}


def frame(**changes: Any) -> bytes:
    packed: bytes = msgpack.packb({**GOOD, **changes})
    return packed


@pytest.mark.parametrize("message", UP, ids=lambda x: type(x).__name__)
def test_what_a_client_sends_comes_back(message: m.ClientMessage) -> None:
    assert codec.decode_client(codec.encode(message)) == message


@pytest.mark.parametrize("message", DOWN, ids=lambda x: type(x).__name__)
def test_what_a_server_sends_comes_back(message: m.ServerMessage) -> None:
    assert codec.decode_server(codec.encode(message)) == message


def test_every_type_is_tried_here() -> None:
    assert {type(x) for x in UP} == set(m.ClientMessage.__args__)
    assert {type(x) for x in DOWN} == set(m.ServerMessage.__args__)


def test_unknown_fields_are_ignored_and_defaults_left_out() -> None:
    assert codec.decode_client(frame(later=[1, {"a": b"b"}])) == m.SendMessage(ID, KEY, b"x")
    assert b"rid" not in codec.encode(m.SendMessage(ID, KEY, b"x"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xc0",
        b"\x01\x00\x00",
        msgpack.packb([GOOD]),
        msgpack.packb({1: 2, "type": "ping"}),
        msgpack.packb({"type": 5}),
        msgpack.packb({"type": b"ping"}),
        frame() + b"\0",
        frame()[:-1],
        frame(id=b"i" * 15),
        frame(id=b"i" * 17),
        frame(id=list(ID)),
        frame(id=ID.hex()),
        frame(id="aWlpaWlpaWlpaWlpaWlpaQ=="),  # base64 of a good id is still not bytes
        frame(recipient=None),
        frame(payload="text"),
        frame(rid=-1),
        frame(rid=1 << 32),
        frame(rid=True),
        frame(rid=1.0),
        frame(later=msgpack.ExtType(5, b"x")),
        frame(later=msgpack.Timestamp(1)),
        b"\x82\xa4type\xa4ping\xa4type\xa4pong",
        b"\x91" * 100_000,
        b"\x81\xa1a" * 100_000,
        frame(later=[[]] * (limits.MAX_CONTAINERS // 2) + [[[]]] * limits.MAX_CONTAINERS),
        frame(later=[0] * (limits.MAX_LIST + 1)),
        frame(later={str(n): 0 for n in range(limits.MAX_MAP + 1)}),
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        msgpack.packb({"type": "ack", "tag": 0}),
        msgpack.packb({"type": "ack"}),
        b"\x81\xa4type\xa4\xff\xfe\xfd\xfc",  # a str that is not UTF-8
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        codec.decode_client(data)
    assert caught.value.code == ErrorCode.MALFORMED


@pytest.mark.parametrize("kind", ["nonsense", "auth_success", "MESSAGE", ""])
def test_unknown_type(kind: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        codec.decode_client(frame(type=kind))
    assert caught.value.code == ErrorCode.UNKNOWN_TYPE


def test_the_sentence_holds_no_value() -> None:
    with pytest.raises(ProtocolError) as caught:
        codec.decode_client(frame(payload="the secret itself"))
    assert "secret" not in str(caught.value)


def outcome(decode: Callable[[bytes], object], data: bytes) -> str:
    """The code of the error, or that it was a message. Any other exception fails the test."""
    try:
        decode(data)
    except ProtocolError as error:
        return error.code
    return "message"


ALLOWED_OUTCOMES = {"message", ErrorCode.MALFORMED, ErrorCode.UNKNOWN_TYPE}


@given(st.binary(max_size=300))
def test_garbage_is_a_protocol_error_or_a_message(data: bytes) -> None:
    assert outcome(codec.decode_client, data) in ALLOWED_OUTCOMES
    assert outcome(codec.decode_server, data) in ALLOWED_OUTCOMES


@pytest.mark.parametrize(
    "fields",
    [
        {"room": 1 << 16, "members": []},
        {"room": -1, "members": []},
        {"room": 1, "members": [{"identity": KEY, "number": 1}] * (limits.MAX_SPEAKERS + 1)},
        {"room": 1, "members": [{"identity": KEY, "number": 0}]},
        {"room": 1, "members": [{"identity": KEY, "number": 1 << 16}]},
        {"room": 1, "members": [{"identity": KEY[:-1], "number": 1}]},
    ],
)
def test_a_voice_state_that_no_server_sends_is_malformed(fields: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        codec.decode_server(msgpack.packb({"type": "voice_state", "channel_id": KEY, **fields}))
    assert caught.value.code == ErrorCode.MALFORMED


@given(st.sampled_from(DOWN), st.integers(0, 400), st.integers(0, 7))
def test_a_flipped_bit_of_a_server_is_a_protocol_error_or_a_message(
    message: m.ServerMessage, at: int, bit: int
) -> None:
    data = bytearray(codec.encode(message))
    data[at % len(data)] ^= 1 << bit
    assert outcome(codec.decode_server, bytes(data)) in ALLOWED_OUTCOMES


@given(st.sampled_from(UP), st.integers(0, 400), st.integers(0, 7))
def test_a_flipped_bit_is_a_protocol_error_or_a_message(message: m.ClientMessage, at: int, bit: int) -> None:
    data = bytearray(codec.encode(message))
    data[at % len(data)] ^= 1 << bit
    assert outcome(codec.decode_client, bytes(data)) in ALLOWED_OUTCOMES
