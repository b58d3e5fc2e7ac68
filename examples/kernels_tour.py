"""A tour of the kernels, without a server: python kernels_tour.py

What a message, a message to a channel and a frame of voice become before they leave, and what happens to one
that was changed on the way.
"""

from __future__ import annotations

import os

from mobium.client.profile import backend_name
from mobium.crypto import (
    BUCKETS,
    Identity,
    MediaKey,
    MediaKind,
    Prekeys,
    ReceiverKey,
    SenderKey,
    Session,
    format_groups,
    media_metadata,
    pad,
    safety_number,
    unpad,
)
from mobium.errors import Duplicate, Invalid


def padding() -> None:
    """Lengths say little: a text fills the next bucket."""
    for text in (b"yes", b"no, and I shall tell you why at some length" * 20):
        padded = pad(text)
        assert unpad(padded) == text
        print(
            f"padding     {len(text)} bytes become {len(padded)} and a tag of 16: one of {len(BUCKETS)} sizes"
        )


def session() -> None:
    """Two people, the second of whom is away when the first one writes."""
    (alice, _), (bob, words) = Identity.generate(), Identity.generate()
    prekeys = Prekeys.generate(bob, one_time=1, kem_one_time=1)
    print(f"identity    {bob.public.hex()}, and {len(words.split())} words bring it back")

    ours = Session.initiate(alice, prekeys.bundle())
    payload, ours = ours.encrypt(b"hello, whenever you read this")
    text, theirs, used = Session.accept(bob, prekeys, payload)
    prekeys.discard(used)
    print(f"session     {text.decode()!r}: {len(payload)} bytes, with the handshake")

    answer, theirs = theirs.encrypt(b"now")
    text, ours = ours.decrypt(answer)
    print(f"session     {text.decode()!r}: {len(answer)} bytes, under a key of its own")
    try:
        ours.decrypt(answer)
    except Duplicate as error:
        print(f"session     the same once more: {error}")
    number = safety_number(alice.public, alice.x_public, bob.public, bob.x_public)
    print(f"session     both see the safety number {format_groups(number)}")


def channel() -> None:
    """One message for many: encrypted once, signed by its writer."""
    writer = Identity.generate()[0].public
    sender = SenderKey.create(os.urandom(32), writer)
    readers = [ReceiverKey.from_distribution(sender.distribution(), sender=writer) for _ in range(3)]
    message, sender = sender.encrypt(b"to all of you")
    texts = {reader.decrypt(message)[0].decode() for reader in readers}
    print(f"sender key  {texts} in {len(readers)} places from {len(message)} bytes")


def voice() -> None:
    """Twenty milliseconds, sealed for one room and one speaker."""
    room, speaker = os.urandom(32), os.urandom(32)
    place = media_metadata(MediaKind.VOICE, room, speaker)
    key = MediaKey.create(MediaKind.VOICE, room, speaker)
    sealer, opener = key.sealer(), key.opener()
    frame = sealer.seal(bytes(120), place)
    changed = frame[:-1] + bytes((frame[-1] ^ 1,))
    try:
        opener.open(changed, place)
    except Invalid as error:
        print(f"frame       one bit changed: {error}")
    print(f"frame       {len(opener.open(frame, place))} bytes of {len(frame)} on the wire")


if __name__ == "__main__":
    print(f"kernels     {backend_name()}")
    padding()
    session()
    channel()
    voice()
