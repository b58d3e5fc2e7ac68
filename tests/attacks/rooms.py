"""Channels between people on the hostile server: a room with its members, and what a test asks of them.

Not its concern: the cheating (tests/support/hostile_channels.py), the people (tests/attacks/people.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mobium.client import MessageReceived, direct
from mobium.client.channels import Channel
from mobium.client.store import channels, outgoing, peers
from mobium.client.store.database import Row, Tx
from mobium.crypto.group import ReceiverKey
from mobium.crypto.invite import invite_key
from mobium.errors import CryptoError
from mobium.protocol import content
from mobium.protocol import messages as m
from mobium.protocol.roster import SEALED_SIZE, Kind, Roster, Signer, build, join_input
from mobium.signing import SigningKey
from tests.attacks.people import Person, Scene, bundle_of
from tests.support.engines import inside, online, tx, until
from tests.support.hostile_channels import Book

__all__ = [
    "Keyring",
    "Room",
    "channel_state",
    "distributes",
    "distribution_of",
    "evidence",
    "explained",
    "gather",
    "hand",
    "join",
    "keyed",
    "lines",
    "reconnected",
    "says_pairwise",
    "secret_of",
    "silent",
    "statement",
]

# What a person has of channels: everything but where the cursor stands.
_STATE = (
    "statement",
    "member",
    "claim",
    "spare_secret",
    "sender_chain",
    "handed",
    "receiver_chain",
    "closed",
    "gap",
    "post",
    "handout",
    "message",
)


@dataclass
class Room:
    """A channel of people who are in it, or were."""

    scene: Scene
    id: bytes
    people: list[Person]

    @property
    def name(self) -> str:
        """What it is called by everybody, whatever its name."""
        return f"#{self.id.hex()}"

    @property
    def book(self) -> Book:
        """The server's first book of it."""
        return self.scene.server.channels.book(self.id)

    @property
    def roster(self) -> Roster:
        """As it stands there."""
        return self.book.roster

    async def says(self, who: Person, text: str, until: str | None = "sent") -> str:
        """Send a text and wait until it is sent; returns its content id."""
        content_id = await who.engine.send(self.name, text)
        if until is not None:
            await who.engine.wait(content_id, until, timeout=15)  # type: ignore[arg-type]
        return content_id

    async def hear(self, text: str, *people: Person) -> None:
        """These people are shown a text next, and no other before it."""
        for person in people:
            event = await person.ear.next(MessageReceived)
            assert (event.text, event.channel is not None) == (text, True), f"{person.name}: {event}"

    async def told(self, who: Person, text: str, *people: Person) -> None:
        """Somebody says something, and these people are shown it next."""
        await self.says(who, text)
        await self.hear(text, *people)

    async def at(self, who: Person) -> Channel:
        """The channel as somebody sees it."""
        return await who.engine.channels.get(self.name)

    async def held(self, who: Person) -> None:
        """Wait until somebody has heard of another list than his, so that nothing leaves him."""
        await until(lambda: tx(who.engine, lambda tx: bool(tx.value("SELECT count(*) FROM claim"))))

    async def reached(self, number: int, *people: Person) -> None:
        """Wait until these people have taken everything up to a number."""

        async def so() -> bool:
            return all([await tx(person.engine, _cursor, self.id) >= number for person in people])

        await until(so)

    async def caught_up(self, *people: Person) -> None:
        """Wait until these people have taken everything in their books."""
        for person in people:
            book = self.scene.server.channels.book(self.id, person.key)
            seen = book.seen_by(person.key)
            assert seen is not None
            await self.reached(seen[-1].number, person)

    async def becomes(self, state: str, *people: Person) -> None:
        """Wait until these people see the channel in that state."""

        async def so() -> bool:
            return all([(await self.at(person)).state == state for person in people])

        await until(so)

    async def texts(self, who: Person) -> list[str | None]:
        """What somebody reads there, oldest first; without changes of the roster, and what stays closed."""
        return [text for kind, text in await lines(self, who) if kind == "text"]

    async def posted(self, who: Person, count: int) -> None:
        """Wait until somebody has sent so many messages there, taken or not."""
        server = self.scene.server
        await server.until(lambda: len(self.posts_of(who)) >= count, f"{count} messages of {who.name}")

    def posts_of(self, who: Person) -> list[m.ChannelPost]:
        """What somebody has sent there, taken or not."""
        return [
            post
            for sender, post in self.scene.server.channels.posted
            if (sender, post.channel_id) == (who.key, self.id)
        ]


