"""A15, in rooms of real engines: the server passes frames on twice, under another speaker's number, or as
another kind; each is dropped and counted. Whoever is inside could do it together with the server, which is
not prevented (docs/CRYPTO.md section 8).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mobium.client.room_keys import OpenedFrame, TheirKeys
from mobium.crypto.media import MediaKind, frame_header
from mobium.errors import CryptoError
from mobium.protocol.media_frames import SCREEN, VOICE
from tests.attacks.voice_rooms import Seat, speaks, town_in
from tests.support.engines import until

ATTACKS = ["replayed", "as another's", "as a screen"]


async def attacked(folder: Path, attack: str) -> tuple[int, int, int]:
    """Anna's frames come to Ben as the server likes: how many there were, how many were shown, and how
    many he has counted as lost.
    """
    async with town_in(folder) as town:
        names = ("anna", "ben", "cleo")
        people = await town.gather(*names)
        anna, ben, cleo = (Seat(town, name, one) for name, one in zip(names, people, strict=True))
        for others, seat in enumerate((anna, ben, cleo)):
            await seat.enter(others)
        await anna.sees(2)
        await ben.sees(2)
        await speaks(cleo, b"hers", ben, times=1)
        await speaks(anna, b"mine", ben)
        tape = ben.kept(anna)[-10:]
        lost, heard = sum(ben.room.lost.values()), len(ben.ear.packets)
        speaker = ben.number_of(cleo if attack == "as another's" else anna)
        for frame in tape:
            ben.is_sent(frame.body, speaker, SCREEN if attack == "as a screen" else VOICE)

        async def judged() -> bool:  # half a second later where a key is waited for
            counted = sum(ben.room.lost.values()) - lost
            return counted + len(ben.ear.packets) - heard + len(ben.ear.pictures) >= len(tape)

        await until(judged)
        shown = len(ben.ear.packets) - heard + len(ben.ear.pictures)
        counted = sum(ben.room.lost.values()) - lost
        await speaks(anna, b"at last", ben, times=1)
        await speaks(cleo, b"at last", ben, times=1)
        return len(tape), shown, counted


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_the_server_moves_or_repeats_is_dropped_and_counted(folder: Path, attack: str) -> None:
    assert await attacked(folder, attack) == (10, 0, 10)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_without_a_key_and_a_window_for_each_sender_and_kind_it_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    def any_key(
        theirs: TheirKeys, sender: bytes, kind: MediaKind, data: bytes, now: float
    ) -> OpenedFrame | None:
        kid, counter = frame_header(data)
        for source in theirs._sources.values():
            for held in source.openers.values():
                try:
                    key = held.key if held.key.kid == kid else held.key.follow(kid)
                    plaintext = key.opener().open(data, source.metadata)
                except CryptoError:
                    continue
                return OpenedFrame(kid, counter, plaintext)
        return honest(theirs, sender, kind, data, now)

    honest = TheirKeys.open
    monkeypatch.setattr(TheirKeys, "open", any_key)  # the defence, off
    tape, shown, _ = await attacked(folder, attack)
    assert shown == tape == 10
