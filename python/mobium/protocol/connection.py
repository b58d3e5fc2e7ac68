"""The two ends of a connection without I/O: bytes in, events out; frame rules and the login
(docs/PROTOCOL.md, docs/CRYPTO.md section 9).

A `ServerConnection` or `ClientConnection` owns no socket, clock or task. Whoever pumps it hands in the
binary messages of one WebSocket in order, writes what the events say, and closes when told. Not its
concern: what a request does, rates, keepalive, delivery tags.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mobium.errors import InvalidInput, ProtocolError, ServerKeyChanged, ServerRefused, SignatureError
from mobium.protocol import codec, limits, version
from mobium.protocol.codes import CloseCode, ErrorCode, sentence
from mobium.protocol.handshake import binding_input, client_input, server_input
from mobium.protocol.host import split_host
from mobium.protocol.media_frames import MediaDown, MediaUp, is_media, read_down, read_up
from mobium.protocol.messages import (
    Auth,
    AuthChallenge,
    AuthSuccess,
    ClientMessage,
    Error,
    Limits,
    ServerMessage,
)
from mobium.signing import SigningKey, verify

__all__ = [
    "Answer",
    "ClientConnection",
    "LoggedIn",
    "Refusal",
    "ServerConnection",
    "Signer",
    "Welcome",
]


class Signer(Protocol):
    """What a login needs of an identity."""

    @property
    def public(self) -> bytes:
        """Ed25519 public key, 32 bytes."""

    @property
    def x_public(self) -> bytes:
        """X25519 public key, 32 bytes."""

    @property
    def binding(self) -> bytes:
        """Signature that binds the two, 64 bytes."""

    def sign(self, data: bytes) -> bytes:
        """The 64-byte signature over `data`."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A client has proved who it is; answer with `ServerConnection.welcome`."""

    identity: bytes
    x_public: bytes
    binding: bytes
    device: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Send `frame`; then, if `close` is a code, close the socket with it."""

    frame: bytes
    code: ErrorCode
    close: CloseCode | None = None


class ServerConnection:
    """The server's end. `accepts_host(name)` decides the names that this server answers to."""

    def __init__(
        self,
        server_key: SigningKey,
        accepts_host: Callable[[str], bool],
        message_size: int,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._server_key = server_key
        self._accepts_host = accepts_host
        self._limit = limits.PREAUTH_FRAME
        self._open_limit = max(message_size + limits.FRAME_OVERHEAD, limits.MAX_MEDIA_FRAME)
        self._nonce = entropy(limits.NONCE_SIZE)
        self._auth: Auth | None = None
        self._malformed = 0

    @property
    def nonce(self) -> bytes:
        """The nonce of this login, 32 bytes, which a proof of knowledge signs."""
        return self._nonce

    @property
    def frame_limit(self) -> int:
        """The largest frame that may come now, bytes."""
        return self._limit

    def challenge(self) -> bytes:
        """The first frame to send."""
        return codec.encode(AuthChallenge(self._nonce, self._server_key.public, list(version.VERSIONS)))

    def receive(self, data: bytes) -> LoggedIn | ClientMessage | MediaUp | Refusal:
        """Take one binary message. What an authenticated client asks for, and a media frame, come as they
        are: who may send a frame is not known here.
        """
        if len(data) > self._limit:
            return self.refuse(ErrorCode.TOO_LARGE, close=CloseCode.PROTOCOL)
        try:
            if is_media(data):
                media = read_up(data)
                if self._auth is not None:
                    return media
                return self.refuse(ErrorCode.NOT_AUTHENTICATED, close=CloseCode.AUTH)
            message = codec.decode_client(data)
        except ProtocolError as error:
            return self.malformed(ErrorCode(error.code))
        if self._auth is not None:
            if isinstance(message, Auth):
                return self.malformed(ErrorCode.MALFORMED)
            return message
        if not isinstance(message, Auth):
            return self.refuse(ErrorCode.NOT_AUTHENTICATED, close=CloseCode.AUTH)
        return self._log_in(message)

    def malformed(self, code: ErrorCode = ErrorCode.MALFORMED, rid: int | None = None) -> Refusal:
        """Count a frame that breaks the rules; the third one closes, and before the login the first one
        does.
        """
        self._malformed += 1
        if self._auth is None:
            return self.refuse(code, close=CloseCode.AUTH)
        close = CloseCode.PROTOCOL if self._malformed >= limits.MALFORMED_LIMIT else None
        return self.refuse(code, rid=rid, close=close)

    @staticmethod
    def refuse(code: ErrorCode, *, rid: int | None = None, close: CloseCode | None = None) -> Refusal:
        """The refusal with this code."""
        return Refusal(codec.encode(Error(code.value, sentence(code), rid)), code, close)

    def _log_in(self, auth: Auth) -> LoggedIn | Refusal:
        if auth.version not in version.VERSIONS:
            return self.refuse(ErrorCode.UNSUPPORTED_VERSION, close=CloseCode.AUTH)
        try:
            name, _ = split_host(auth.host)
        except InvalidInput:
            return self.refuse(ErrorCode.MALFORMED, close=CloseCode.AUTH)
        signed = client_input(
            self._nonce, auth.nonce, self._server_key.public, auth.pubkey, auth.x25519_pub, auth.host
        )
        try:
            verify(auth.pubkey, auth.signature, signed)
            verify(auth.pubkey, auth.binding, binding_input(auth.x25519_pub))
        except SignatureError:
            return self.refuse(ErrorCode.AUTH_FAILED, close=CloseCode.AUTH)
        if not self._accepts_host(name):
            return self.refuse(ErrorCode.WRONG_HOST, close=CloseCode.AUTH)
        self._auth = auth
        self._limit = self._open_limit
        return LoggedIn(auth.pubkey, auth.x25519_pub, auth.binding, auth.device)

    def welcome(self, offline_count: int, allowed: Limits) -> bytes:
        """The frame that answers a login. Raises ProtocolError before one."""
        auth = self._auth
        if auth is None:
            raise ProtocolError("Nobody has logged in on this connection.", ErrorCode.NOT_AUTHENTICATED)
        signature = self._server_key.sign(server_input(self._nonce, auth.nonce, auth.pubkey, auth.host))
        return codec.encode(AuthSuccess(offline_count, allowed, signature))


@dataclass(frozen=True, slots=True)
class Answer:
    """Send `frame`: it answers the challenge."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    """The server has proved that it holds `server_key` (32 bytes); the connection is open.

    `nonce` (32 bytes) is the server's for this login.
    """

    server_key: bytes
    offline_count: int
    limits: Limits
    nonce: bytes


class ClientConnection:
    """The client's end.

    `host` is the canonical form of what was dialled; `pinned` the server's key if it is known already (32
    bytes).
    """

    def __init__(
        self,
        identity: Signer,
        host: str,
        pinned: bytes | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._identity = identity
        self._host = host
        self._pinned = pinned
        self._nonce = entropy(limits.NONCE_SIZE)
        self._challenge: AuthChallenge | None = None
        self._open = False

    def receive(self, data: bytes) -> Answer | Welcome | ServerMessage | MediaDown:
        """Take one binary message, which is a media frame or a message.

        Raises ProtocolError for a frame that breaks the protocol, ServerKeyChanged for a server that is
        not the pinned one, and ServerRefused for a login that is refused. After any of them before the
        login the socket must be closed.
        """
        if self._open and is_media(data):
            return read_down(data)
        message = codec.decode_server(data)
        if self._open:
            if isinstance(message, AuthChallenge | AuthSuccess):
                raise ProtocolError("The server began a second login.")
            return message
        if isinstance(message, Error):
            raise ServerRefused(message.code, message.text, message.retry_after)
        if self._challenge is None:
            return self._answer(message)
        return self._believe(message, self._challenge)

    def _answer(self, message: ServerMessage) -> Answer:
        if not isinstance(message, AuthChallenge):
            raise ProtocolError("The server did not begin with a challenge.")
        if self._pinned is not None and message.server_key != self._pinned:
            raise ServerKeyChanged(self._pinned, message.server_key)
        chosen = version.choose(message.versions)
        if chosen is None:
            raise ServerRefused(ErrorCode.UNSUPPORTED_VERSION, sentence(ErrorCode.UNSUPPORTED_VERSION))
        self._challenge = message
        me = self._identity
        signed = client_input(
            message.nonce, self._nonce, message.server_key, me.public, me.x_public, self._host
        )
        auth = Auth(me.public, me.x_public, me.binding, self._nonce, self._host, chosen, 1, me.sign(signed))
        return Answer(codec.encode(auth))

    def _believe(self, message: ServerMessage, challenge: AuthChallenge) -> Welcome:
        if not isinstance(message, AuthSuccess):
            raise ProtocolError("The server sent something else before it proved who it is.")
        signed = server_input(challenge.nonce, self._nonce, self._identity.public, self._host)
        try:
            verify(challenge.server_key, message.signature, signed)
        except SignatureError as error:
            raise ProtocolError(
                "The server did not prove that it holds its key.", ErrorCode.AUTH_FAILED
            ) from error
        self._open = True
        return Welcome(challenge.server_key, message.offline_count, message.limits, challenge.nonce)
