"""Padding on both back ends: docs/CRYPTO.md section 5."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mobium.errors import MobiumError, PaddingError
from tests.kernels.kernels import NATIVE, PURE, Kernels

LARGEST = 4 * 1024 * 1024 - 24


class TestPadding:
    def test_there_are_fourteen_buckets_from_512_bytes_to_4_mib(self, kernels: Kernels) -> None:
        assert list(kernels.BUCKETS) == [512 * 2**i for i in range(14)]
        assert type(kernels.BUCKETS) is tuple

    def test_every_size_around_every_bucket(self, kernels: Kernels) -> None:
        for bucket in kernels.BUCKETS:
            largest = bucket - 24
            for size in (largest - 1, largest, largest + 1):
                if size > LARGEST:
                    continue
                padded = kernels.pad(b"x" * size)
                assert len(padded) + 16 == (bucket if size <= largest else 2 * bucket)
                assert kernels.unpad(padded) == b"x" * size

    def test_layout(self, kernels: Kernels) -> None:
        assert kernels.pad(b"abc") == b"\0\0\0\x03" + b"\0\0\0\0" + b"abc" + bytes(485)
        assert kernels.pad(b"") == bytes(496)

    def test_one_byte_above_the_largest_bucket_is_refused(self, kernels: Kernels) -> None:
        assert len(kernels.pad(bytes(LARGEST))) == 4 * 1024 * 1024 - 16
        with pytest.raises(PaddingError):
            kernels.pad(bytes(LARGEST + 1))

    @pytest.mark.parametrize("size", [0, 8, 495, 497, 511, 512, 1007, 3 * 512 - 16, 8 * 1024 * 1024 - 16])
    def test_a_size_that_is_no_buckets_is_refused(self, kernels: Kernels, size: int) -> None:
        with pytest.raises(PaddingError):
            kernels.unpad(bytes(size))

    def test_a_length_that_does_not_fit_is_refused(self, kernels: Kernels) -> None:
        for length in (489, 490, 496, 2**31, 2**32 - 1):
            with pytest.raises(PaddingError):
                kernels.unpad(length.to_bytes(4, "big") + bytes(492))
        assert kernels.unpad((488).to_bytes(4, "big") + bytes(492)) == bytes(488)

    @pytest.mark.parametrize("at", [4, 5, 6, 7])
    def test_reserved_bytes_that_are_not_zero_are_refused(self, kernels: Kernels, at: int) -> None:
        padded = bytearray(kernels.pad(b"abc"))
        padded[at] = 1
        with pytest.raises(PaddingError):
            kernels.unpad(bytes(padded))

    def test_what_follows_the_plaintext_is_not_looked_at(self, kernels: Kernels) -> None:
        assert kernels.unpad(kernels.pad(b"abc")[:11] + b"\xff" * 485) == b"abc"

    @pytest.mark.parametrize("wrong", ["text", None, 3, bytearray(496), memoryview(bytes(496))])
    def test_only_bytes_are_taken(self, kernels: Kernels, wrong: object) -> None:
        with pytest.raises(TypeError):
            kernels.pad(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            kernels.unpad(wrong)  # type: ignore[arg-type]


def _unpadded(kernels: Kernels, padded: bytes) -> bytes | tuple[type[MobiumError], str]:
    try:
        return kernels.unpad(padded)
    except MobiumError as error:
        return type(error), str(error)


class TestTwins:
    @given(st.binary(max_size=5000))
    def test_pad_gives_the_same_bytes(self, plaintext: bytes) -> None:
        padded = NATIVE.pad(plaintext)
        assert padded == PURE.pad(plaintext)
        assert NATIVE.unpad(padded) == PURE.unpad(padded) == plaintext

    @given(st.integers(0, 600), st.binary(max_size=4), st.sampled_from([496, 1008, 2032, 495, 512]))
    @example(489, bytes(4), 496)
    @example(488, bytes(4), 496)
    def test_unpad_agrees_on_everything(self, length: int, reserved: bytes, size: int) -> None:
        padded = (length.to_bytes(4, "big") + reserved).ljust(size, b"\0")
        assert _unpadded(NATIVE, padded) == _unpadded(PURE, padded)

    @given(st.binary(max_size=64).map(lambda start: start.ljust(496, b"\0")))
    def test_unpad_agrees_on_garbage(self, padded: bytes) -> None:
        assert _unpadded(NATIVE, padded) == _unpadded(PURE, padded)

    def test_errors_have_the_same_sentences(self) -> None:
        sentences = []
        for kernels in (NATIVE, PURE):
            with pytest.raises(PaddingError) as caught:
                kernels.pad(bytes(LARGEST + 1))
            sentences.append(str(caught.value))
        assert sentences[0] == sentences[1]
