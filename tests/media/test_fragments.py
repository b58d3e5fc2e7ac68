"""Heads and fragments: their bytes, and pictures that become whole whatever order their pieces come in, or do
not.
"""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobium.errors import Invalid, InvalidInput
from mobium.media import fragments
from mobium.media.fragments import (
    LARGEST_BODY,
    LARGEST_FRAME,
    LARGEST_SEALED,
    MOST_PIECES,
    Encoded,
    Picture,
    Reassembly,
    Sealed,
    cut,
    read_fragment,
    read_picture,
    write_picture,
)
from mobium.protocol.limits import MEDIA_FRAGMENT, SCREEN_BODY, media_cost
from tests.support.screens import Keys, encoded

WORD = st.integers(0, 2**32 - 1)


def sealed(size: int, number: int = 0, share: int = 7) -> Sealed:
    return Sealed(share, number, random.Random(number).randbytes(size))


def test_a_picture_has_the_bytes_that_are_specified() -> None:
    shown = Picture(0x0102, 0x05060708, Encoded(True, 0x090A0B0C, 1_280, 720, b"frame"))
    assert write_picture(shown) == bytes.fromhex("0101 0102 05060708 090a0b0c 0500 02d0") + b"frame"
    assert read_picture(write_picture(shown)) == shown
    delta = replace_encoded(shown, keyframe=False)
    assert write_picture(delta)[:2] == b"\1\0"
    assert read_picture(write_picture(delta)) == delta


def replace_encoded(shown: Picture, **changes: object) -> Picture:
    return shown._replace(encoded=shown.encoded._replace(**changes))  # type: ignore[arg-type]


@given(
    st.integers(0, 2**16 - 1),
    WORD,
    WORD,
    st.booleans(),
    st.integers(1, 1_920),
    st.integers(1, 1_080),
    st.binary(min_size=1),
)
def test_pictures_come_back(
    share: int, number: int, time: int, keyframe: bool, width: int, height: int, data: bytes
) -> None:
    shown = Picture(share, number, Encoded(keyframe, time, width, height, data))
    assert read_picture(write_picture(shown)) == shown


@given(st.binary(max_size=64))
def test_what_is_no_picture_is_invalid_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        assert write_picture(read_picture(data)) == data


@pytest.mark.parametrize(
    "damage",
    [
        {0: 0}, {0: 2}, {1: 2}, {1: 0xFF},
        {12: 0x07, 13: 0x81}, {12: 0x3E, 13: 0x80}, {12: 0, 13: 0}, {14: 0x04, 15: 0x39}, {14: 0, 15: 0},
    ],
)  # fmt: skip
def test_a_head_that_does_not_fit_is_refused(damage: dict[int, int]) -> None:
    data = bytearray(write_picture(Picture(1, 2, Encoded(True, 3, 1_920, 1_080, b"x"))))
    read_picture(bytes(data))
    for at, value in damage.items():
        data[at] = value
    with pytest.raises(Invalid):
        read_picture(bytes(data))


def test_sizes_are_held_to() -> None:
    head = len(write_picture(Picture(0, 0, encoded(size=9)))) - 9
    assert head == 16
    largest = Picture(0, 0, Encoded(True, 0, 1, 1, bytes(LARGEST_FRAME)))
    assert read_picture(write_picture(largest)) == largest
    for data in (b"", bytes(LARGEST_FRAME + 1)):
        with pytest.raises(InvalidInput):
            write_picture(replace_encoded(largest, data=data))
        with pytest.raises(Invalid):
            read_picture(write_picture(largest)[:head] + data)
    for side in ({"width": 1_921}, {"height": 1_081}, {"width": 0}):
        with pytest.raises(InvalidInput):
            write_picture(replace_encoded(largest, **side))
    # the largest picture is the largest sealed one, whatever the form of its header
    assert LARGEST_SEALED - 64 <= len(Keys().seal(write_picture(largest))) <= LARGEST_SEALED
    assert LARGEST_FRAME + head + 17 + 16 <= LARGEST_SEALED == 512 << 10


def test_sizes_are_those_of_the_protocol() -> None:
    assert LARGEST_BODY == SCREEN_BODY
    assert max(len(body) for body in cut(sealed(LARGEST_SEALED))) <= MEDIA_FRAGMENT
    # one frame of the media rate carries nearly twice what counts as one
    assert [media_cost(len(body)) for body in cut(sealed(LARGEST_SEALED))] == [1] * 17


def test_a_fragment_has_the_bytes_that_are_specified() -> None:
    [body] = cut(Sealed(0x0102, 0x05060708, b"piece"))
    assert body == bytes.fromhex("01 00 01 0102 05060708") + b"piece"
    first, second = cut(sealed(40_000))
    assert (first[1:3], second[1:3]) == (b"\0\2", b"\1\2")


@given(st.binary(max_size=40))
def test_what_is_no_fragment_is_invalid_and_nothing_else(body: bytes) -> None:
    try:
        fragment = read_fragment(body)
    except Invalid:
        return
    assert fragment.index < fragment.count <= MOST_PIECES
    assert fragment.piece


