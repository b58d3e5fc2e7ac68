"""The login, between the two ends and against each way to cheat in it (docs/CRYPTO.md section 9)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from mobium.errors import ProtocolError, ServerKeyChanged, ServerRefused
from mobium.protocol import codec, limits
from mobium.protocol import messages as m
from mobium.protocol.codes import CloseCode, ErrorCode
from mobium.protocol.connection import (
    Answer,
    ClientConnection,
    LoggedIn,
    Refusal,
    ServerConnection,
    Welcome,
)
from mobium.protocol.handshake import binding_input
from mobium.protocol.media_frames import SCREEN, VOICE, MediaDown, MediaUp, to_client, to_server
from mobium.signing import SigningKey

ALLOWED = m.Limits(1 << 20, 1_000, 604_800, 30.0, 60, 30.0)
HOST = "chat.example:443"


@dataclass
class Person:
    """A signer with real keys."""

    key: SigningKey
    x_public: bytes
    binding: bytes

    @property
    def public(self) -> bytes:
        return self.key.public

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)


def person() -> Person:
    key = SigningKey.generate()
    x = X25519PrivateKey.generate().public_key().public_bytes_raw()
    return Person(key, x, key.sign(binding_input(x)))


SERVER_KEY = SigningKey.generate()
ALICE = person()


def server(
    accepts: Callable[[str], bool] = lambda _name: True, key: SigningKey = SERVER_KEY
) -> ServerConnection:
    return ServerConnection(key, accepts, 1 << 20)


def answer(client: ClientConnection, challenge: bytes) -> bytes:
    event = client.receive(challenge)
    assert isinstance(event, Answer)
    return event.frame


def refused(event: object) -> Refusal:
    assert isinstance(event, Refusal)
    return event


def changed(frame: bytes, **fields: Any) -> bytes:
    return codec.encode(msgspec.structs.replace(codec.decode_client(frame), **fields))


def test_a_login() -> None:
    names: list[str] = []

    def accepts(name: str) -> bool:
        names.append(name)
        return True

    end = server(accepts)
    client = ClientConnection(ALICE, HOST)
    event = end.receive(answer(client, end.challenge()))
    assert event == LoggedIn(ALICE.public, ALICE.x_public, ALICE.binding, 1)
    assert names == ["chat.example"]
    assert client.receive(end.welcome(3, ALLOWED)) == Welcome(SERVER_KEY.public, 3, ALLOWED, end.nonce)
    assert end.receive(codec.encode(m.Ping(4))) == m.Ping(4)
    assert client.receive(codec.encode(m.Pong(4))) == m.Pong(4)


def test_the_pinned_server_is_accepted_and_another_gets_no_answer() -> None:
    client = ClientConnection(ALICE, HOST, SERVER_KEY.public)
    answer(client, server().challenge())
    with pytest.raises(ServerKeyChanged) as caught:
        ClientConnection(ALICE, HOST, SERVER_KEY.public).receive(
            server(key=SigningKey.generate()).challenge()
        )
    assert caught.value.pinned == SERVER_KEY.public


def test_a_login_made_for_another_server_is_refused() -> None:
    """A17: server B hands on server A's challenge, with A's key or with its own."""
    honest = server(lambda name: name == "a.example")
    passed_on = ClientConnection(ALICE, "b.example:443")
    assert refused(honest.receive(answer(passed_on, honest.challenge()))).code == ErrorCode.WRONG_HOST
    honest = server(lambda name: name == "a.example")
    forged = codec.decode_server(honest.challenge())
    own_key = codec.encode(msgspec.structs.replace(forged, server_key=SigningKey.generate().public))
    frame = answer(ClientConnection(ALICE, "b.example:443"), own_key)
    assert refused(honest.receive(changed(frame, host="a.example:443"))).code == ErrorCode.AUTH_FAILED


@pytest.mark.parametrize(
    "change",
    [
        {"pubkey": person().public},
        {"x25519_pub": person().x_public},
        {"binding": person().binding},
        {"nonce": b"n" * 32},
        {"host": "other.example:443"},
        {"signature": b"s" * 64},
        {"pubkey": bytes(32)},
        {"pubkey": b"\x01" + bytes(31)},
    ],
    ids=lambda change: next(iter(change)),  # the values are random, and so no names
)
def test_each_signed_field_counts(change: dict[str, Any]) -> None:
    end = server()
    frame = answer(ClientConnection(ALICE, HOST), end.challenge())
    event = refused(end.receive(changed(frame, **change)))
    assert (event.code, event.close) == (ErrorCode.AUTH_FAILED, CloseCode.AUTH)


def test_an_answer_serves_one_challenge() -> None:
    end = server()
    frame = answer(ClientConnection(ALICE, HOST), end.challenge())
    assert refused(server().receive(frame)).code == ErrorCode.AUTH_FAILED


@pytest.mark.parametrize(
    "host", ["Chat.example:443", "chat.example", "chat.example:0443", "[::1:443", "a b:1", "[fe80::1%é]:443"]
)
def test_a_host_that_is_not_canonical_is_malformed(host: str) -> None:
    end = server()
    frame = answer(ClientConnection(ALICE, HOST), end.challenge())
    assert refused(end.receive(changed(frame, host=host))).code == ErrorCode.MALFORMED


def test_a_version_that_nobody_speaks() -> None:
    end = server()
    frame = answer(ClientConnection(ALICE, HOST), end.challenge())
    assert refused(end.receive(changed(frame, version=99))).code == ErrorCode.UNSUPPORTED_VERSION
    with pytest.raises(ServerRefused, match="update"):
        ClientConnection(ALICE, HOST).receive(
            codec.encode(m.AuthChallenge(b"n" * 32, SERVER_KEY.public, [99]))
        )


@pytest.mark.parametrize(
    "frame", [codec.encode(m.Ping()), codec.encode(m.SendMessage(b"i" * 16, b"k" * 32, b"")), b"junk", b""]
)
def test_nothing_but_a_login_before_the_login(frame: bytes) -> None:
    event = refused(server().receive(frame))
    assert event.close == CloseCode.AUTH


def test_frames_grow_only_after_the_login() -> None:
    end = server()
    assert end.frame_limit == limits.PREAUTH_FRAME
    assert refused(end.receive(bytes(limits.PREAUTH_FRAME + 1))).code == ErrorCode.TOO_LARGE
    end = logged_in()
    assert end.frame_limit == (1 << 20) + limits.FRAME_OVERHEAD
    assert refused(end.receive(bytes(end.frame_limit + 1))).close == CloseCode.PROTOCOL


def logged_in() -> ServerConnection:
    end = server()
    assert isinstance(end.receive(answer(ClientConnection(ALICE, HOST), end.challenge())), LoggedIn)
    return end


def test_the_third_malformed_frame_closes() -> None:
    end = logged_in()
    closes = [refused(end.receive(frame)).close for frame in (b"junk", codec.encode(m.Pong())[:-1], b"")]
    assert closes == [None, None, CloseCode.PROTOCOL]


BODY = bytes(limits.VOICE_BODY)


def test_media_frames_pass_after_the_login() -> None:
    end = server()
    client = ClientConnection(ALICE, HOST)
    end.receive(answer(client, end.challenge()))
    client.receive(end.welcome(0, ALLOWED))
    assert end.receive(to_server(VOICE, 7, BODY)) == MediaUp(VOICE, 7, BODY)
    assert client.receive(to_client(VOICE, 7, 3, BODY)) == MediaDown(VOICE, 7, 3, BODY)
    assert end.receive(to_server(SCREEN, 7, b"x")) == MediaUp(SCREEN, 7, b"x")
    assert client.receive(to_client(SCREEN, 7, 3, b"x")) == MediaDown(SCREEN, 7, 3, b"x")


def test_no_media_frame_passes_before_the_login() -> None:
    event = refused(server().receive(to_server(VOICE, 1, BODY)))
    assert (event.code, event.close) == (ErrorCode.NOT_AUTHENTICATED, CloseCode.AUTH)
    end = server()
    client = ClientConnection(ALICE, HOST)
    answer(client, end.challenge())
    with pytest.raises(ProtocolError):
        client.receive(to_client(VOICE, 1, 1, BODY))


def test_malformed_media_counts_as_other_malformed_frames_do() -> None:
    end = logged_in()
    frames = (to_server(VOICE, 7, BODY) + b"x", b"junk", b"\x02\0\1")
    assert [refused(end.receive(frame)).close for frame in frames] == [None, None, CloseCode.PROTOCOL]


def test_the_client_refuses_malformed_media() -> None:
    end = server()
    client = ClientConnection(ALICE, HOST)
    end.receive(answer(client, end.challenge()))
    client.receive(end.welcome(0, ALLOWED))
    with pytest.raises(ProtocolError):
        client.receive(to_server(VOICE, 7, BODY))


@pytest.mark.parametrize("message_size", [512, 1 << 20])
def test_the_largest_media_frame_passes_however_small_messages_have_to_be(message_size: int) -> None:
    end = ServerConnection(SERVER_KEY, lambda _name: True, message_size)
    end.receive(answer(ClientConnection(ALICE, HOST), end.challenge()))
    frame = to_server(SCREEN, 1, bytes(limits.SCREEN_BODY))
    assert isinstance(end.receive(frame), MediaUp)
    assert isinstance(end.receive(frame + b"x"), Refusal)


def test_a_second_login_is_malformed() -> None:
    end = server()
    frame = answer(ClientConnection(ALICE, HOST), end.challenge())
    end.receive(frame)
    assert refused(end.receive(frame)).code == ErrorCode.MALFORMED


def test_welcome_needs_a_login() -> None:
    with pytest.raises(ProtocolError):
        server().welcome(0, ALLOWED)


def test_the_client_believes_nothing_before_the_proof() -> None:
    end = server()
    client = ClientConnection(ALICE, HOST)
    answer(client, end.challenge())
    with pytest.raises(ProtocolError, match="before it proved"):
        client.receive(codec.encode(m.Delivery(1, b"i" * 16, b"k" * 32, b"x")))


@pytest.mark.parametrize("signer", [SigningKey.generate(), None])
def test_a_false_proof_is_refused(signer: SigningKey | None) -> None:
    end = server()
    client = ClientConnection(ALICE, HOST)
    end.receive(answer(client, end.challenge()))
    signature = signer.sign(b"anything") if signer else SERVER_KEY.sign(b"mobium/1 server\0")
    with pytest.raises(ProtocolError) as caught:
        client.receive(codec.encode(m.AuthSuccess(0, ALLOWED, signature)))
    assert caught.value.code == ErrorCode.AUTH_FAILED


def test_the_client_says_what_the_server_refused() -> None:
    client = ClientConnection(ALICE, HOST)
    with pytest.raises(ServerRefused) as caught:
        client.receive(
            codec.encode(m.Error("too_many_connections", "Too many connections.", retry_after=3.0))
        )
    assert (caught.value.code, caught.value.retry_after) == ("too_many_connections", 3.0)


def test_the_server_cannot_begin_twice() -> None:
    end = server()
    client = ClientConnection(ALICE, HOST)
    end.receive(answer(client, end.challenge()))
    client.receive(end.welcome(0, ALLOWED))
    with pytest.raises(ProtocolError, match="second login"):
        client.receive(end.challenge())
