"""Makes padding.json, ratchet.json, sender_key.json and frame.json: `python -m tests.vectors.kernels_make
native` (or pure) writes them anew.

The files are frozen: a difference is a change of what is on the wire or on disk. pytest has both back ends
make them again and compares every byte; cargo test follows their steps by itself
(native/core/tests/vectors.rs). Entropy is SHA-256 of a counter.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from mobium.errors import MobiumError
from mobium.signing import SigningKey
from tests.kernels.kernels import BOTH, AnyReceiver, Kernels
from tests.vectors.common import Entropy, Json, counting, put, sha256
from tests.vectors.frame_make import frame

HERE = Path(__file__).parent
NOW = 1_800_000_000


def padding(kernels: Kernels) -> Json:
    """Sizes around every bucket by the hash of what `pad` gives, and what `unpad` refuses."""
    sizes = [0, 1, 200, *(size for bucket in kernels.BUCKETS for size in (bucket - 24, bucket - 23))][:-1]
    good = [
        {
            "size": size,
            "padded_size": len(kernels.pad(counting(size))),
            "sha256": sha256(kernels.pad(counting(size))),
        }
        for size in sizes
    ]
    bad = []
    for what, start, size in (
        ("too short", "", 495),
        ("too long", "", 497),
        ("between two buckets", "", 1000),
        ("empty", "", 0),
        ("length one too large", "000001e9", 496),
        ("length far too large", "ffffffff", 496),
        ("first reserved byte", "0000000001", 496),
        ("last reserved byte", "0000000000000001", 496),
    ):
        padded = bytes.fromhex(start).ljust(size, b"\0")
        try:
            kernels.unpad(padded)
        except MobiumError as error:
            bad.append({"what": what, "start": start, "size": size, "error": type(error).__name__})
    return {
        "plaintext": "byte i is i mod 251",
        "largest": 4 * 1024 * 1024 - 24,
        "pad": good,
        "unpad_refuses": bad,
    }


class _Story:
    """Writes down a conversation while it happens."""

    def __init__(self, kernels: Kernels, name: str, associated_data: bytes) -> None:
        self.entropy = Entropy(name)
        self._kernels = kernels
        shared, private, own = self.entropy(32), self.entropy(32), self.entropy(32)
        responder = kernels.Ratchet.accept(shared, private, associated_data)
        remote = responder.head()[66:98]
        self.ends = {
            "a": kernels.Ratchet.initiate(shared, remote, associated_data, own),
            "b": responder,
        }
        self.messages: list[bytes] = []
        self.steps: list[Json] = []
        self.json: Json = {
            "name": name,
            "shared_secret": shared.hex(),
            "responder_private": private.hex(),
            "responder_public": remote.hex(),
            "initiator_private": own.hex(),
            "associated_data": associated_data.hex(),
            "steps": self.steps,
        }

    def _note(self, who: str, do: str, **more: object) -> None:
        end = self.ends[who]
        self.steps.append(
            {
                "who": who,
                "do": do,
                **more,
                "head": end.head().hex(),
                "skipped": len(end.skipped()),
                "state_sha256": sha256(end.to_bytes()),
            }
        )

    def encrypt(self, who: str, size: int) -> int:
        """Notes the message and returns its index."""
        salt = self.entropy(16)
        message, self.ends[who] = self.ends[who].encrypt(counting(size), salt)
        self.messages.append(message)
        self._note(who, "encrypt", size=size, salt=salt.hex(), message=self._message(message))
        return len(self.messages) - 1

    @staticmethod
    def _message(message: bytes) -> Json:
        if len(message) == 569:
            return {"hex": message.hex()}
        return {"start": message[:57].hex(), "size": len(message), "sha256": sha256(message)}

    def burn(self, who: str, count: int) -> None:
        """Messages of no text and a salt of zeros that nobody gets."""
        for _ in range(count):
            _, self.ends[who] = self.ends[who].encrypt(b"", bytes(16))
        self._note(who, "burn", count=count)

    def decrypt(
        self, who: str, index: int, *, now: int = NOW, edit: Callable[[bytes], bytes] | None = None
    ) -> None:
        """Opens a message, or notes the error; `edit` changes its header first."""
        message, private = self.messages[index], self.entropy(32)
        more: Json = {"message": index, "ratchet_private": private.hex(), "now": now}
        if edit is not None:
            message = edit(message)
            assert message[57:] == self.messages[index][57:]
            more["start"] = message[:57].hex()
        more["knows"] = self.ends[who].knows(message)
        try:
            plaintext, self.ends[who] = self.ends[who].decrypt(message, private, now)
        except MobiumError as error:
            more["error"] = type(error).__name__
        else:
            more["opens"] = len(plaintext)
            assert plaintext == counting(len(plaintext))
        self._note(who, "decrypt", **more)

    def expire(self, who: str, before: int) -> None:
        self.ends[who] = self.ends[who].expire(before)
        self._note(who, "expire", before=before)


def _counter(at: int, value: int) -> Callable[[bytes], bytes]:
    return put(at, value.to_bytes(4, "big"))


def _turns(kernels: Kernels) -> Json:
    story = _Story(kernels, "turns", bytes(range(32)))
    for turn in range(6):
        writer, reader = ("a", "b") if turn % 2 == 0 else ("b", "a")
        for index in [story.encrypt(writer, size) for size in (5, 0, 200)[: turn % 3 + 1]]:
            story.decrypt(reader, index)
    return story.json


def _sizes(kernels: Kernels) -> Json:
    story = _Story(kernels, "sizes", b"")
    for size in (488, 489, 1000, 65_512, 65_513, 4 * 1024 * 1024 - 24):
        story.decrypt("b", story.encrypt("a", size))
    return story.json


def _disorder(kernels: Kernels) -> Json:
    story = _Story(kernels, "disorder", b"associated data of another length than a session's")
    first = [story.encrypt("a", size) for size in range(6)]
    for at, index in enumerate((4, 1, 4, 1)):
        story.decrypt("b", first[index], now=NOW + at)
    answers = [story.encrypt("b", size) for size in range(3)]
    story.decrypt("a", answers[2])
    second = [story.encrypt("a", size) for size in range(3)]
    story.decrypt("b", second[2], now=NOW + 10)
    for index in (first[5], first[0], first[4], second[0], second[0]):
        story.decrypt("b", index, now=NOW + 11)
    story.expire("b", NOW + 10)
    for index in (first[2], first[3], second[1]):
        story.decrypt("b", index, now=NOW + 12)
    story.decrypt("a", answers[0])
    return story.json


def _forgeries(kernels: Kernels) -> Json:
    story = _Story(kernels, "forgeries", bytes(32))
    story.decrypt("b", story.encrypt("a", 3))
    story.decrypt("a", story.encrypt("b", 3))
    index = story.encrypt("a", 3)
    own, other = story.ends["b"].head()[66:98], story.entropy(32)
    edits = [
        put(0, b"\x00"),
        put(0, b"\x02"),
        put(1, own),
        put(1, other),
        put(1, bytes(32)),
        put(1, b"\x01" + bytes(31)),
        put(1, story.ends["a"].head()[98:130]),
        put(41, bytes(16)),
        *(_counter(at, value) for at in (33, 37) for value in (1, 1000, 1001, 2**32 - 2, 2**32 - 1)),
    ]
    for edit in edits:
        story.decrypt("b", index, edit=edit)
    story.decrypt("b", index)
    story.decrypt("b", index)
    story.decrypt("b", index, edit=_counter(37, 1000))
    story.decrypt("b", index, edit=_counter(37, 1002))
    return story.json


def _limits(kernels: Kernels) -> Json:
    story = _Story(kernels, "limits", bytes(32))
    story.decrypt("b", story.encrypt("a", 1))
    story.decrypt("a", story.encrypt("b", 1))
    oldest = story.encrypt("a", 2)
    story.burn("a", 999)
    allowed, beyond = story.encrypt("a", 3), story.encrypt("a", 4)
    story.decrypt("b", beyond)
    story.decrypt("b", allowed)
    story.decrypt("a", story.encrypt("b", 5))
    story.burn("a", 1000)
    last, after = story.encrypt("a", 6), story.encrypt("a", 7)
    story.decrypt("b", after)
    story.decrypt("b", last)
    story.decrypt("b", oldest)
    story.decrypt("b", beyond)
    story.decrypt("b", after)
    return story.json


def ratchet(kernels: Kernels) -> Json:
    """The conversations."""
    stories = [make(kernels) for make in (_turns, _sizes, _disorder, _forgeries, _limits)]
    return {"plaintext": "byte i is i mod 251", "conversations": stories}


class _Channel:
    """Writes down what a sender and his readers do."""

    def __init__(self, kernels: Kernels, name: str, roster_index: int, key_id: int) -> None:
        self._kernels = kernels
        fresh = Entropy(name)
        self.fresh = fresh
        self._channel_id, self._sender, roster_hash = fresh(32), fresh(32), fresh(32)
        chain_key, seed = fresh(32), fresh(32)
        self.chain = kernels.SenderChain.create(
            self._channel_id, self._sender, roster_index, roster_hash, key_id, chain_key, seed
        )
        self.readers: dict[str, AnyReceiver] = {}
        self.messages: list[bytes] = []
        self.steps: list[Json] = []
        self.json: Json = {
            "name": name,
            "channel_id": self._channel_id.hex(),
            "sender": self._sender.hex(),
            "roster_index": roster_index,
            "roster_hash": roster_hash.hex(),
            "key_id": key_id,
            "chain_key": chain_key.hex(),
            "signing_seed": seed.hex(),
            "steps": self.steps,
        }

    def encrypt(self, size: int) -> int:
        """Notes the message and returns its index."""
        salt = self.fresh(16)
        message, self.chain = self.chain.encrypt(counting(size), salt)
        self.messages.append(message)
        note = {"do": "encrypt", "size": size, "salt": salt.hex(), "message": self._message(message)}
        self.steps.append({**note, "state_sha256": sha256(self.chain.to_bytes())})
        return len(self.messages) - 1

    @staticmethod
    def _message(message: bytes) -> Json:
        if len(message) == 633:
            return {"hex": message.hex()}
        start, end = message[:57].hex(), message[-64:].hex()
        return {"start": start, "end": end, "size": len(message), "sha256": sha256(message)}

    def burn(self, count: int) -> None:
        """Messages of no text and a salt of zeros that nobody gets."""
        for _ in range(count):
            _, self.chain = self.chain.encrypt(b"", bytes(16))
        self.steps.append({"do": "burn", "count": count, "state_sha256": sha256(self.chain.to_bytes())})

    def used_up(self) -> None:
        """What a chain that is used up answers."""
        try:
            self.chain.encrypt(b"", bytes(16))
        except MobiumError as error:
            self.steps.append({"do": "used_up", "error": type(error).__name__})

    def distribute(self, reader: str, nickname: bytes = b"") -> None:
        data = self.chain.distribution(nickname)
        self.readers[reader] = self._kernels.ReceiverChain.from_distribution(
            data, self._channel_id, self._sender
        )
        note = {"do": "distribute", "reader": reader, "nickname": nickname.hex(), "data": data.hex()}
        self.steps.append({**note, "state_sha256": sha256(self.readers[reader].to_bytes())})

    def refuse(self, what: str, edit: Callable[[bytes], bytes]) -> None:
        """A distribution that nobody takes."""
        data = edit(self.chain.distribution(b"nick"))
        try:
            self._kernels.ReceiverChain.from_distribution(data, self._channel_id, self._sender)
        except MobiumError as error:
            name = type(error).__name__
            self.steps.append({"do": "refuse", "what": what, "data": data.hex(), "error": name})

    def decrypt(
        self, reader: str, index: int, what: str = "", edit: Callable[[bytes], bytes] | None = None
    ) -> None:
        """Opens a message, or notes the error; `edit` changes it first."""
        message = self.messages[index]
        more: Json = {"do": "decrypt", "reader": reader, "message": index}
        if edit is not None:
            message = edit(message)
            more |= {"what": what, "edited": message.hex()}
        try:
            plaintext, self.readers[reader] = self.readers[reader].decrypt(message)
        except MobiumError as error:
            more["error"] = type(error).__name__
        else:
            more["opens"] = len(plaintext)
            assert plaintext == counting(len(plaintext))
        chain = self.readers[reader]
        more |= {"skipped": chain.skipped(), "state_sha256": sha256(chain.to_bytes())}
        self.steps.append(more)

    def signed(self, edit: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        """The edit, signed as only the sender can."""
        seed = bytes.fromhex(self.json["signing_seed"])

        def sign(message: bytes) -> bytes:
            body = edit(message)[:-64]
            signed = b"mobium/1 sender message\0" + self._channel_id + self._sender + body
            return body + SigningKey.from_seed(seed).sign(signed)

        return sign


def _disordered(kernels: Kernels) -> Json:
    channel = _Channel(kernels, "disordered", 7, 0x01020304)
    channel.distribute("early", "n\u00efck".encode())
    first = [channel.encrypt(size) for size in (0, 5, 200, 488)]
    channel.distribute("late", b"x" * 255)
    then = [channel.encrypt(size) for size in (1, 2, 3)]
    for index in (first[2], then[0], first[0], first[2], first[3], then[2], first[1], then[1], then[1]):
        channel.decrypt("early", index)
    for index in (first[3], then[1], then[0], first[0], then[2]):
        channel.decrypt("late", index)
    return channel.json


def _sized(kernels: Kernels) -> Json:
    channel = _Channel(kernels, "sized", 0, 1)
    channel.distribute("reader")
    for size in (488, 489, 65_512, 65_513, 4 * 1024 * 1024 - 24):
        channel.decrypt("reader", channel.encrypt(size))
    return channel.json


def _whole(kernels: Kernels) -> Json:
    channel = _Channel(kernels, "whole", 2**32 - 1, 2**32 - 1)
    channel.distribute("reader")
    channel.burn(500)
    middle = channel.encrypt(4)
    channel.burn(498)
    last = channel.encrypt(5)
    channel.used_up()
    for index in (last, middle, last, middle):
        channel.decrypt("reader", index)
    return channel.json


def _forged(kernels: Kernels) -> Json:
    channel = _Channel(kernels, "forged", 3, 77)
    channel.burn(2)
    channel.distribute("reader")
    index = channel.encrypt(3)
    order_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
    for what, edit in (
        ("version", put(0, b"\x02")),
        ("key id of zero", put(1, bytes(4))),
        ("another key id", put(1, b"\0\0\0\x01")),
        ("iteration", _counter(5, 3)),
        ("salt", put(9, bytes(16))),
        ("commitment", put(25, bytes(32))),
        ("ciphertext", put(57, bytes(16))),
        ("signature of zeros", put(569, bytes(64))),
        ("signature of small order", put(569, order_8)),
        ("signature, not canonical", put(569, b"\xff" * 32)),
        ("signature above the order", put(601, b"\xff" * 32)),
        ("cut off", lambda message: message[:-1]),
        ("too long", lambda message: message + b"\0"),
        ("signed: iteration before the distribution", channel.signed(_counter(5, 1))),
        ("signed: iteration 999", channel.signed(_counter(5, 999))),
        ("signed: iteration 1000", channel.signed(_counter(5, 1000))),
        ("signed: iteration 2**32 - 1", channel.signed(_counter(5, 2**32 - 1))),
        ("signed: salt", channel.signed(put(9, bytes(16)))),
        ("signed: commitment", channel.signed(put(25, bytes(32)))),
        ("signed: ciphertext", channel.signed(put(57, bytes(16)))),
        ("signed: tag", channel.signed(put(553, bytes(16)))),
    ):
        channel.decrypt("reader", index, what, edit)
    channel.decrypt("reader", index)
    channel.decrypt("reader", index)
    for what, edit in (
        ("cut off", lambda data: data[:-1]),
        ("too long", lambda data: data + b"\0"),
        ("empty", lambda data: data[:0]),
        ("version", put(0, b"\x02")),
        ("another channel", put(1, bytes(32))),
        ("key id of zero", put(33, bytes(4))),
        ("iteration 1000", _counter(37, 1000)),
        ("signing key of zeros", put(73, bytes(32))),
        ("signing key of order 8", put(73, order_8)),
        ("signing key, not canonical", put(73, b"\xff" * 32)),
        ("length of the nickname", put(141, b"\x05")),
    ):
        channel.refuse(what, edit)
    return channel.json


def sender_key(kernels: Kernels) -> Json:
    """The channels."""
    channels = [make(kernels) for make in (_disordered, _sized, _whole, _forged)]
    return {"plaintext": "byte i is i mod 251", "channels": channels}


FILES = {
    "padding.json": padding,
    "ratchet.json": ratchet,
    "sender_key.json": sender_key,
    "frame.json": frame,
}


def text_of(made: Json) -> str:
    """The file."""
    return json.dumps(made, indent=1) + "\n"


if __name__ == "__main__":
    (chosen,) = (kernels for kernels in BOTH if [kernels.name] == sys.argv[1:])
    for name, make in FILES.items():
        (HERE / name).write_text(text_of(make(chosen)))
