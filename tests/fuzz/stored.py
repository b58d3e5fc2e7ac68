"""Fuzz targets of keys and states: both back ends take the same bytes, give the same, and refuse alike."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium.crypto import Session, pqxdh
from mobium.crypto.invite import check_names, names_key, open_names
from mobium.errors import CryptoError, Invalid, InvalidInput, MobiumError, StateError
from mobium.text import names_ad
from tests.fuzz.drawn import Input
from tests.kernels.kernels import BOTH, PURE, Entropy, Kernels, established

RECORD: Final = 76
CHANNEL: Final = bytes((7,)) * 32
SENDER: Final = bytes((9,)) * 32


def alike(step: Callable[[Kernels], Any]) -> Any:
    """What both back ends give; None where both refuse, with the same words."""
    outcomes: list[tuple[Any, tuple[type[MobiumError], str] | None]] = []
    for kernels in BOTH:
        try:
            outcomes.append((step(kernels), None))
        except MobiumError as error:
            outcomes.append((None, (type(error), str(error))))
    assert outcomes[0] == outcomes[1]
    return outcomes[1][0]


def padding(data: bytes) -> None:
    """What is taken for padding holds what it gives, and every text comes back."""
    found = alike(lambda kernels: kernels.unpad(data))
    assert found is None or data[8 : 8 + len(found)] == found
    assert alike(lambda kernels: kernels.unpad(kernels.pad(data))) == data


def ratchet_state(data: bytes) -> None:
    """A stored ratchet that is taken is written as it was, works, and is the same in its parts."""

    def use(kernels: Kernels) -> tuple[Any, ...]:
        ratchet = kernels.Ratchet.from_bytes(data)
        assert ratchet.to_bytes() == data
        assert kernels.Ratchet.from_parts(ratchet.head(), ratchet.skipped()).to_bytes() == data
        assert ratchet.changes(ratchet) == ([], [])
        expired = ratchet.expire(2**40)
        return expired.to_bytes(), expired.changes(ratchet)

    if alike(use) is not None:
        message = alike(lambda kernels: kernels.Ratchet.from_bytes(data).encrypt(b"a", bytes(16))[0])
        if message is not None:
            alike(lambda kernels: _decrypted(kernels, data, message))


def _decrypted(kernels: Kernels, state: bytes, message: bytes) -> tuple[bytes, bytes]:
    plaintext, following = kernels.Ratchet.from_bytes(state).decrypt(message, bytes((9,)) * 32, 0)
    return plaintext, following.to_bytes()


def ratchet_parts(data: bytes) -> None:
    """A head and skipped keys that do not come from one state."""
    drawn = Input(data)
    records = [drawn.take(RECORD) for _ in range(min(drawn.number(), 8))]
    head = drawn.rest()
    state = alike(lambda kernels: kernels.Ratchet.from_parts(head, records).to_bytes())
    if state is not None:
        ratchet_state(state)


@cache
def _reader() -> bytes:
    """The stored ratchet of one who has sent and received."""
    return established(PURE, PURE, Entropy(1))[1].to_bytes()


def ratchet_message(data: bytes) -> None:
    """Whatever comes as a message opens nothing, and says why."""
    state = _reader()
    assert alike(lambda kernels: _decrypted(kernels, state, data)) is None
    alike(lambda kernels: kernels.Ratchet.from_bytes(state).knows(data))


@cache
def _distribution() -> bytes:
    chain = PURE.SenderChain.create(CHANNEL, SENDER, 3, bytes(32), 5, bytes((1,)) * 32, bytes((2,)) * 32)
    return chain.distribution(b"name")


def sender_keys(data: bytes) -> None:
    """Messages, distributions and chains of channels: what is read is written again, nothing forged opens."""
    alike(lambda kernels: kernels.read_head(data))
    assert alike(lambda kernels: kernels.SenderChain.from_bytes(data).to_bytes()) in (None, data)
    assert alike(lambda kernels: kernels.ReceiverChain.from_bytes(data).to_bytes()) in (None, data)
    given = alike(
        lambda kernels: kernels.ReceiverChain.from_distribution(data, CHANNEL, SENDER).to_bytes(),
    )
    if given is not None:
        assert alike(lambda kernels: kernels.ReceiverChain.from_bytes(given).to_bytes()) == given
    alike(lambda kernels: kernels.SenderChain.from_bytes(data).distribution(b"name"))

    def opened(kernels: Kernels) -> bytes:
        chain = kernels.ReceiverChain.from_distribution(_distribution(), CHANNEL, SENDER)
        return chain.decrypt(data)[0]

    assert alike(opened) is None


def frames(data: bytes) -> None:
    """Frames from anywhere: the header is read or refused, and nothing opens that was not sealed."""
    found = alike(lambda kernels: kernels.frame_header(data))
    kid = 0 if found is None else found[0]
    assert alike(lambda kernels: kernels.FrameOpener(bytes((5,)) * 32, kid).open(data, b"a room")) is None


def session(data: bytes) -> None:
    """A stored session that is taken is written as it was, whole and in parts."""
    with suppress(StateError):
        found = Session.from_bytes(data)
        assert found.to_bytes() == data
        again = Session.from_parts(found.head(), found.header, found.skipped())
        assert again.to_bytes() == data
        assert repr(found) == f"<Session with {found.peer.hex()}: redacted>"
        with suppress(CryptoError):
            payload, _ = found.encrypt(b"a")
            found.decrypt(payload, now=0)


def handshake(data: bytes) -> None:
    """A header that is taken is the first bytes of what came."""
    with suppress(Invalid):
        header = pqxdh.read_header(data)
        assert header.raw == data[: pqxdh.HEADER_SIZE]
        assert 0 not in (header.signed_id, header.kem_id)


def channel_names(data: bytes) -> None:
    """Whoever has a channel's secret may seal anything: what opens has a name that misleads nobody."""
    sealed = AESGCM(names_key(CHANNEL)).encrypt(bytes(12), data[:512].ljust(512, b"\0"), names_ad(SENDER, 1))
    with suppress(Invalid):
        name, topic = open_names(CHANNEL, bytes(12) + sealed, SENDER, 1)
        assert name
        assert name.isprintable()
        assert topic.isprintable()
        with suppress(InvalidInput):  # it may look like a link
            check_names(name, topic)
