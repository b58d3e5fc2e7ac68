"""The twins of sender keys side by side: the same bytes, the same answers to forgeries, the same refusals."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from mobium._pure.sender_key import ReceiverChain
from mobium.errors import InvalidInput, MobiumError
from tests.kernels.chains import at, begin, create, resigned, send
from tests.kernels.kernels import BOTH, NATIVE, PURE, Entropy, Kernels


class TestTwins:
    def test_the_same_entropy_gives_the_same_bytes(self, entropy: Entropy) -> None:
        native, pure = create(NATIVE), create(PURE)
        for size in (0, 488, 489, 5000, 200_000):
            text, salt = entropy(size), entropy(16)
            assert native.distribution(b"n") == pure.distribution(b"n")
            (one, native), (other, pure) = native.encrypt(text, salt), pure.encrypt(text, salt)
            assert one == other
            assert native.to_bytes() == pure.to_bytes()

    def test_random_forgeries_have_one_answer(self, entropy: Entropy, seed: int) -> None:
        random_ = random.Random(seed)
        sender, _ = begin(NATIVE, NATIVE)
        messages, _ = send(sender, 6, entropy)
        readers = [begin(NATIVE, kernels)[1] for kernels in BOTH]
        readers = [reader.decrypt(messages[4])[1] for reader in readers]

        def answer(reader: ReceiverChain, message: bytes) -> tuple[object, object]:
            try:
                plaintext, following = reader.decrypt(message)
            except MobiumError as error:
                return type(error), str(error)
            return plaintext, following.to_bytes()

        for _ in range(400):
            message = bytearray(random_.choice(messages))
            for _ in range(random_.randrange(4)):
                message[random_.choice([random_.randrange(633), random_.randrange(25)])] = random_.choice(
                    [0, 1, 255, random_.randrange(256)]
                )
            forged = bytes(message) if random_.random() < 0.3 else resigned(bytes(message))
            native, pure = (answer(reader, forged) for reader in readers)
            assert native == pure

    def test_arguments_are_refused_with_the_same_sentences(self) -> None:
        def sentences(kernels: Kernels) -> list[str]:
            sender, reader = begin(kernels, kernels)
            key, data = bytes(32), sender.distribution(b"")
            make = kernels.SenderChain.create
            calls: list[Callable[[], object]] = [
                lambda: make(b"", key, 0, key, 1, key, key),
                lambda: make(key, b"", 0, key, 1, key, key),
                lambda: make(key, key, 0, b"", 1, key, key),
                lambda: make(key, key, 0, key, 0, key, key),
                lambda: make(key, key, 0, key, 1, b"", key),
                lambda: make(key, key, 0, key, 1, key, b""),
                lambda: sender.encrypt(b"", b""),
                lambda: sender.encrypt(bytes(2**23), bytes(16)),
                lambda: sender.distribution(bytes(256)),
                lambda: kernels.ReceiverChain.from_distribution(data, b"", key),
                lambda: kernels.ReceiverChain.from_distribution(data, key, b""),
                lambda: kernels.ReceiverChain.from_distribution(data, key, key),
                lambda: kernels.ReceiverChain.from_bytes(b""),
                lambda: kernels.SenderChain.from_bytes(b""),
                lambda: kernels.read_head(b""),
                lambda: reader.decrypt(b""),
                lambda: at(kernels, 1000).encrypt(b"", bytes(16)),
                lambda: at(kernels, 1000).distribution(b""),
            ]
            found = []
            for call in calls:
                with pytest.raises(MobiumError) as caught:
                    call()
                found.append(f"{type(caught.value).__name__}: {caught.value}")
            return found

        native, pure = (sentences(kernels) for kernels in BOTH)
        assert native == pure
        assert sum("InvalidInput" in sentence for sentence in native) == 10

    def test_types(self, kernels: Kernels) -> None:
        sender, reader = begin(kernels, kernels)
        key = bytes(32)
        for call in (
            lambda: sender.encrypt("text", bytes(16)),  # type: ignore[arg-type]
            lambda: sender.distribution("text"),  # type: ignore[arg-type]
            lambda: reader.decrypt("text"),  # type: ignore[arg-type]
            lambda: kernels.read_head(None),  # type: ignore[arg-type]
            lambda: kernels.SenderChain.create(key, key, "0", key, 1, key, key),  # type: ignore[arg-type]
            lambda: kernels.SenderChain.create(key, key, 0, key, None, key, key),  # type: ignore[arg-type]
        ):
            with pytest.raises(TypeError):
                call()
        for number in (-1, 2**32, 2**40):
            with pytest.raises(OverflowError):
                kernels.SenderChain.create(key, key, number, key, 1, key, key)
            with pytest.raises(OverflowError):
                kernels.SenderChain.create(key, key, 0, key, number, key, key)
        with pytest.raises(InvalidInput):
            kernels.SenderChain.create(key, key, 0, key, 0, key, key)
