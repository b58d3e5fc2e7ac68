"""Members of a channel that cost little and are real to everybody else: a real identity, prekeys that begin a
real session, a signed statement of joining, and answers in the sessions that others begin.

Not its concern: engines, and what is measured.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence

from benches.load.harness import PATIENCE, Cheap, answer, kind, log_in_as
from mobium.client.join_links import JoinLink
from mobium.crypto import Identity, Session
from mobium.crypto.invite import invite_key
from mobium.crypto.prekeys import Prekeys, SignedPrekey
from mobium.protocol import codec, content
from mobium.protocol.content import RosterHead
from mobium.protocol.messages import (
    Accepted,
    AckDeliveries,
    Appended,
    Delivery,
    GetMembers,
    JoinChannel,
    PrekeyCount,
    PublishPrekeys,
    RosterPage,
    SendMessage,
    WirePrekey,
)
from mobium.protocol.roster import Kind, Roster, build, join_input, peek_input

__all__ = ["Crowd", "Member"]

AT_ONCE = 16  # logins that go on at the same time


class Member:
    """One of them. It has one one-time prekey of each kind, which serves one session."""

    def __init__(self) -> None:
        self.identity, _ = Identity.generate()
        self._prekeys = Prekeys.generate(self.identity, one_time=1, kem_one_time=1)
        self._session: Session | None = None
        self.socket: Cheap | None = None
        self.nonce = b""

    async def log_in(self, url: str) -> None:
        """Be connected."""
        self.socket, welcome = await log_in_as(url, self.identity)
        self.nonce = welcome.nonce

    def log_out(self) -> None:
        """Be gone."""
        if self.socket is not None:
            self.socket.transport.abort()
            self.socket = None

    async def publish(self) -> None:
        """Make it possible to write to this member."""
        assert self.socket is not None
        last, once = self._prekeys.bundle(take_one_time=False), self._prekeys.bundle()
        assert once.one_time is not None
        publication = PublishPrekeys(
            _wire(last.signed), _wire(last.kem), [_wire(once.one_time)], [_wire(once.kem)]
        )
        await answer(self.socket, publication, PrekeyCount)

    def statement(self, roster: Roster, link: JoinLink) -> bytes:
        """The join that follows on a roster."""
        assert link.secret is not None
        signed = join_input(roster.channel_id, roster.head, self.identity.public)
        return build(
            self.identity, Kind.JOIN, roster.channel_id, roster.index + 1, roster.head, self.identity.public,
            int(time.time() * 1000), invite_key(link.secret).sign(signed),
        )  # fmt: skip

    async def reply(self, url: str, peer: bytes, about: Roster) -> int:
        """Log in, open what `peer` (32 bytes) has sent, answer in its session, and be gone; returns how much
        there was.
        """
        deliveries: list[Delivery] = []
        arrived = asyncio.Event()

        def on_frames(frames: list[bytes]) -> None:
            deliveries.extend(message for message in map(kind, frames) if isinstance(message, Delivery))
            arrived.set()

        socket, welcome = await log_in_as(url, self.identity, on_frames)
        async with asyncio.timeout(PATIENCE):
            while len(deliveries) < welcome.offline_count:
                arrived.clear()
                await arrived.wait()
        for delivery in deliveries:
            if delivery.sender == peer:
                self._open(delivery.payload, peer)
        if deliveries:
            socket.send(codec.encode(AckDeliveries(deliveries[-1].tag)))
        assert self._session is not None
        told = RosterHead(os.urandom(16), int(time.time() * 1000), about.channel_id, about.index, about.head)
        payload, self._session = self._session.encrypt(content.encode(told))
        await answer(socket, SendMessage(os.urandom(16), peer, payload), Accepted)
        socket.transport.abort()
        return len(deliveries)

    def _open(self, payload: bytes, peer: bytes) -> None:
        if self._session is None:
            _, self._session, _ = Session.accept(self.identity, self._prekeys, payload, sender=peer)
        else:
            _, self._session = self._session.decrypt(payload)


class Crowd:
    """Members who come into a channel one after the other, and its roster as they know it."""

    def __init__(self, url: str, link: JoinLink) -> None:
        self._url = url
        self._link = link
        self.members: list[Member] = []
        self.roster: Roster

    async def arrive(self, number: int) -> list[Member]:
        """So many more log in and publish; they are no members yet."""
        arriving = [Member() for _ in range(number)]

        async def one(member: Member) -> None:
            await member.log_in(self._url)
            await member.publish()

        await for_each(arriving, one)
        return arriving

    async def join(self, arriving: Sequence[Member]) -> None:
        """They come in, each on the head that the one before has made."""
        link = self._link
        for member in arriving:
            assert member.socket is not None
            if not self.members:
                await self._look(member)
            raw = member.statement(self.roster, link)
            await answer(member.socket, JoinChannel(raw, link.invite), Appended)
            self.roster = self.roster.append(raw, verify=False)
            self.members.append(member)

    async def _look(self, member: Member) -> None:
        assert member.socket is not None
        assert self._link.secret is not None
        signed = peek_input(self._link.channel_id, member.identity.public, member.nonce)
        proof = invite_key(self._link.secret).sign(signed)
        asked = GetMembers(self._link.channel_id, 0, proof, self._link.invite)
        page = await answer(member.socket, asked, RosterPage)
        self.roster = Roster.load(page.statements)

    async def reply(self, peer: bytes, members: Sequence[Member]) -> None:
        """Everybody in `members` answers `peer` once."""
        await for_each(members, lambda member: member.reply(self._url, peer, self.roster))

    def log_out(self) -> None:
        """All of them are gone."""
        for member in self.members:
            member.log_out()


async def for_each(members: Sequence[Member], work: Callable[[Member], Awaitable[object]]) -> None:
    """Do something with all of them, a few at a time."""
    for start in range(0, len(members), AT_ONCE):
        await asyncio.gather(*(work(member) for member in members[start : start + AT_ONCE]))


def _wire(prekey: SignedPrekey) -> WirePrekey:
    return WirePrekey(prekey.id, prekey.expires, prekey.public, prekey.signature)
