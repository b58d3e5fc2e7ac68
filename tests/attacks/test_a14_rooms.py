"""A14, in rooms of real engines: the server has recorded voice, and passes it on to a member who came later;
somebody leaves and enters again, and it passes on what he said before (docs/CRYPTO.md section 8).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mobium.client.room_keys import OwnKey
from mobium.crypto.media import MediaKey, MediaKind, frame_header
from tests.attacks.voice_rooms import Seat, speaks, town_in


async def recorded(folder: Path) -> tuple[int, int]:
    """Anna speaks to Ben, then Cleo enters and is passed it all: how much there was, and what she opens."""
    async with town_in(folder) as town:
        people = await town.gather("anna", "ben", "cleo")
        anna, ben, cleo = (
            Seat(town, name, one) for name, one in zip(("anna", "ben", "cleo"), people, strict=True)
        )
        await anna.enter(0)
        await ben.enter(1)
        await anna.sees(1)
        await speaks(anna, b"before", ben)
        tape = ben.kept(anna)
        await cleo.enter(2)
        await speaks(anna, b"after", ben, cleo)
        for frame in tape:
            cleo.is_sent(frame.body, cleo.number_of(anna))
        await speaks(anna, b"at last", cleo, times=1)
        if b"before" not in cleo.words():
            assert sum(cleo.room.lost.values()) >= len(tape), "each is counted"
        return len(tape), cleo.words().count(b"before")


async def test_whoever_enters_opens_nothing_that_was_recorded_before(folder: Path) -> None:
    tape, opened = await recorded(folder)
    assert tape >= 10
    assert opened == 0


async def test_without_the_step_at_an_entrance_a_newcomer_opens_the_tape(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OwnKey, "_step", lambda *_, **__: True)  # the defence, off
    _, opened = await recorded(folder)
    assert opened >= 10


async def entered_again(folder: Path) -> tuple[int, int]:
    """Anna speaks, leaves, and speaks again: how many pairs of key and counter served twice, and what Ben
    opens of the first time once more.
    """
    async with town_in(folder) as town:
        people = await town.gather("anna", "ben")
        anna, ben = (Seat(town, name, one) for name, one in zip(("anna", "ben"), people, strict=True))
        await ben.enter(0)
        await anna.enter(1)
        await ben.sees(1)
        await speaks(anna, b"first", ben, times=40)
        tape = ben.kept(anna)
        await anna.room.leave()
        await ben.sees(0)
        ben.tap.media.clear()
        await anna.enter(1)
        await ben.sees(1)
        await speaks(anna, b"second", ben, times=1)
        heard = ben.words().count(b"first")
        for frame in tape:
            ben.is_sent(frame.body, ben.number_of(anna))
        await speaks(anna, b"at last", ben, times=1)
        again = {frame_header(frame.body) for frame in ben.kept(anna)}
        return len(again & {frame_header(frame.body) for frame in tape}), ben.words().count(b"first") - heard


async def test_whoever_enters_again_begins_with_another_key(folder: Path) -> None:
    assert await entered_again(folder) == (0, 0)


async def test_without_a_new_key_counters_begin_again_and_old_frames_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: dict[bytes, MediaKey] = {}

    def same(own: OwnKey) -> MediaKey:
        fresh = MediaKey.create(MediaKind.VOICE, own._channel_id, own._me)
        return keys.setdefault(own._me, fresh)

    monkeypatch.setattr(OwnKey, "_fresh", same)  # the defence, off
    monkeypatch.setattr(OwnKey, "_step", lambda *_, **__: True)
    twice, opened = await entered_again(folder)
    assert twice > 0
    assert opened > 0
