"""Frames of media on both back ends and on each pair of them: the RFC's vectors, order, the window,
forgeries (docs/CRYPTO.md section 8; A14 and A15 of docs/THREATS.md as far as a frame reaches).
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import pickle
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from mobium._pure.frame import FrameOpener, FrameSealer
from mobium.errors import CryptoError, Duplicate, Invalid, InvalidInput, MobiumError
from tests.kernels.kernels import BOTH, PURE, Entropy, Kernels, Sides
from tests.vectors import frame_reference as reference

RFC = json.loads((Path(__file__).parents[1] / "vectors" / "sframe_rfc9605.json").read_text())
BASE = b"b" * 32
KID = 0x8123_4500
FIRST = 1 << 24
METADATA = b"c" * 32 + b"s" * 32 + b"\1"
WINDOW = 1024
END = 2**64
VOICE = 1 + 4 + 4 + 120 + 16
"""Bytes of a frame of voice."""

REGIONS = {
    "config": range(1),
    "KID": range(1, 5),
    "counter": range(5, 9),
    "ciphertext": range(9, VOICE - 16),
    "tag": range(VOICE - 16, VOICE),
}
"""Every byte of a frame of voice."""


def begin(a: Kernels, b: Kernels, counter: int = FIRST) -> tuple[FrameSealer, FrameOpener]:
    """The two ends of one stream, each on its back end."""
    return a.FrameSealer(BASE, KID, counter), b.FrameOpener(BASE, KID)


def frames(sealer: FrameSealer, count: int) -> list[bytes]:
    """`count` frames whose plaintexts are their counters."""
    return [sealer.seal(str(sealer.counter).encode(), METADATA) for _ in range(count)]


def opens(opener: FrameOpener, data: bytes, kernels: Kernels = PURE) -> None:
    """The frame opens, and to its counter."""
    assert opener.open(data, METADATA) == str(kernels.frame_header(data)[1]).encode()


def refused(
    opener: FrameOpener,
    data: bytes,
    error: type[MobiumError],
    match: str | None = None,
    metadata: bytes = METADATA,
) -> None:
    with pytest.raises(error, match=match):
        opener.open(data, metadata)


class TestRfc:
    """RFC 9605, appendix C, as it is."""

    def test_it_is_whole(self) -> None:
        numbers = sorted({vector["kid"] for vector in RFC["header"]})
        pairs = {(vector["kid"], vector["ctr"]) for vector in RFC["header"]}
        assert len(numbers) == 17
        assert (numbers[0], numbers[-1]) == (0, END - 1)
        assert len(RFC["header"]) == len(pairs) == 17 * 17
        assert [vector["cipher_suite"] for vector in RFC["sframe"]] == [5]

    def test_headers(self, kernels: Kernels) -> None:
        for vector in RFC["header"]:
            header = bytes.fromhex(vector["encoded"])
            frame = kernels.FrameSealer(BASE, vector["kid"], vector["ctr"]).seal(b"")
            assert frame[:-16] == header
            assert kernels.frame_header(header + bytes(16)) == (vector["kid"], vector["ctr"])
            assert kernels.FrameOpener(BASE, vector["kid"]).open(frame) == b""

    def test_headers_around_the_last_number_in_the_config_byte(self, kernels: Kernels) -> None:
        """7 stands in it, 8 behind it; the RFC's own vectors have neither."""
        for kid, counter in itertools.product(range(5, 12), repeat=2):
            frame = kernels.FrameSealer(BASE, kid, counter).seal(b"")
            assert frame == reference.seal(BASE, kid, counter, b"", b"")
            assert kernels.frame_header(frame) == (kid, counter)
            assert kernels.FrameOpener(BASE, kid).open(frame) == b""

    def test_frames(self, kernels: Kernels) -> None:
        for vector in RFC["sframe"]:
            base, metadata, plaintext, frame = (
                bytes.fromhex(vector[name]) for name in ("base_key", "metadata", "pt", "ct")
            )
            assert kernels.FrameSealer(base, vector["kid"], vector["ctr"]).seal(plaintext, metadata) == frame
            assert kernels.FrameOpener(base, vector["kid"]).open(frame, metadata) == plaintext

    def test_the_reference(self) -> None:
        for vector in RFC["header"]:
            assert reference.header(vector["kid"], vector["ctr"]).hex() == vector["encoded"]
        for vector in RFC["sframe"]:
            base, metadata, plaintext = (
                bytes.fromhex(vector[name]) for name in ("base_key", "metadata", "pt")
            )
            key, salt = reference.keys(base, vector["kid"])
            assert (key.hex(), salt.hex()) == (vector["sframe_key"], vector["sframe_salt"])
            frame = reference.seal(base, vector["kid"], vector["ctr"], metadata, plaintext)
            assert frame.hex() == vector["ct"]

    @given(
        base=st.binary(min_size=16, max_size=64),
        kid=st.one_of(st.integers(0, END - 1), st.integers(0, 300)),
        counter=st.one_of(st.integers(0, END - 1), st.integers(0, 300)),
        metadata=st.binary(max_size=300),
        plaintext=st.binary(max_size=300),
    )
    def test_any_frame_is_the_references(
        self, base: bytes, kid: int, counter: int, metadata: bytes, plaintext: bytes
    ) -> None:
        expected = reference.seal(base, kid, counter, metadata, plaintext)
        for kernels in BOTH:
            assert kernels.FrameSealer(base, kid, counter).seal(plaintext, metadata) == expected
            assert kernels.frame_header(expected) == (kid, counter)
            assert kernels.FrameOpener(base, kid).open(expected, metadata) == plaintext


