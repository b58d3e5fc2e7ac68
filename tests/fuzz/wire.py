"""Fuzz targets of what comes over the wire: frames, logins, contents, rosters, media."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import Final

from mobium.errors import (
    Invalid,
    ProtocolError,
    ServerKeyChanged,
    ServerRefused,
)
from mobium.media import description, fragments
from mobium.media.screen import read_vp8
from mobium.protocol import codec, content, media_frames, messages, statement
from mobium.protocol.connection import (
    Answer,
    ClientConnection,
    LoggedIn,
    Refusal,
    ServerConnection,
    Welcome,
)
from mobium.protocol.handshake import binding_input, client_input, server_input
from mobium.protocol.limits import MALFORMED_LIMIT, MAX_MEMBERS
from mobium.protocol.media_frames import MediaDown, MediaUp
from mobium.protocol.roster import ZEROS, Kind, Role, Roster, RosterError
from mobium.signing import SIGNATURE_SIZE, SigningKey
from tests.fuzz.drawn import Input, text

HOST: Final = "chat.example.org:443"
SERVER: Final = SigningKey.from_seed(bytes(32))
KEYS: Final = [SigningKey.from_seed(sha256(bytes((number,))).digest()) for number in range(6)]
CLASSES: Final = ("message", "channel_message", "sender_key_distribution", "voice_signal", "nothing")
LIMITS: Final = messages.Limits(65_536, 100, 3_600, 10.0, 20, 30.0)


class Person:
    """Whoever logs in: an identity whose X25519 key nobody uses."""

    key = KEYS[0]
    x_public = bytes(31) + b"\1"

    @property
    def public(self) -> bytes:
        return self.key.public

    @property
    def binding(self) -> bytes:
        return self.key.sign(binding_input(self.x_public))

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)


def codecs(data: bytes) -> None:
    """What is read of a frame, from either side, is written and read again as the same."""
    for decode in (codec.decode_client, codec.decode_server):
        with suppress(ProtocolError):
            written = codec.encode(decode(data))
            assert codec.encode(decode(written)) == written


def contents(data: bytes) -> None:
    """What is read of a content is written and read again as the same, in its own class of frames."""
    drawn = Input(data)
    kind = CLASSES[drawn.number() % len(CLASSES)]
    with suppress(ProtocolError):
        found = content.decode(drawn.rest(), kind)
        if not isinstance(found, content.Unknown):
            written = content.encode(found)
            assert content.encode(_known(content.decode(written, kind))) == written


def _known(found: content.Content | content.Unknown) -> content.Content:
    assert not isinstance(found, content.Unknown)
    return found


def media(data: bytes) -> None:
    """A media frame that is read is written as it was."""
    with suppress(ProtocolError):
        assert media_frames.to_server(*media_frames.read_up(data)) == data
    with suppress(ProtocolError):
        assert media_frames.to_client(*media_frames.read_down(data)) == data


def server_connection(data: bytes) -> None:
    """The server's end takes frame after frame: nothing is asked for before a login, there is one login, and
    it ends with the third frame that breaks the rules.
    """
    drawn, person = Input(data), Person()
    server = ServerConnection(SERVER, lambda name: name == "chat.example.org", 65_536, bytes)
    logged_in, broken = False, 0
    if drawn.number() % 2:
        signed = client_input(server.nonce, bytes(32), SERVER.public, person.public, person.x_public, HOST)
        keys = (person.public, person.x_public, person.binding)
        login = messages.Auth(*keys, bytes(32), HOST, 1, 1, person.sign(signed))
        assert isinstance(server.receive(codec.encode(login)), LoggedIn)
        server.welcome(0, LIMITS)
        logged_in = True
    while drawn:
        found = server.receive(drawn.piece())
        if isinstance(found, Refusal):
            assert isinstance(codec.decode_server(found.frame), messages.Error)
            assert found.close is not None or logged_in
            broken += 1
            assert found.close is not None or broken < MALFORMED_LIMIT
            if found.close is not None:
                return
        elif isinstance(found, LoggedIn):
            assert not logged_in
            logged_in = True
        else:
            assert isinstance(found, MediaUp | messages.ClientMessage)
            assert not isinstance(found, messages.Auth)
            assert logged_in


def client_connection(data: bytes) -> None:
    """The client's end takes what a server sends: nothing but a server with its key is believed, and what
    breaks the rules is a ProtocolError.
    """
    drawn, person = Input(data), Person()
    client = ClientConnection(person, HOST, SERVER.public, bytes)
    welcome = False
    if drawn.number() % 2:
        challenge = messages.AuthChallenge(bytes(32), SERVER.public, [1])
        assert isinstance(client.receive(codec.encode(challenge)), Answer)
        proof = SERVER.sign(server_input(bytes(32), bytes(32), person.public, HOST))
        assert isinstance(client.receive(codec.encode(messages.AuthSuccess(0, LIMITS, proof))), Welcome)
        welcome = True
    with suppress(ProtocolError, ServerKeyChanged, ServerRefused):
        while drawn:
            found = client.receive(drawn.piece())
            assert not isinstance(found, Welcome)
            assert welcome or isinstance(found, Answer)
            assert not isinstance(found, MediaDown) or media_frames.body_ok(found.kind, len(found.body))


def statements(data: bytes) -> None:
    """A statement that is read says what its bytes say, and its repr nothing of what is sealed in it."""
    with suppress(RosterError):
        found = statement.parse(data)
        assert found.raw == data
        assert found.data + found.signature == data[-len(found.data) - SIGNATURE_SIZE :]
        assert (found.key is None) is (found.kind not in (Kind.CREATE, Kind.REMOVE, Kind.SECRET, Kind.BAN))
        assert repr(found) == f"Statement({found.kind.name}, {found.index})"


def roster(data: bytes) -> None:
    """Statements of anybody about anybody: each is refused or takes effect; there is one owner or, once that
    one has gone as the last member, none; a roster stays what it was; the chain loads as the same.
    """
    drawn = Input(data)
    access = drawn.number() % 2
    create = _statement(Kind.CREATE, ZEROS, 0, ZEROS, 0, 0, bytes((access,)) + KEYS[5].public + bytes(540))
    rosters, raws = [Roster.begin(create, verify=False)], [create]
    before = (dict(rosters[0].members), rosters[0].banned)
    while drawn and len(raws) < 64:
        now = rosters[-1]
        kind, actor, subject, more = drawn.take(4)
        found = Kind(1 + kind % len(Kind))
        subject = subject if found in (Kind.REMOVE, Kind.ROLE, Kind.BAN, Kind.UNBAN) else actor
        raw = _statement(
            found, now.channel_id, now.index + 1, now.head, actor, subject, _data(found, access, more)
        )
        with suppress(RosterError):
            rosters.append(now.append(raw, verify=False))
            raws.append(raw)
            assert rosters[-1].index == now.index + 1
        newest = rosters[-1]
        assert newest.size == len(newest.members) <= MAX_MEMBERS
        assert _owners(newest) <= _owners(now)
        assert not newest.banned & set(newest.members)
    assert (dict(rosters[0].members), rosters[0].banned) == before
    loaded = Roster.load(raws, verify=False)
    assert (loaded, loaded.members, loaded.banned) == (
        rosters[-1],
        rosters[-1].members,
        rosters[-1].banned,
    )
    assert list(loaded.heads) == [one.head for one in rosters]


def _owners(one: Roster) -> int:
    return list(one.members.values()).count(Role.OWNER)


def _data(kind: Kind, access: int, more: int) -> bytes:
    key = KEYS[more % len(KEYS)].public
    return {
        Kind.JOIN: bytes(SIGNATURE_SIZE * (1 - access)),
        Kind.REMOVE: key + bytes(540),
        Kind.ROLE: bytes((1 + more % 3,)),
        Kind.SECRET: key + bytes(540),
        Kind.NAMES: bytes(540),
        Kind.BAN: key + bytes(540),
    }.get(kind, b"")


def _statement(
    kind: Kind, channel: bytes, index: int, prev: bytes, actor: int, subject: int, data: bytes
) -> bytes:
    """A statement whose signature nobody looks at."""
    people = [KEYS[one % 5].public for one in (actor, subject)]
    head = bytes((1, kind)) + channel + index.to_bytes(4, "big") + prev + b"".join(people) + bytes(8)
    return head + len(data).to_bytes(2, "big") + data + bytes(SIGNATURE_SIZE)


def pictures(data: bytes) -> None:
    """Fragments of anybody: nothing raises, no more waits than may, and what is whole is cut as it came."""
    drawn, now = Input(data), 0.0
    reassembly = fragments.Reassembly()
    while drawn:
        sender, pause = drawn.take(2)
        now += pause / 64
        whole = reassembly.put(sender, drawn.piece(), now)
        assert 0 <= reassembly.size <= fragments.MOST_OF_ALL
        if whole is None:
            continue
        with suppress(Invalid):
            picture = fragments.read_picture(whole.data)
            assert fragments.write_picture(picture) == whole.data
            read_vp8(picture.encoded.data)


def descriptions(data: bytes) -> None:
    """A session description that is taken is exactly what would be written."""
    for kind in ("offer", "answer"):
        with suppress(ProtocolError):
            found = description.read(text(data), kind)
            assert description.write(found) == text(data)
