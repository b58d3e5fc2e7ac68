"""The fixed header of media frames, in both directions."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobium.crypto import FrameSealer
from mobium.crypto.media import MediaKey, MediaKind, pad_voice
from mobium.errors import InvalidInput, ProtocolError
from mobium.protocol import limits, media_frames
from mobium.protocol.codes import ErrorCode
from mobium.protocol.media_frames import SCREEN, VOICE, MediaDown, MediaUp

BODY = bytes(range(limits.VOICE_BODY))


def test_the_layout() -> None:
    assert media_frames.to_server(VOICE, 0x0102, BODY) == b"\x01\x01\x02" + BODY
    assert media_frames.to_client(SCREEN, 0x0102, 0x0304, b"x") == b"\x02\x01\x02\x03\x04x"
    longest = media_frames.to_client(SCREEN, 1, 1, bytes(limits.SCREEN_BODY))
    assert len(longest) == limits.MAX_MEDIA_FRAME


def test_kinds_and_sizes_are_those_of_the_frames_that_are_sealed() -> None:
    assert (VOICE, SCREEN) == (MediaKind.VOICE, MediaKind.SCREEN)
    key = MediaKey.create(MediaKind.VOICE, bytes(32), bytes(32))
    for packet in (b"", b"p" * 119):
        assert len(key.sealer().seal(pad_voice(packet))) == limits.VOICE_BODY
    longest_header = FrameSealer(bytes(32), (1 << 64) - 1, (1 << 64) - 2)
    piece = longest_header.seal(bytes(limits.MEDIA_FRAGMENT))
    assert len(piece) <= limits.SCREEN_BODY - 24  # so much is left for a fragment's header


@given(
    st.sampled_from([VOICE, SCREEN]),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.binary(min_size=1, max_size=400),
)
def test_what_is_made_is_read(kind: int, room: int, speaker: int, body: bytes) -> None:
    if kind == VOICE:
        body = body.ljust(limits.VOICE_BODY, b"\0")[: limits.VOICE_BODY]
    up, down = media_frames.to_server(kind, room, body), media_frames.to_client(kind, room, speaker, body)
    assert media_frames.is_media(up)
    assert media_frames.is_media(down)
    assert media_frames.read_up(up) == MediaUp(kind, room, body)
    assert media_frames.read_down(down) == MediaDown(kind, room, speaker, body)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (VOICE, 0),
        (VOICE, limits.VOICE_BODY - 1),
        (VOICE, limits.VOICE_BODY + 1),
        (SCREEN, 0),
        (SCREEN, limits.SCREEN_BODY + 1),
        (0, limits.VOICE_BODY),
        (3, limits.VOICE_BODY),
        (-1, limits.VOICE_BODY),
        (256, limits.VOICE_BODY),
    ],
)
def test_sizes_and_kinds_that_no_frame_has(kind: int, size: int) -> None:
    body = bytes(size)
    with pytest.raises(InvalidInput):
        media_frames.to_server(kind, 1, body)
    with pytest.raises(InvalidInput):
        media_frames.to_client(kind, 1, 1, body)
    for frame, read in (
        (bytes((kind & 0xFF, 0, 1)) + body, media_frames.read_up),
        (bytes((kind & 0xFF, 0, 1, 0, 1)) + body, media_frames.read_down),
    ):
        if kind in range(256):
            with pytest.raises(ProtocolError) as caught:
                read(frame)
            assert caught.value.code == ErrorCode.MALFORMED


@pytest.mark.parametrize(("room", "speaker"), [(-1, 1), (1 << 16, 1), (1, -1), (1, 1 << 16)])
def test_numbers_have_16_bits(room: int, speaker: int) -> None:
    with pytest.raises(InvalidInput):
        media_frames.to_client(VOICE, room, speaker, BODY)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x03\0\1x", b"\x80", b"\x81\xa4type\xa4ping"])
def test_what_is_no_media_frame(data: bytes) -> None:
    assert not media_frames.is_media(data)


@given(st.binary(max_size=300))
def test_garbage_is_a_protocol_error_or_a_frame(data: bytes) -> None:
    for first in (data, b"\1" + data, b"\2" + data):
        for read in (media_frames.read_up, media_frames.read_down):
            with suppress(ProtocolError):
                assert read(first).kind == first[0]
                assert media_frames.is_media(first)