class TestStream:
    def test_in_order(self, sides: Sides, entropy: Entropy) -> None:
        sealer, opener = begin(*sides)
        assert (sealer.kid, opener.kid) == (KID, KID)
        for number in range(FIRST, FIRST + 5):
            assert sealer.counter == number
            plaintext = entropy(number % 7 * 100)
            frame = sealer.seal(plaintext, METADATA)
            assert len(frame) == 9 + len(plaintext) + 16
            assert sides[1].frame_header(frame) == (KID, number)
            assert opener.open(frame, METADATA) == plaintext

    def test_metadata_is_empty_unless_said(self, sides: Sides) -> None:
        sealer, opener = begin(*sides)
        assert opener.open(sealer.seal(b"text"), b"") == b"text"
        assert opener.open(sealer.seal(b"text", b"")) == b"text"
        refused(opener, sealer.seal(b"text"), Invalid, "authentic")

    def test_every_order(self, sides: Sides, seed: int) -> None:
        sent = frames(begin(*sides)[0], 12)
        random_ = random.Random(seed)
        for _ in range(10):
            opener = sides[1].FrameOpener(BASE, KID)
            for number in random_.sample(range(12), 12):
                opens(opener, sent[number])
                refused(opener, sent[number], Duplicate, "opened before")

    def test_a_frame_of_voice_has_one_size(self, kernels: Kernels) -> None:
        """A21: from 2^24 on a header has nine bytes for two and a half years of speech."""
        sizes = {
            len(kernels.FrameSealer(BASE, kid, counter).seal(bytes(120), METADATA))
            for kid in (1 << 31, KID, 2**32 - 1)
            for counter in (FIRST, FIRST + 1, 2**31, 2**32 - 1)
        }
        assert sizes == {VOICE}

    def test_large(self, sides: Sides, entropy: Entropy) -> None:
        sealer, opener = begin(*sides)
        for size in (512 * 1024, 3_000_000):
            picture = entropy(size)
            assert opener.open(sealer.seal(picture, METADATA), METADATA) == picture

    def test_nothing_shows_and_nothing_is_copied(self, kernels: Kernels) -> None:
        for end in begin(kernels, kernels):
            assert repr(end) == str(end) == f"<{type(end).__name__}: redacted>"
            assert not hasattr(end, "__dict__")
            for copied in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError):
                    copied(end)
            with pytest.raises(AttributeError):
                end.kid = 3  # type: ignore[misc]
        with pytest.raises(AttributeError):
            begin(kernels, kernels)[0].counter = 0  # type: ignore[misc]


