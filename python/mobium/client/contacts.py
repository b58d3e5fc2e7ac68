"""Contacts: whom the user knows, by what name, how surely, and who is kept out.

Not its concern: keeping what is known (`mobium.client.store.peers`) and sending.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from datetime import datetime

import msgspec

from mobium.client import names
from mobium.client.chains import withhold_chains
from mobium.client.core import Core
from mobium.client.events import from_ms
from mobium.client.maintenance import forget_peer
from mobium.client.store import incoming, messages, peers
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer, Trust
from mobium.crypto.identity import Identity
from mobium.crypto.safety import format_groups, safety_number
from mobium.errors import InvalidInput

__all__ = ["Contact", "Contacts", "accept_peer", "resolve"]


class Contact(msgspec.Struct, frozen=True):
    """Somebody this profile knows. `key` is the identity in hex.

    `trust` is "unverified", "verified" after the safety numbers were compared, or "changed" while another key
    waits to be accepted; `request` is true for a stranger who wrote first and was not answered.
    """

    key: str
    nickname: str | None
    trust: Trust
    request: bool
    blocked: bool
    added_at: datetime

    @property
    def name(self) -> str:
        """The nickname, or the beginning of the key."""
        return self.nickname or self.key[:16]


class Contacts:
    """The contacts of an open engine. `changed()` is called after every change."""

    def __init__(self, core: Core, changed: Callable[[], None]) -> None:
        self._core = core
        self._changed = changed

    async def add(self, peer: bytes | str, nickname: str | None = None) -> Contact:
        """Make a peer (32 bytes, hex, or a contact link) a contact; one who waited as a request is accepted.

        Raises InvalidInput for what names nobody, one's own key, or a nickname that is refused or taken.
        """
        return await self._run(_add, self._core.identity, peer, nickname, self._core.now())

    async def list(self) -> list[Contact]:
        """Every contact, in the order in which they were met, and whoever is blocked."""
        return await self._core.store.run(_contacts)

    async def requests(self) -> builtins.list[Contact]:
        """The strangers who wrote and were not answered; what they wrote is in the history."""
        return await self._core.store.run(_requests)

    async def get(self, peer: bytes | str) -> Contact:
        """One contact, or somebody who waits as a request. Raises InvalidInput if there is none."""
        return await self._run(_get, peer)

    async def rename(self, peer: bytes | str, nickname: str | None) -> Contact:
        """Give a contact another nickname, or none. Raises InvalidInput."""
        return await self._run(_rename, peer, nickname)

    async def accept(self, peer: bytes | str) -> Contact:
        """Take a request: from now on this is a contact, and learns that the messages arrived."""
        return await self._run(_accept, peer, self._core.now())

    async def decline(self, peer: bytes | str) -> None:
        """Delete a request and what came with it."""
        await self._run(_decline, peer)

    async def block(self, peer: bytes | str) -> Contact:
        """Take nothing from this peer any more, and send nothing."""
        return await self._run(_set_blocked, peer, True)

    async def unblock(self, peer: bytes | str) -> Contact:
        """Undo `block`; what was sent meanwhile is gone."""
        return await self._run(_set_blocked, peer, False)

    async def verify(self, peer: bytes | str, number: str | None = None) -> Contact:
        """Mark a contact as verified: the safety numbers were compared and are equal.

        `number` is the other side's, if it was read or scanned; blanks do not matter. Raises InvalidInput if
        it differs, if the key has changed, or if there was no exchange with the contact yet.
        """
        return await self._run(_verify, self._core.identity, peer, number)

    async def unverify(self, peer: bytes | str) -> Contact:
        """Take the mark back."""
        return await self._run(_unverify, peer)

    async def accept_key(self, peer: bytes | str, number: str | None = None) -> Contact:
        """Accept the other key of a contact whose key has changed; it is unverified then, and messages go out
        again.

        `number` is the safety number that was shown or compared; without it, whatever key is offered by now
        is accepted. Raises InvalidInput if the number is another one by now, or if no key waits.
        """
        return await self._run(_accept_key, self._core.identity, peer, number)

    async def safety_number(self, peer: bytes | str, *, groups: bool = True) -> str:
        """The safety number with a contact: 60 digits, in groups of five unless told otherwise.

        Raises InvalidInput before the first exchange with the contact, when its second key is not known yet.
        """
        found = await self._core.store.run(_pinned, peer)
        number = _number(self._core.identity, found)
        return format_groups(number) if groups else number

    async def _run(self, work: Callable[..., Contact], *args: object) -> Contact:
        try:
            return await self._core.store.run(work, *args)
        finally:
            self._changed()  # even if the caller gave up: a transaction that has begun is not undone


def resolve(tx: Tx, peer: bytes | str) -> tuple[bytes, Peer | None]:
    """The identity (32 bytes) that `peer` names, and its row if it was met. Raises InvalidInput."""
    key = names.peer_key(peer)
    if key is not None:
        return key, peers.by_key(tx, key)
    assert isinstance(peer, str)
    found = peers.by_nickname(tx, names.nickname_key(peer))
    if found is None:
        raise InvalidInput(f"There is no contact with the nickname {names.quoted(peer)}.")
    return found.ed, found


def accept_peer(tx: Tx, peer: Peer, now: int) -> Peer:
    """Make a peer a contact. It learns that what it wrote before arrived."""
    if peer.relation == "contact":
        return peer
    for content_id in messages.received_contents(tx, peer.id):
        incoming.owe_receipt(tx, peer.id, content_id, "delivered", now)
    return peers.update(tx, peer, relation="contact")


def _known(tx: Tx, peer: bytes | str) -> Peer:
    _, found = resolve(tx, peer)
    if found is None or found.relation == "unknown":
        raise InvalidInput("This key belongs to nobody among the contacts; add it first.")
    return found


def _contact(peer: Peer) -> Contact:
    return Contact(
        peer.key,
        peer.nickname,
        peer.trust,
        peer.relation == "request",
        peer.blocked,
        from_ms(peer.added_at * 1000),
    )


def _add(tx: Tx, identity: Identity, peer: bytes | str, nickname: str | None, now: int) -> Contact:
    key = names.peer_key(peer)
    if key is None:
        raise InvalidInput("A contact is added by a key of 64 hexadecimal digits or a contact link.")
    if key == identity.public:
        raise InvalidInput("This is your own key.")
    found = peers.by_key(tx, key)
    found = peers.add(tx, key, "contact", now) if found is None else accept_peer(tx, found, now)
    return _contact(found if nickname is None else _name(tx, found, nickname))


def _name(tx: Tx, peer: Peer, nickname: str | None) -> Peer:
    if nickname is None:
        return peers.update(tx, peer, nickname=None, nickname_key=None)
    name = names.check_nickname(nickname)
    key = names.nickname_key(name)
    other = peers.by_nickname(tx, key)
    if other is not None and other.id != peer.id:
        raise InvalidInput(f"The nickname {names.quoted(name)} belongs to another contact already.")
    return peers.update(tx, peer, nickname=name, nickname_key=key)


def _contacts(tx: Tx) -> list[Contact]:
    met = peers.every(tx, "contact", "request")
    return [_contact(peer) for peer in met if peer.blocked or peer.relation == "contact"]


def _requests(tx: Tx) -> list[Contact]:
    return [_contact(peer) for peer in peers.every(tx, "request") if not peer.blocked]


def _get(tx: Tx, peer: bytes | str) -> Contact:
    return _contact(_known(tx, peer))


def _rename(tx: Tx, peer: bytes | str, nickname: str | None) -> Contact:
    return _contact(_name(tx, _known(tx, peer), nickname))


def _accept(tx: Tx, peer: bytes | str, now: int) -> Contact:
    return _contact(accept_peer(tx, _known(tx, peer), now))


def _decline(tx: Tx, peer: bytes | str) -> Contact:
    found = _known(tx, peer)
    if found.relation != "request":
        raise InvalidInput("Only a request can be declined; a contact can be blocked.")
    forget_peer(tx, found.id)
    return _contact(found)


def _set_blocked(tx: Tx, peer: bytes | str, blocked: bool) -> Contact:
    found = _known(tx, peer)
    if blocked:
        withhold_chains(tx, found.id)
    return _contact(peers.update(tx, found, blocked=blocked))


def _pinned(tx: Tx, peer: bytes | str) -> Peer:
    found = _known(tx, peer)
    if found.x is None:
        raise InvalidInput(
            "There was no exchange with this contact yet, so there is no safety number to compare."
        )
    return found


def _number(identity: Identity, peer: Peer) -> str:
    # While another key waits to be accepted, that one is what there is to compare.
    x = peer.offered_x if peer.trust == "changed" else peer.x
    assert x is not None
    return safety_number(identity.public, identity.x_public, peer.ed, x)


def _equal(number: str | None, identity: Identity, peer: Peer) -> bool:
    return number is None or "".join(number.split()) == _number(identity, peer)


def _verify(tx: Tx, identity: Identity, peer: bytes | str, number: str | None) -> Contact:
    found = _pinned(tx, peer)
    if found.trust == "changed":
        raise InvalidInput("This contact's key has changed; accept the new key before you verify it.")
    if not _equal(number, identity, found):
        raise InvalidInput("The safety numbers differ, so somebody may sit between you and this contact.")
    return _contact(peers.update(tx, found, trust="verified"))


def _unverify(tx: Tx, peer: bytes | str) -> Contact:
    found = _known(tx, peer)
    return _contact(found if found.trust != "verified" else peers.update(tx, found, trust="unverified"))


def _accept_key(tx: Tx, identity: Identity, peer: bytes | str, number: str | None) -> Contact:
    found = _known(tx, peer)
    if found.trust != "changed" or found.offered_x is None:
        raise InvalidInput("This contact's key has not changed.")
    if not _equal(number, identity, found):
        raise InvalidInput("This contact's key has changed once more; look at the safety number again.")
    accepted = peers.update(tx, found, x=found.offered_x, offered_x=None, trust="unverified")
    for held in list(tx.sessions.of(tx, found.id).values()):
        tx.sessions.remove(tx, held)  # they are bound to the key that was given up
    for row in messages.queued(tx, found.id):
        messages.set_state(tx, row, "queued")
    return _contact(accepted)
