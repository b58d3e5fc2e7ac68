"""Prekeys: published, handed out, counted (docs/CRYPTO.md section 3). Not here: whether their signatures
verify, which whoever uses them checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mobium.protocol.codes import ErrorCode
from mobium.protocol.messages import (
    GetPrekeyBundle,
    GetPrekeyCount,
    PrekeyBundle,
    PrekeyCount,
    PublishPrekeys,
    WirePrekey,
)
from mobium_server.pace import FULL_AFTER, RETRY_AFTER
from mobium_server.storage.base import BadPrekeys, Bundle, Prekey, Publication, Stock

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["bundle", "count", "publish"]

X25519_SIZE = 32
KEM_SIZE = 1_568  # an ML-KEM-1024 public key


def publish(hub: Hub, session: Session, message: PublishPrekeys) -> None:
    """Store new prekeys, with `reset` in the place of all older ones; answered by the stock."""
    x_keys = [*message.one_time, *([message.signed] if message.signed else ())]
    kem_keys = [*message.kem_one_time, *([message.last_resort] if message.last_resort else ())]
    if any(len(key.public) != X25519_SIZE for key in x_keys) or any(
        len(key.public) != KEM_SIZE for key in kem_keys
    ):
        session.refuse(ErrorCode.BAD_PREKEYS, rid=message.rid)
        return
    if not session.desk.known:
        if hub.space.low:
            session.refuse(ErrorCode.STORAGE, rid=message.rid, retry_after=FULL_AFTER)
            return
        wait = hub.newcomer(session.line.address)
        if wait:
            hub.counters.limited += 1
            session.refuse(ErrorCode.RATE_LIMITED, rid=message.rid, retry_after=wait)
            return
    publication = Publication(
        x_public=session.login.x_public,
        binding=session.login.binding,
        signed=_stored(message.signed),
        last_resort=_stored(message.last_resort),
        one_time=[_prekey(key) for key in message.one_time],
        kem_one_time=[_prekey(key) for key in message.kem_one_time],
        reset=message.reset,
    )

    def done(stock: Stock | None, error: Exception | None) -> None:
        if stock is not None:
            # Whoever can be written to is forwarded to from now on; what came before waits in memory or in
            # rows.
            session.desk.known = True
        _answer_stock(session, message.rid, stock, error)

    hub.jobs.submit(done, hub.storage.publish, session.identity, publication, hub.clock.wall())


def count(hub: Hub, session: Session, message: GetPrekeyCount) -> None:
    """Say how many one-time prekeys are left."""

    def done(stock: Stock | None, error: Exception | None) -> None:
        _answer_stock(session, message.rid, stock, error)

    hub.jobs.submit(done, hub.storage.stock, session.identity, hub.clock.wall())


def bundle(hub: Hub, session: Session, message: GetPrekeyBundle) -> None:
    """Hand out a bundle; within the limits with one-time keys, beyond them with the last-resort key."""
    one_time = hub.hand_outs.take(session.identity, message.pubkey)

    def done(found: Bundle | None, error: Exception | None) -> None:
        if found is None:
            if one_time:
                hub.hand_outs.give_back(session.identity, message.pubkey)
            _refuse(session, message.rid, error, ErrorCode.NO_PREKEYS)
            return
        hub.counters.bundles += 1
        session.reply(
            PrekeyBundle(
                pubkey=message.pubkey,
                x25519_pub=found.x_public,
                binding=found.binding,
                signed=_wire(found.signed),
                kem=_wire(found.kem_one_time or found.last_resort),
                kem_kind=1 if found.kem_one_time else 2,
                one_time=_wire(found.one_time) if found.one_time else None,
                rid=message.rid,
            )
        )

    hub.jobs.submit(done, hub.storage.bundle, message.pubkey, one_time, hub.clock.wall())


def _answer_stock(session: Session, rid: int | None, stock: Stock | None, error: Exception | None) -> None:
    if stock is None:
        _refuse(session, rid, error, ErrorCode.BAD_PREKEYS)
    else:
        session.reply(PrekeyCount(*stock, rid=rid))


def _refuse(session: Session, rid: int | None, error: Exception | None, code: ErrorCode) -> None:
    if error is None or isinstance(error, BadPrekeys):
        session.refuse(code, rid=rid)
    else:
        session.refuse(ErrorCode.STORAGE, rid=rid, retry_after=RETRY_AFTER)


def _prekey(key: WirePrekey) -> Prekey:
    return Prekey(key.id, key.expires, key.public, key.signature)


def _stored(key: WirePrekey | None) -> Prekey | None:
    return None if key is None else _prekey(key)


def _wire(key: Prekey) -> WirePrekey:
    return WirePrekey(*key)
