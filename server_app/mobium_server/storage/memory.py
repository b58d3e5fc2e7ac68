"""The reference storage: the contract in its plainest form, in memory. Not its concern: durability, speed
beyond that of tests, and channels (`mobium_server.storage.memory_channels`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mobium_server.storage.base import (
    KEPT,
    BadPrekeys,
    Bounds,
    Bundle,
    Gone,
    Kind,
    Mailbox,
    NewMessage,
    Page,
    Prekey,
    Publication,
    Refused,
    Row,
    Stock,
    Taken,
    Volume,
    mailbox_bytes,
    sender_share,
)
from mobium_server.storage.memory_channels import MemoryChannels

__all__ = ["MemoryStorage"]


class _Device:
    def __init__(self, publication: Publication) -> None:
        self.x_public = publication.x_public
        self.binding = publication.binding
        self.signed: Prekey | None = None
        self.last_resort: Prekey | None = None
        self.one_time: dict[Kind, dict[int, Prekey]] = {kind: {} for kind in Kind}
        self.renewed: int | None = None


class MemoryStorage(MemoryChannels):
    """A storage that forgets everything when the process ends. `max_messages` bounds one mailbox."""

    def __init__(self, max_messages: int, bounds: Bounds = Bounds()) -> None:  # noqa: B008 - a constant
        super().__init__(bounds)
        self._max_messages = max_messages
        self._share = sender_share(max_messages)
        self._max_bytes = mailbox_bytes(max_messages)
        self._share_bytes = sender_share(self._max_bytes)
        self._values: dict[str, bytes] = {}
        self._devices: dict[bytes, _Device] = {}
        self._rows: dict[int, tuple[NewMessage, int]] = {}
        self._last = 0

    def open(self) -> None:
        """Nothing to make ready."""

    def close(self) -> None:
        """Nothing to finish."""

    def checkpoint(self) -> None:
        """Nothing lies beside it."""

    def clear_copies(self, now: int) -> list[str]:  # noqa: ARG002 - there are none
        return []

    def volume(self) -> Volume:
        rows = [row for row, _ in self._rows.values()]
        depth = Counter(row.recipient for row in rows)
        size = sum(len(row.payload) for row in rows)
        deepest = max(depth.values(), default=0)
        return Volume(len(rows), size, len(depth), deepest, len(self._channels), 0, 0)

    def get(self, name: str) -> bytes | None:
        return self._values.get(name)

    def put(self, name: str, value: bytes) -> None:
        self._values[name] = value

    def apply(self, inserts: Sequence[NewMessage], deletes: Sequence[Taken], now: int) -> list[int | Refused]:
        for taken in deletes:
            self._rows.pop(taken.seq, None)
        return [self._insert(message, now) for message in inserts]

    def _insert(self, message: NewMessage, now: int) -> int | Refused:
        if message.recipient not in self._devices:
            return Refused.UNKNOWN
        mine = [(seq, row) for seq, (row, _) in self._rows.items() if row.recipient == message.recipient]
        for seq, row in mine:
            if row.sender == message.sender and row.delivery == message.delivery:
                return seq
        alike = [row for _, row in mine if (row.channel is None) is (message.channel is None)]
        theirs = [row for row in alike if row.sender == message.sender]
        for rows, most, most_bytes in (
            (alike, self._max_messages, self._max_bytes),
            (theirs, self._share, self._share_bytes),
        ):
            size = sum(len(row.payload) for row in rows) + len(message.payload)
            if len(rows) >= most or (rows and size > most_bytes):
                return Refused.FULL
        self._last += 1
        self._rows[self._last] = (message, now)
        return self._last

    def mailbox(self, identity: bytes) -> Mailbox:
        waiting = sum(row.recipient == identity for row, _ in self._rows.values())
        return Mailbox(identity in self._devices, waiting, self._memberships(identity))

    def page(self, identity: bytes, after: int, max_rows: int, max_bytes: int) -> Page:
        rows: list[Row] = []
        size = 0
        for seq, (row, _) in self._rows.items():
            if row.recipient != identity or seq <= after:
                continue
            if rows and (len(rows) >= max_rows or size >= max_bytes):
                return Page(rows, end=False)
            rows.append(Row(seq, row.sender, row.delivery, row.payload, row.channel))
            size += len(row.payload)
        return Page(rows, end=True)

    def expire(self, arrived: int, limit: int) -> list[Gone]:
        due = [seq for seq, (_, moment) in list(self._rows.items())[:limit] if moment <= arrived]
        rows = [self._rows.pop(seq)[0] for seq in due]
        return [Gone(row.recipient, row.sender, row.delivery) for row in rows]

    def publish(self, identity: bytes, publication: Publication, now: int) -> Stock:
        old = None if publication.reset else self._devices.get(identity)
        device = _Device(publication)
        device.signed = publication.signed or (old.signed if old else None)
        device.last_resort = publication.last_resort or (old.last_resort if old else None)
        device.renewed = old.renewed if old and not publication.signed else None
        if device.signed is None or device.last_resort is None:
            raise BadPrekeys("A first publication holds a signed and a last-resort prekey.")
        for kind, new in (
            (Kind.ONE_TIME, publication.one_time),
            (Kind.KEM_ONE_TIME, publication.kem_one_time),
        ):
            held = old.one_time[kind] if old else {}
            keys = {number: key for number, key in held.items() if key.expires > now}
            for key in new:
                if key.id in keys:
                    raise BadPrekeys("A prekey id is used twice.")
                keys[key.id] = key
            device.one_time[kind] = dict(list(keys.items())[-KEPT[kind] :])
        self._devices[identity] = device
        return self.stock(identity, now)

    def retire(self, now: int, renewed: int, limit: int) -> list[bytes]:
        mailboxes = {row.recipient for row, _ in self._rows.values()}
        for device in self._devices.values():
            if device.renewed is None:
                device.renewed = now
        gone = [
            identity
            for identity, device in self._devices.items()
            if device.renewed is not None and device.renewed <= renewed and identity not in mailboxes
        ][:limit]
        for identity in gone:
            del self._devices[identity]
        return gone

    def bundle(self, identity: bytes, one_time: bool, now: int) -> Bundle | None:
        device = self._devices.get(identity)
        if device is None or device.signed is None or device.last_resort is None:
            return None
        taken = {kind: self._take(device, kind, now) if one_time else None for kind in Kind}
        return Bundle(
            device.x_public,
            device.binding,
            device.signed,
            device.last_resort,
            taken[Kind.ONE_TIME],
            taken[Kind.KEM_ONE_TIME],
        )

    @staticmethod
    def _take(device: _Device, kind: Kind, now: int) -> Prekey | None:
        keys = device.one_time[kind]
        first = next((key for key in keys.values() if key.expires > now), None)
        return None if first is None else keys.pop(first.id)

    def stock(self, identity: bytes, now: int) -> Stock:
        device = self._devices.get(identity)
        if device is None:
            return Stock(0, 0, 0, 0)
        counts = {
            kind: sum(key.expires > now for key in keys.values()) for kind, keys in device.one_time.items()
        }
        return Stock(
            counts[Kind.ONE_TIME],
            counts[Kind.KEM_ONE_TIME],
            device.signed.id if device.signed else 0,
            device.last_resort.id if device.last_resort else 0,
        )
