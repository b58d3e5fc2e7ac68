"""Prekey upkeep: what this identity publishes, so that others can begin sessions with it while it is away
(docs/CRYPTO.md section 3).

Keys are stored before they are published. What the server may have taken is never published twice; if nobody
knows, the keys stay here and newer ones go out. Not its concern: beginning sessions, and deleting one-time
keys that were used (`mobium.client.direct`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mobium.client.bundles import to_wire
from mobium.client.core import Core, Request
from mobium.client.store import meta, prekeys
from mobium.client.store.database import Tx
from mobium.crypto.identity import Identity
from mobium.crypto.prekeys import LIFETIME, SLACK, PrekeyKind, SignedPrekey, generate
from mobium.errors import ProtocolError
from mobium.protocol import limits
from mobium.protocol.messages import (
    GetPrekeyCount,
    PrekeyCount,
    PublishPrekeys,
    ServerMessage,
    WirePrekey,
)

__all__ = ["Upkeep"]

_WEEK: Final = 7 * 86_400  # a signed and a last-resort key serve so long
_STOCK_LIFE: Final = 45 * 86_400  # initiators refuse keys after 60 days, so a stock is replaced before
_MOST_HELD: Final = 10_000  # one-time keys; a server that denies its stock must not fill the disk
_FRAME_SHARE: Final = 2_048  # bytes of a publication that are no one-time keys


class Upkeep:
    """Keeps the stock of one server filled."""

    def __init__(self, core: Core, request: Request, host: str) -> None:
        self._core = core
        self._request = request
        self._host = host

    async def run_once(self, message_size: int) -> None:
        """Publish what is missing; `message_size` is the server's limit in bytes.

        Raises ServerRefused, NotConnected, ProtocolError.
        """
        core = self._core
        count = _counted(await self._request(GetPrekeyCount()))
        publication = await core.store.run(_plan, core.identity, self._host, count, core.now())
        if publication is None:
            return
        for part in _parts(publication, message_size):
            count = _counted(await self._request(part))
            fresh = publication.one_time + publication.kem_one_time if part.reset else []
            await core.store.run(_published, self._host, count, core.now(), fresh)


def _counted(answer: ServerMessage) -> PrekeyCount:
    if not isinstance(answer, PrekeyCount):
        raise ProtocolError("The server answered a question about prekeys with something else.")
    return answer


def _plan(tx: Tx, identity: Identity, host: str, count: PrekeyCount, now: int) -> PublishPrekeys | None:
    """Make and store what is to be published, or nothing if all is well."""
    server = meta.server(tx, host)
    known = server is not None and server.published
    if known:
        _published(tx, host, count, now)  # a publication whose answer was lost
    reset = not known or prekeys.stale_stock(tx, host, now - _STOCK_LIFE, now + SLACK)
    if reset:
        count = PrekeyCount(0, 0, 0, 0)
    signed = _renew(tx, identity, PrekeyKind.SIGNED, host, count.signed_id, now)
    last_resort = _renew(tx, identity, PrekeyKind.KEM_LAST_RESORT, host, count.last_resort_id, now)
    one_time = kem_one_time = 0
    if prekeys.held(tx) < _MOST_HELD:
        if count.one_time < limits.REFILL_BELOW:
            one_time = limits.ONE_TIME_STOCK - count.one_time
        if count.kem_one_time < limits.REFILL_BELOW:
            kem_one_time = limits.KEM_ONE_TIME_STOCK - count.kem_one_time
    if not (signed or last_resort or one_time or kem_one_time):
        return None
    return PublishPrekeys(
        signed=signed,
        last_resort=last_resort,
        one_time=_stock(tx, identity, PrekeyKind.ONE_TIME, one_time, host, now),
        kem_one_time=_stock(tx, identity, PrekeyKind.KEM_ONE_TIME, kem_one_time, host, now),
        reset=reset,
    )


def _stock(tx: Tx, identity: Identity, kind: PrekeyKind, count: int, host: str, now: int) -> list[WirePrekey]:
    pairs = generate(identity, kind, count, now)
    prekeys.add(tx, kind, pairs, host, now)
    return [to_wire(pair.prekey) for pair in pairs]


def _renew(
    tx: Tx, identity: Identity, kind: PrekeyKind, host: str, in_force: int, now: int
) -> WirePrekey | None:
    """The key of that kind to publish, if the one in force is not the newest, or too old, or from a clock
    that was wrong.
    """
    newest = prekeys.newest(tx, kind, host)
    if newest is not None:
        prekey, made_at = newest
        if 0 <= now - made_at < _WEEK and _in_time(prekey, now):
            return None if prekey.id == in_force else to_wire(prekey)
    [pair] = generate(identity, kind, 1, now)
    prekeys.add(tx, kind, [pair], host, now)
    return to_wire(pair.prekey)


def _in_time(prekey: SignedPrekey, now: int) -> bool:
    return now < prekey.expires <= now + LIFETIME + SLACK


def _published(tx: Tx, host: str, count: PrekeyCount, now: int, fresh: Sequence[WirePrekey] = ()) -> None:
    """The server says which keys are in force; if there are `fresh` ones, they are all that it has left."""
    if fresh:
        prekeys.replace_stock(tx, host, [prekey.id for prekey in fresh], now)
    tx.execute("UPDATE server SET published = 1 WHERE host = ? AND ? != 0", host, count.signed_id)
    for kind, prekey_id in (
        (PrekeyKind.SIGNED, count.signed_id),
        (PrekeyKind.KEM_LAST_RESORT, count.last_resort_id),
    ):
        if prekeys.is_mine(tx, kind, prekey_id, host):
            prekeys.published(tx, kind, prekey_id, host, now)


def _parts(publication: PublishPrekeys, message_size: int) -> Iterator[PublishPrekeys]:
    """A publication in frames that a server with a small limit takes; the first one resets."""
    room = max(message_size, limits.FRAME_OVERHEAD) - _FRAME_SHARE
    one_time, kem = list(publication.one_time), list(publication.kem_one_time)
    signed, last_resort, reset = publication.signed, publication.last_resort, publication.reset
    left = room if last_resort is None else room - 1_800
    while True:
        part: tuple[list[WirePrekey], list[WirePrekey]] = ([], [])
        for waiting, taken in zip((one_time, kem), part, strict=True):
            while waiting and (left >= (size := len(waiting[-1].public) + 160) or _first_of(part, signed)):
                taken.append(waiting.pop())
                left -= size
        yield PublishPrekeys(signed, last_resort, part[0], part[1], reset)
        if not one_time and not kem:
            return
        signed, last_resort, reset, left = None, None, False, room


def _first_of(part: tuple[list[WirePrekey], list[WirePrekey]], signed: WirePrekey | None) -> bool:
    """A part without a signed key takes at least one other, however small the frame."""
    return signed is None and not part[0] and not part[1]