async def lines(room: Room, who: Person) -> list[tuple[str, str | None]]:
    """(kind, text) of every line that somebody sees."""
    history = await who.engine.history(room.name, limit=500)
    return [(line.kind, line.text) for line in history]


async def gather(
    scene: Scene, *names: str, name: str = "garden", private: bool = True, people: Sequence[Person] = ()
) -> Room:
    """A channel of the first, which the others have joined; everybody has seen everybody come."""
    members = [*people, *[await scene.person(each) for each in names]]
    owner, *others = members
    channel = await owner.engine.create_channel(name, private)
    room = Room(scene, bytes.fromhex(channel.id), members)
    link = await owner.engine.invite(room.name, 0)
    for other in others:
        await other.engine.join(link)
    await room.caught_up(*members)
    return room


async def reconnected(person: Person) -> None:
    """Break a connection, and wait until it stands again and every channel was looked at."""
    parts = online(person.engine)
    parts.sync.listed.clear()
    await person.scene.server.cut(person.key)

    async def again() -> bool:
        parts.link.retry_now()
        return parts.sync.listed.is_set() and parts.link.online

    await until(again)


async def channel_state(person: Person) -> dict[str, list[Row]]:
    """Everything of channels that an attack must leave as it was."""

    def read(tx: Tx) -> dict[str, list[Row]]:
        return {table: sorted(tx.all(f"SELECT * FROM {table}"), key=repr) for table in _STATE}

    return await tx(person.engine, read)


async def evidence(person: Person) -> list[tuple[int, bytes, bytes]]:
    """What somebody keeps of a roster that did not add up."""
    return await tx(
        person.engine, lambda tx: [tuple(row) for row in tx.all("SELECT idx, mine, other FROM evidence")]
    )


def statement(
    room: Room, signer: Signer, kind: Kind, subject: bytes | None = None, data: bytes = b"", **fields: Any
) -> bytes:
    """A statement that follows on the newest of the server's first book, or on another `roster`."""
    roster: Roster = fields.get("roster", room.roster)
    return build(
        signer, kind, roster.channel_id, roster.index + 1, roster.head, subject or signer.public, 1, data
    )


def keyed() -> bytes:
    """The data of a statement with a new secret that nobody is told."""
    return SigningKey.generate().public + os.urandom(SEALED_SIZE)


def join(room: Room, signer: Signer, secret: SigningKey, **fields: Any) -> bytes:
    """A join, with any invite key."""
    roster: Roster = fields.get("roster", room.roster)
    data = secret.sign(join_input(room.id, roster.head, signer.public))
    return statement(room, signer, Kind.JOIN, None, data, roster=roster)


async def secret_of(room: Room, person: Person) -> SigningKey:
    """The invite key that somebody knows."""
    row = await tx(person.engine, channels.by_key, room.id)
    assert row is not None
    assert row.secret is not None
    return invite_key(row.secret)


def _cursor(tx: Tx, key: bytes) -> int:
    row = channels.by_key(tx, key)
    return -1 if row is None else row.cursor


# ---------------------------------------------------------------- what members can do who keep to no rules


