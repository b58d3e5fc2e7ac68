"""Media keys, what frames are bound to, and the plaintext of voice (docs/CRYPTO.md section 8)."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobium.crypto import (
    FrameOpener,
    FrameSealer,
    MediaKey,
    MediaKind,
    frame_header,
    media,
    media_metadata,
    pad_voice,
    unpad_voice,
)
from mobium.errors import CryptoError, Duplicate, Invalid, InvalidInput, TooFar
from tests.vectors import frame_reference as reference

CHANNEL, SENDER = b"c" * 32, b"s" * 32
VOICE = media_metadata(MediaKind.VOICE, CHANNEL, SENDER)
KID = 0x8123_4500


def fresh(kind: MediaKind = MediaKind.VOICE) -> MediaKey:
    return MediaKey.create(kind, CHANNEL, SENDER)


class TestKey:
    def test_it_is_made_as_the_page_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for kind in MediaKind:
            monkeypatch.setattr(media, "urandom", lambda size: bytes(range(1, size + 1)))
            key = fresh(kind)
            assert key.kid == 0x8102_0300
            assert key.base == reference.first_base(bytes(range(1, 33)), int(kind), CHANNEL, SENDER)
            base = key.base
            for step in range(1, 256):
                key, base = key.step(), reference.step(base)
                assert (key.kid, key.base) == (0x8102_0300 + step, base)
            with pytest.raises(CryptoError, match="a new one is due"):
                key.step()

    def test_the_kinds_have_their_numbers(self) -> None:
        assert [(kind.name, kind.value) for kind in MediaKind] == [("VOICE", 1), ("SCREEN", 2)]

    def test_entropy_is_fresh_each_time(self) -> None:
        """A14: whoever enters again, or begins again, has another key; its counter may begin again."""
        keys = [fresh() for _ in range(50)]
        assert len({key.base for key in keys}) == 50
        assert len({key.kid for key in keys}) > 45
        assert all(2**31 <= key.kid < 2**32 and key.kid % 256 == 0 for key in keys)

    @pytest.mark.parametrize("other", [0, 1, 2])
    def test_kind_channel_and_sender_are_in_it(self, monkeypatch: pytest.MonkeyPatch, other: int) -> None:
        """A14: voice and screen share no nonce, even if their entropy were the same."""
        monkeypatch.setattr(media, "urandom", bytes)
        changed: list[tuple[MediaKind, bytes, bytes]] = [
            (MediaKind.SCREEN, CHANNEL, SENDER),
            (MediaKind.VOICE, b"C" * 32, SENDER),
            (MediaKind.VOICE, CHANNEL, b"S" * 32),
        ]
        assert MediaKey.create(*changed[other]).base != fresh().base

    def test_a_later_key_opens_nothing_earlier(self) -> None:
        """A14: who enters is given the next step, and steps go one way."""
        key = fresh()
        earlier = key.sealer().seal(b"before", VOICE)
        given = MediaKey(key.step().kid, key.step().base)
        with pytest.raises(Invalid, match="another key"):
            given.opener().open(earlier, VOICE)
        with pytest.raises(Invalid, match="authentic"):
            FrameOpener(given.base, key.kid).open(earlier, VOICE)
        with pytest.raises(Invalid, match="another media key"):
            given.follow(key.kid)
        assert key.opener().open(earlier, VOICE) == b"before"
        assert given.opener().open(key.step().sealer().seal(b"after", VOICE), VOICE) == b"after"

    def test_followed_up_to_eight_steps(self) -> None:
        key = later = fresh()
        for _ in range(8):
            later = later.step()
            found = key.follow(later.kid)
            assert (found.kid, found.base) == (later.kid, later.base)
        with pytest.raises(TooFar):
            key.follow(later.step().kid)
        for kid in (key.kid, key.kid - 1, key.kid + 256, key.kid ^ 1 << 20, 0, 2**64 - 1):
            with pytest.raises(Invalid):
                key.follow(kid)
        last = MediaKey(KID + 255, bytes(64))
        with pytest.raises(Invalid):
            last.follow(KID + 256)

    @pytest.mark.parametrize(
        ("kid", "size"),
        [
            (0, 32),
            (2**31 - 1, 64),
            (2**32, 32),
            (-1, 64),
            (KID, 64),
            (KID + 1, 32),
            (KID, 31),
            (KID + 255, 65),
        ],
    )
    def test_refused(self, kid: int, size: int) -> None:
        with pytest.raises(InvalidInput):
            MediaKey(kid, bytes(size))

    def test_other_ids(self) -> None:
        for channel, sender, name in ((b"c" * 31, SENDER, "channel_id"), (CHANNEL, b"s" * 33, "sender")):
            for call in (MediaKey.create, media_metadata):
                with pytest.raises(InvalidInput, match=name):
                    call(MediaKind.VOICE, channel, sender)

    def test_it_shows_nothing(self) -> None:
        key = MediaKey(KID, os.urandom(32))
        assert repr(key) == "<MediaKey 81234500: redacted>"
        assert not hasattr(key, "__dict__")


class TestFrames:
    def test_metadata(self) -> None:
        assert VOICE == CHANNEL + SENDER + b"\1"
        assert media_metadata(MediaKind.SCREEN, CHANNEL, SENDER) == CHANNEL + SENDER + b"\2"

    def test_voice_from_sender_to_receiver(self) -> None:
        key = fresh()
        sealer, opener = key.sealer(), MediaKey(key.kid, key.base).opener()
        assert isinstance(sealer, FrameSealer)
        for number, packet in enumerate((b"", b"\0", b"word" * 20, b"x" * 119)):
            data = sealer.seal(pad_voice(packet), VOICE)
            assert len(data) == 145
            assert frame_header(data) == (key.kid, 2**24 + number)
            assert unpad_voice(opener.open(data, VOICE)) == packet
            with pytest.raises(Duplicate):
                opener.open(data, VOICE)

    def test_a_frame_of_one_kind_is_none_of_another(self) -> None:
        """A15: also where somebody gave both kinds one key."""
        key = fresh()
        data = key.sealer().seal(pad_voice(b"word"), VOICE)
        with pytest.raises(Invalid):
            key.opener().open(data, media_metadata(MediaKind.SCREEN, CHANNEL, SENDER))


class TestVoice:
    @given(st.binary(max_size=119))
    def test_there_and_back(self, packet: bytes) -> None:
        padded = pad_voice(packet)
        assert len(padded) == 120
        assert padded == bytes([len(packet)]) + packet + bytes(119 - len(packet))
        assert unpad_voice(padded) == packet

    def test_refused(self) -> None:
        with pytest.raises(InvalidInput, match="119"):
            pad_voice(bytes(120))
        for size in (0, 1, 119, 121):
            with pytest.raises(Invalid, match="length"):
                unpad_voice(bytes(size))
        for length in (120, 255):
            with pytest.raises(Invalid, match="length"):
                unpad_voice(bytes([length]) + bytes(119))
        for place in (5, 60, 119):
            with pytest.raises(Invalid, match="zeros"):
                unpad_voice(b"\4word" + bytes(place - 5) + b"\1" + bytes(119 - place))