@given(st.binary(max_size=40), st.integers(0, 3), st.floats(0, 1e6))
def test_no_bytes_disturb_a_reassembly(body: bytes, sender: int, now: float) -> None:
    whole = Reassembly()
    whole.put(sender, body, now)
    assert [whole.put("anna", one, now) for one in cut(sealed(70_000))] == [None, None, sealed(70_000)]


@pytest.mark.parametrize("size", [1, 32_695, 32_696, 65_390, 200_000, LARGEST_SEALED])
def test_a_picture_becomes_whole_in_any_order_and_once(size: int, seed: int) -> None:
    draw = random.Random(seed)
    bodies = cut(sealed(size))
    for _ in range(5):
        whole = Reassembly()
        order = bodies + draw.choices(bodies, k=3)
        draw.shuffle(order)
        found = [one for body in order if (one := whole.put("anna", body, 1.0)) is not None]
        assert found == [sealed(size)]
        assert whole.counts.repeated == 3
        assert whole.size == 0


def test_an_empty_or_too_large_picture_is_not_cut() -> None:
    for size in (0, LARGEST_SEALED + 1):
        with pytest.raises(InvalidInput):
            cut(sealed(size))


def test_pictures_of_several_senders_do_not_mix() -> None:
    whole = Reassembly()
    first, second = cut(sealed(40_000, 1)), cut(sealed(40_000, 2))
    renumbered = [body[:3] + first[0][3:9] + body[9:] for body in second]
    assert whole.put("anna", first[0], 0) is None
    assert whole.put("bob", renumbered[1], 0) is None
    assert whole.put("anna", first[1], 0) == sealed(40_000, 1)
    found = whole.put("bob", renumbered[0], 0)
    assert found is not None
    assert found.data == sealed(40_000, 2).data


def test_what_does_not_fit_the_first_piece_is_counted() -> None:
    whole = Reassembly()
    bodies = cut(sealed(90_000))
    whole.put("anna", bodies[0], 0)
    other = bytearray(bodies[1])
    other[2] = 4  # another count
    assert whole.put("anna", bytes(other), 0) is None
    assert whole.counts.malformed == 1
    whole.put("anna", bodies[1], 0)
    assert whole.put("anna", bodies[2], 0) == sealed(90_000)


def test_pieces_that_are_too_much_together_are_refused() -> None:
    whole = Reassembly()
    head = bytes.fromhex("01 00 0c 0001 00000001")
    found = [
        whole.put("mallory", head[:1] + bytes([index]) + head[2:] + bytes(LARGEST_BODY - 9), 0)
        for index in range(12)
    ]
    assert found == [None] * 12
    assert whole.size <= LARGEST_SEALED
    assert whole.counts.malformed == 2


def test_a_picture_of_which_nothing_more_comes_is_given_up() -> None:
    whole = Reassembly()
    bodies = cut(sealed(90_000))
    whole.put("anna", bodies[0], 0.0)
    whole.put("anna", bodies[1], 1.9)
    whole.put("bob", cut(sealed(9))[0], 3.8)
    assert whole.size > 0
    whole.put("bob", cut(sealed(9, 1))[0], 4.5)
    assert (whole.size, whole.counts.given_up) == (0, 1)
    assert whole.put("anna", bodies[2], 4.6) is None


def test_unfinished_pictures_of_one_sender_make_way_for_newer_ones() -> None:
    whole = Reassembly()
    firsts = [cut(sealed(40_000, number)) for number in range(6)]
    for bodies in firsts:
        whole.put("anna", bodies[0], 0.0)
    assert whole.counts.given_up == 2
    assert [whole.put("anna", bodies[1], 0.0) is not None for bodies in firsts[2:]] == [True] * 4


def test_who_floods_makes_way_and_nobody_else() -> None:
    """Forty people, of whom thirty-nine send all but the last piece of picture after picture."""
    whole = Reassembly()
    honest = cut(sealed(400_000))
    for body in honest[:-1]:
        whole.put("anna", body, 0.0)
    most = 0
    for number in range(6):
        flood = cut(sealed(500_000, number))
        for body in flood[:-1]:
            for mallory in range(39):
                assert whole.put(mallory, body, 0.5) is None
                most = max(most, whole.size)
    assert fragments.MOST_OF_ALL * 0.9 < most <= fragments.MOST_OF_ALL + LARGEST_BODY
    assert whole.put("anna", honest[-1], 0.6) == sealed(400_000)


def test_no_more_senders_than_a_room_can_have_are_kept() -> None:
    whole = Reassembly()
    body = cut(sealed(40_000))[0]
    for sender in range(1_000):
        whole.put(sender, body, 0.0)
    assert whole.size == 40 * len(read_fragment(body).piece)
    assert whole.counts.malformed == 1_000 - 40
    whole.put("malformed", b"", 2.6)  # time passes
    assert whole.size == 0
    for sender in range(1_000, 1_040):
        assert whole.put(sender, cut(sealed(5))[0], 2.6) == sealed(5)