async def says_pairwise(writer: Person, reader: Person, what: content.Content) -> None:
    """Any content, in a direct message; returns when the server has it."""

    def queue(tx: Tx) -> None:
        peer = tx.value("SELECT id FROM peer WHERE ed = ?", reader.key)
        outgoing.add(tx, peer, content.encode(what), None, inside(writer.engine).now())

    server = writer.scene.server
    before = len(server.sent_by(writer.key))
    await tx(writer.engine, queue)
    writer.engine._wake()
    await server.until(lambda: len(server.sent_by(writer.key)) > before, "what was queued")


class Keyring:
    """Every sender key that somebody ever held; whoever keeps to no rules deletes none."""

    def __init__(self) -> None:
        self._states: set[tuple[bytes, bytes]] = set()

    async def copy(self, person: Person) -> Keyring:
        """Take what somebody holds now, beside what was taken before."""

        def read(tx: Tx) -> list[Row]:
            return tx.all("SELECT ed, state FROM receiver_chain JOIN peer ON peer.id = peer")

        self._states |= {(row[0], row[1]) for row in await tx(person.engine, read)}
        return self

    def of(self, sender: bytes) -> list[bytes]:
        """The states of somebody's chains."""
        return [state for ed, state in self._states if ed == sender]

    def opens(self, payloads: Iterable[tuple[bytes, bytes]]) -> list[str]:
        """The texts of these (sender, payload) that the keys open."""
        found = []
        for sender, payload in payloads:
            for state in self.of(sender):
                try:
                    plaintext, _ = ReceiverKey.from_bytes(state).decrypt(payload)
                except CryptoError:
                    continue
                received = content.decode(plaintext, "channel_message")
                assert isinstance(received, content.ChannelText)
                found.append(received.text)
                break
        return found


def distribution_of(state: bytes, **fields: bytes) -> bytes:
    """A distribution of the chain that is stored as `state` (a reader's), under the same roster."""
    place = state[2:106]
    channel, roster, key_id = place[:32], place[64:100], place[100:104]
    number, chain_key, public = state[110:114], state[114:146], state[146:178]
    parts = {
        "version": b"\x01", "channel": channel, "key_id": key_id, "number": number, "chain_key": chain_key,
        "public": public, "roster": roster, "nickname": b"\0",
    }  # fmt: skip
    return b"".join((parts | fields).values())


async def distributes(writer: Person, reader: Person, room: Room, data: bytes) -> None:
    """Hand out any distribution in the session with a reader, by way of the server; returns when the reader
    has taken it.
    """

    def encrypt(tx: Tx) -> bytes:
        now = inside(writer.engine).now()
        peer = peers.by_key(tx, reader.key) or peers.add(tx, reader.key, "unknown", now)
        held = direct.active(tx, peer, now)
        if held is None:
            held = direct.begin(tx, inside(writer.engine).identity, peer, bundle_of(reader), now)
        given = content.encode(content.Distribution(os.urandom(16), 0, data))
        return direct.encrypt(tx, held, given, now)

    await hand(writer, reader, room.id, await tx(writer.engine, encrypt))


async def hand(writer: Person, reader: Person, channel: bytes | None, payload: bytes) -> None:
    """Deliver a payload as a distribution for a channel (None: as a direct message) and wait until it is
    acknowledged.
    """
    await writer.scene.server.channels.hand(writer.key, reader.key, channel, payload)
    await writer.scene.server.drained(reader.key)


async def silent(room: Room, who: Person, text: str) -> str:
    """A text that must not leave, while one to another channel does; returns its id."""
    server = room.scene.server
    other = await gather(room.scene, name=f"other {os.urandom(4).hex()}", people=[who])
    before = len(room.posts_of(who)), len(server.channels.handed)
    content_id = await room.says(who, text, until=None)
    await other.says(who, "elsewhere")
    assert (len(room.posts_of(who)), len(server.channels.handed)) == before
    return content_id


async def explained(who: Person, content_id: str) -> str:
    """Why a text has not left, in words, once there is a word."""

    async def so() -> bool:
        return bool((await who.engine.message(content_id)).reason)

    await until(so)
    message = await who.engine.message(content_id)
    assert message.state == "queued"
    return message.reason