class TestCounter:
    """A counter is never used twice by one sealer."""

    def test_it_begins_at_zero_unless_said(self, kernels: Kernels) -> None:
        sealer = kernels.FrameSealer(BASE, KID)
        assert sealer.counter == 0
        assert kernels.frame_header(sealer.seal(b"")) == (KID, 0)

    def test_it_goes_on_whatever_happens(self, kernels: Kernels) -> None:
        sealer, _ = begin(kernels, kernels)
        for wrong in (None, "text", bytearray(b"text"), memoryview(b"text"), 5):
            with pytest.raises(TypeError):
                sealer.seal(wrong, b"")  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                sealer.seal(b"", wrong)  # type: ignore[arg-type]
        used = [kernels.frame_header(sealer.seal(b""))[1] for _ in range(5)]
        assert used == sorted(set(used))
        assert sealer.counter == used[-1] + 1

    def test_made_again_it_is_another(self, kernels: Kernels) -> None:
        """What Python calls for a new object changes none that is there."""
        sealer, opener = begin(kernels, kernels)
        sealer.seal(b"")
        data = sealer.seal(b"")
        opener.open(data)
        for end, more in ((sealer, (0,)), (opener, ())):
            with contextlib.suppress(TypeError):
                type(end).__init__(end, BASE, KID, *more)  # type: ignore[call-arg]
        assert sealer.counter == FIRST + 2
        refused(opener, data, Duplicate, metadata=b"")

    def test_the_last(self, sides: Sides) -> None:
        sealer, opener = begin(*sides, counter=END - 2)
        last = frames(sealer, 2)
        assert sealer.counter == END
        for _ in range(3):
            with pytest.raises(CryptoError, match="no number left"):
                sealer.seal(b"")
        assert sealer.counter == END
        opens(opener, last[1])
        opens(opener, last[0])
        for data in last:
            refused(opener, data, Duplicate, "opened before")

    def test_in_many_threads(self, kernels: Kernels) -> None:
        """Each frame has a counter of its own, and each is opened once."""
        sealer, opener = begin(kernels, kernels)
        together = threading.Barrier(6)

        def seal(_: int) -> list[bytes]:
            together.wait(30)
            return [sealer.seal(bytes(2000), METADATA) for _ in range(200)]

        def take(sent: list[bytes]) -> int:
            together.wait(30)
            opened = 0
            for data in sent:
                try:
                    opener.open(data, METADATA)
                except Duplicate:
                    continue
                opened += 1
            return opened

        with ThreadPoolExecutor(6) as pool:
            sent = [data for batch in pool.map(seal, range(6)) for data in batch]
            numbers = sorted(kernels.frame_header(data)[1] for data in sent)
            assert numbers == list(range(FIRST, FIRST + 1200))
            last = sorted(sent, key=kernels.frame_header)[-1000:]
            assert sum(pool.map(take, [last] * 6)) == 1000


class TestWindow:
    def test_its_edges(self, sides: Sides) -> None:
        sealer, opener = begin(*sides)
        sent = frames(sealer, WINDOW + 2)
        opens(opener, sent[WINDOW])
        refused(opener, sent[0], Duplicate, "below the window")
        opens(opener, sent[1])
        refused(opener, sent[1], Duplicate, "opened before")
        opens(opener, sent[WINDOW + 1])
        refused(opener, sent[1], Duplicate, "below the window")
        opens(opener, sent[2])
        opens(opener, sent[WINDOW - 1])

    def test_the_first_may_have_any_counter(self, sides: Sides) -> None:
        """And whoever comes late takes what overtook it."""
        sent = frames(sides[0].FrameSealer(BASE, KID, 10**15), 3)
        opener = sides[1].FrameOpener(BASE, KID)
        for at in (2, 0, 1):
            opens(opener, sent[at])

    @pytest.mark.parametrize("ahead", [1, 63, 64, 65, 1022, 1023, 1024, 1025, 2047, 2048, 5000, 2**40])
    def test_it_moves_on(self, sides: Sides, ahead: int) -> None:
        """Of a window that was full, what is still in it counts as opened, and nothing else does."""
        full = frames(sides[0].FrameSealer(BASE, KID, 7000), WINDOW)
        opener = sides[1].FrameOpener(BASE, KID)
        for data in full:
            opens(opener, data)
        highest = 7000 + WINDOW - 1 + ahead
        opens(opener, frames(sides[0].FrameSealer(BASE, KID, highest), 1)[0])
        for counter in {*range(highest - WINDOW - 2, highest - WINDOW + 3), *range(highest - 3, highest + 1)}:
            (data,) = frames(sides[0].FrameSealer(BASE, KID, counter), 1)
            if counter <= highest - WINDOW:
                refused(opener, data, Duplicate, "below the window")
            elif counter < 7000 + WINDOW or counter == highest:
                refused(opener, data, Duplicate, "opened before")
            else:
                opens(opener, data)

    def test_what_is_not_authentic_moves_nothing(self, sides: Sides) -> None:
        """A15: nobody outside makes a room deaf by a frame that claims to be far ahead."""
        sent = frames(begin(*sides)[0], 3)
        opener = sides[1].FrameOpener(BASE, KID)
        opens(opener, sent[1])
        for counter in (FIRST + 3, FIRST + 2000, 2**40, END - 1):
            forged = reference.header(KID, counter) + sent[2][9:]
            refused(opener, forged, Invalid, "authentic")
        opens(opener, sent[0])
        opens(opener, sent[2])

    def test_replays_are_told_without_the_tag(self, kernels: Kernels) -> None:
        """The order of checks: a repeated counter is a repeated frame, whatever else it carries."""
        sealer, opener = begin(kernels, kernels)
        (data,) = frames(sealer, 1)
        opens(opener, data)
        refused(opener, data[:-1] + bytes([data[-1] ^ 1]), Duplicate)
        refused(opener, data, Duplicate, metadata=b"another")


class TestForgeries:
    def test_the_regions_are_all_bytes(self) -> None:
        assert [place for region in REGIONS.values() for place in region] == list(range(VOICE))

    @pytest.mark.parametrize("region", REGIONS)
    def test_every_bit(self, sides: Sides, entropy: Entropy, region: str) -> None:
        sealer, opener = begin(*sides)
        plaintext = entropy(120)
        data = sealer.seal(plaintext, METADATA)
        match = {"KID": "another key", "config": None, "counter": "authentic|shortest"}.get(
            region, "authentic"
        )
        for place in REGIONS[region]:
            for bit in range(8):
                forged = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
                refused(opener, forged, Invalid, match)
        assert opener.open(data, METADATA) == plaintext

    def test_every_length(self, kernels: Kernels) -> None:
        sealer, opener = begin(kernels, kernels)
        data = sealer.seal(bytes(120), METADATA)
        for size in range(VOICE):
            match = "cut off" if size < 25 else "authentic"
            refused(opener, data[:size], Invalid, match)
            if size < 25:
                with pytest.raises(Invalid, match="cut off"):
                    kernels.frame_header(data[:size])
        for more in (1, 16, 1000):
            refused(opener, data + bytes(more), Invalid, "authentic")
        assert opener.open(data, METADATA) == bytes(120)

    @pytest.mark.parametrize("config", range(256))
    def test_every_config_byte(self, config: int) -> None:
        """Both back ends read the same, whatever stands behind it; no header has two forms."""
        for behind in (bytes(32), b"\1" * 32, b"\7" * 32, b"\x08" * 32, b"\xff" * 32):
            data = bytes([config]) + behind
            native, pure = (outcome(kernels.frame_header, data) for kernels in BOTH)
            assert native == pure
            if pure[0] is not Invalid:
                assert data.startswith(reference.header(*PURE.frame_header(data)))

    def test_a_header_has_one_form(self, kernels: Kernels) -> None:
        """Also for whoever has the key: a counter said in two ways would be opened in two ways."""
        key, salt = reference.keys(BASE, 5)
        assert len(key) == 32
        opener = kernels.FrameOpener(BASE, 5)
        for front in (b"\x58\7", b"\x59\0\7", b"\xd7\0\0\0\0\0\0", b"\x87\5", b"\x5f" + bytes(7) + b"\7"):
            nonce = bytes(a ^ b for a, b in zip(salt, (7).to_bytes(12, "big"), strict=True))
            sealed = AESGCM(key).encrypt(nonce, b"text", front)
            refused(opener, front + sealed, Invalid, "shortest form", metadata=b"")
        assert opener.open(reference.seal(BASE, 5, 7, b"", b"text")) == b"text"

    def test_another_place(self, sides: Sides) -> None:
        """A15: another room, sender or kind is another metadata, another KID another key."""
        sealer, opener = begin(*sides)
        data = sealer.seal(b"text", METADATA)
        for place in range(65):
            moved = METADATA[:place] + bytes([METADATA[place] ^ 1]) + METADATA[place + 1 :]
            refused(opener, data, Invalid, "authentic", metadata=moved)
        for moved in (b"", METADATA[:-1], METADATA + b"\0", bytes(200)):
            refused(opener, data, Invalid, "authentic", metadata=moved)
        refused(sides[1].FrameOpener(BASE, KID + 1), data, Invalid, "another key")
        refused(sides[1].FrameOpener(BASE[:-1] + b"B", KID), data, Invalid, "authentic")
        assert opener.open(data, METADATA) == b"text"

    def test_bytes_do_not_move_between_header_and_metadata(self, kernels: Kernels) -> None:
        """The associated data is header and metadata in one: a header says itself where it ends."""
        data = kernels.FrameSealer(BASE, 3, 4).seal(b"text", b"\x09metadata")
        opener = kernels.FrameOpener(BASE, 3)
        refused(opener, data[:1] + b"\x09" + data[1:], Invalid, metadata=b"metadata")
        assert opener.open(data, b"\x09metadata") == b"text"

    def test_a_key_under_another_kid_is_another_key(self, kernels: Kernels) -> None:
        """A14: a counter that begins again under another KID, or another base key, repeats no key stream."""
        streams = {
            kernels.FrameSealer(base, kid, FIRST).seal(bytes(120), METADATA)[9:]
            for base in (BASE, b"B" * 32, reference.step(BASE))
            for kid in (KID, KID + 1, 1 << 31)
        }
        assert len(streams) == 9

    def test_without_a_window_a_frame_opens_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the window is for: where it notes nothing, a replay is heard."""
        sealer, opener = begin(PURE, PURE)
        (data,) = frames(sealer, 1)
        monkeypatch.setattr("mobium._pure.frame._Window.mark", lambda *_: None)
        opens(opener, data)
        opens(opener, data)


class TestArguments:
    @pytest.mark.parametrize("size", [0, 1, 15, 65, 1000])
    def test_base_keys_of_another_size(self, kernels: Kernels, size: int) -> None:
        for make in (kernels.FrameSealer, kernels.FrameOpener):
            with pytest.raises(InvalidInput, match="base_key has 16 to 64 bytes"):
                make(bytes(size), KID)

    def test_base_keys_of_every_size(self, sides: Sides) -> None:
        for size in range(16, 65):
            data = sides[0].FrameSealer(bytes(size), KID).seal(b"text")
            assert sides[1].FrameOpener(bytes(size), KID).open(data) == b"text"

    @pytest.mark.parametrize("number", [-1, END, 2**100])
    def test_numbers_beyond(self, kernels: Kernels, number: int) -> None:
        calls: list[Callable[[], object]] = [
            lambda: kernels.FrameSealer(BASE, number),
            lambda: kernels.FrameSealer(BASE, KID, number),
            lambda: kernels.FrameOpener(BASE, number),
        ]
        for call in calls:
            with pytest.raises(OverflowError):
                call()

    @pytest.mark.parametrize("wrong", [None, "text", 1.5, bytearray(32), memoryview(bytes(32))])
    def test_other_types(self, kernels: Kernels, wrong: object) -> None:
        sealer, opener = begin(kernels, kernels)
        calls: list[Callable[[], object]] = [
            lambda: kernels.FrameSealer(wrong, KID),  # type: ignore[arg-type]
            lambda: kernels.FrameSealer(BASE, wrong),  # type: ignore[arg-type]
            lambda: kernels.FrameSealer(BASE, KID, wrong),  # type: ignore[arg-type]
            lambda: kernels.FrameOpener(wrong, KID),  # type: ignore[arg-type]
            lambda: kernels.FrameOpener(BASE, wrong),  # type: ignore[arg-type]
            lambda: kernels.frame_header(wrong),  # type: ignore[arg-type]
            lambda: opener.open(wrong),  # type: ignore[arg-type]
            lambda: opener.open(sealer.seal(b""), wrong),  # type: ignore[arg-type]
        ]
        for call in calls:
            with pytest.raises(TypeError):
                call()


class TestTwins:
    """Whatever comes, both give the same plaintext or the same error."""

    @settings(max_examples=300)
    @given(data=st.binary(max_size=60), kid=st.integers(0, 300))
    def test_of_anything(self, data: bytes, kid: int) -> None:
        found = [outcome(kernels.FrameOpener(BASE, kid).open, data) for kernels in BOTH]
        assert found[0] == found[1]
        assert found[0][0] is Invalid

    @given(
        counters=st.lists(st.one_of(st.integers(0, 3000), st.integers(0, 10)), max_size=40),
        flips=st.sets(st.integers(0, 40)),
    )
    def test_of_a_stream(self, counters: list[int], flips: set[int]) -> None:
        openers = [kernels.FrameOpener(BASE, KID) for kernels in BOTH]
        for at, counter in enumerate(counters):
            data = PURE.FrameSealer(BASE, KID, counter).seal(b"text")
            if at in flips:
                data = data[:-1] + bytes([data[-1] ^ 1])
            native, pure = (outcome(opener.open, data) for opener in openers)
            assert native == pure


def outcome(call: Callable[[bytes], object], data: bytes) -> tuple[object, ...]:
    """What a call gave: its result, or error and sentence."""
    try:
        result = call(data)
    except MobiumError as error:
        return type(error), str(error)
    return result if isinstance(result, tuple) else (result,)
