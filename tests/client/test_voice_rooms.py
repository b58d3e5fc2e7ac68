"""Voice rooms of real engines on a real server: who hears whom, whoever comes, goes, or is cut off."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from mobium.client import VoiceChanged, VoiceLeft, VoiceRoom, audience
from mobium.client.transport import TransportClosed
from mobium.crypto.media import MediaKind
from mobium.errors import InvalidInput, NotConnected, ServerRefused, StoreError
from mobium.protocol import content
from mobium.protocol.codes import CloseCode
from mobium.protocol.messages import History, RosterPage, SendSignal, ServerMessage, Speaker, VoiceState
from tests.support.channel_world import ChannelWorld
from tests.support.engines import PATIENCE, Ear, online, until
from tests.support.voice_rooms import Hearing, all_in, enters, hears


async def test_everybody_hears_everybody(town: ChannelWorld) -> None:
    people = await town.gather("anna", "ben", "cleo")
    found = await all_in(*people)
    for (room, _), engine in zip(found, people, strict=True):
        ears = [ear for other, ear in found if other is not room]
        await hears(room, *ears)
        for ear in ears:
            assert ear.packets[-1][0] == engine.me
            assert ear.packets[-1][1].startswith(b"word")
    for room, ear in found:
        assert room.people == sorted(each.me for each in people if each.me in ear.there)
        assert room.state == "in"
    room, ear = found[0]
    await room.leave()

    async def over() -> bool:
        return ear.over == "" and people[0].rooms.present is None

    await until(over)
    await hears(found[1][0], found[2][1])


async def test_whoever_was_in_before_is_heard_by_whoever_comes_later_and_has_not_left_a_word(
    town: ChannelWorld,
) -> None:
    anna, ben, cleo = await town.gather("anna", "ben", "cleo")
    (first, _), (_, ear) = await all_in(anna, ben)
    await hears(first, ear)
    _room, late = await enters(cleo)
    await hears(first, ear, late)
    assert {speaker for speaker, _ in late.packets} == {anna.me}


async def test_who_is_in_is_told_to_those_outside(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    ear = Ear(ben)
    room, _ = await enters(anna)
    event = await ear.next(VoiceChanged, lambda event: bool(event.people))
    assert (event.label, event.people) == ("#garden", (anna.me,))
    assert await ben.rooms.people("#garden") == [anna.me]
    await room.leave()
    await ear.next(VoiceChanged, lambda event: not event.people)
    assert await ben.rooms.people("#garden") == []


async def test_who_came_into_the_channel_meanwhile_is_told_once_the_roster_is_there(
    town: ChannelWorld,
) -> None:
    anna, ben = await town.gather("anna", "ben")
    await ben.disconnect()
    [cleo] = await town.people("cleo")
    await cleo.join(await anna.invite("#garden"))
    room, _ = await enters(cleo)
    tap, held = town.tap("ben"), []

    def late(message: ServerMessage) -> ServerMessage | None:
        if not isinstance(message, History | RosterPage):
            return message
        held.append(message)
        return None

    tap.down = late
    ear = Ear(ben)
    await ben.connect()
    await ear.next(VoiceChanged, lambda event: not event.people)
    tap.honest()
    for message in held:
        tap.say(message)
    event = await ear.next(VoiceChanged)
    assert event.people == (cleo.me,)
    assert await ben.rooms.people("#garden") == [cleo.me]
    await room.leave()
    assert (await ear.next(VoiceChanged)).people == ()


async def test_a_break_is_got_over_under_new_keys(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    (ours, ear_a), (theirs, ear_b) = await all_in(anna, ben)
    await hears(ours, ear_b)
    before = ours._own[MediaKind.VOICE].kid
    town.tap("anna").cut()

    async def again() -> bool:
        return ours.state == "in" and ours._own[MediaKind.VOICE].kid >> 8 != before >> 8

    await until(again)
    await hears(ours, ear_b)
    await hears(theirs, ear_a)


async def test_a_key_that_was_lost_on_its_way_is_asked_for(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    town.tap("anna").up = lambda message: None if isinstance(message, SendSignal) else message
    (ours, _), (_, ear) = await all_in(anna, ben)
    for _ in range(5):
        ours.say(b"not heard")
        await asyncio.sleep(0.02)
    assert ear.packets == []
    town.tap("anna").honest()
    await hears(ours, ear)


async def test_a11_whoever_is_no_member_is_handed_no_key_whatever_the_server_shows(
    town: ChannelWorld,
) -> None:
    anna, ben, mallory = await town.gather("anna", "ben", "mallory")
    (ours, ear_a), (_theirs, ear_b), (_, ear_m) = await all_in(anna, ben, mallory)
    await hears(ours, ear_b, ear_m)
    shown: list[VoiceState] = []

    def never_gone(message: object) -> object:
        """The server goes on showing Mallory."""
        if isinstance(message, VoiceState) and message.room:
            shown.append(message)
            if all(each.identity.hex() != mallory.me for each in message.members):
                return None
        return message

    town.tap("anna").down = never_gone  # type: ignore[assignment]
    before = ours._own[MediaKind.VOICE].kid >> 8
    await anna.remove("#garden", mallory.me)

    async def alone() -> bool:
        return ours.people == [ben.me] and ours._own[MediaKind.VOICE].kid >> 8 != before

    await until(alone)
    await hears(ours, ear_b)
    assert mallory.me not in ear_a.there

    async def out() -> bool:
        return ear_m.over is not None

    await until(out)
    assert "no member" in str(ear_m.over)


async def test_whoever_is_blocked_hears_nothing_and_is_not_heard(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    (ours, ear_a), (theirs, ear_b) = await all_in(anna, ben)
    await hears(theirs, ear_a)
    await anna.contacts.add(ben.me)
    await anna.contacts.block(ben.me)

    async def unseen() -> bool:
        return ours.people == []

    await until(unseen)
    count = len(ear_a.packets)
    for _ in range(5):
        theirs.say(b"to a wall")
        await asyncio.sleep(0.02)
    assert len(ear_a.packets) == count
    await anna.contacts.unblock(ben.me)
    await hears(theirs, ear_a)
    await hears(ours, ear_b)


async def test_pictures_travel_and_are_asked_for(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    (ours, ear_a), (theirs, ear_b) = await all_in(anna, ben)

    async def seen() -> bool:
        sealed = ours.seal_picture(b"a picture")
        assert sealed is not None
        await ours.send_fragment(sealed)
        await asyncio.sleep(0.05)
        return (anna.me, b"a picture") in ear_b.pictures

    await until(seen)
    theirs.ask_picture(anna.me)

    async def asked() -> bool:
        return ear_a.wanted == 1

    await until(asked)


async def test_what_cannot_be(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    with pytest.raises(InvalidInput, match="no channel"):
        await anna.rooms.join("#nowhere", Hearing())
    await ben.leave("#garden")
    with pytest.raises(InvalidInput, match="left"):
        await ben.rooms.join("#garden", Hearing())
    await ben.disconnect()
    with pytest.raises(NotConnected):
        await ben.rooms.join("#garden", Hearing())
    room, ear = await enters(anna)
    assert ours_alone(room)
    other, _ = await enters(anna)  # once more: the first one is over
    assert (room.state, other.state) == ("left", "in")
    assert ear.over == ""
    await anna.disconnect()

    async def over() -> bool:
        return other.state == "left"

    await until(over)


def ours_alone(room: VoiceRoom) -> bool:
    """Nobody hears, and nothing breaks."""
    room.say(b"hello")
    return room.people == []


async def test_a_full_room_says_so(town: ChannelWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobium_server.voice.MAX_SPEAKERS", 1)
    anna, ben = await town.gather("anna", "ben")
    await enters(anna)
    ear = Ear(ben)
    with pytest.raises(ServerRefused) as caught:
        await ben.rooms.join("#garden", Hearing())
    assert caught.value.code == "room_full"
    await ear.next(VoiceLeft, lambda event: "as many people" in event.reason)
    assert ben.rooms.present is None


async def test_a_call_that_is_cancelled_leaves_no_room(town: ChannelWorld) -> None:
    [anna] = await town.gather("anna")
    tap = town.tap("anna")
    tap.down = lambda message: None if isinstance(message, VoiceState) else message
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await anna.rooms.join("#garden", Hearing())

    async def gone() -> bool:
        return anna.rooms.present is None

    await until(gone)
    tap.honest()
    await asyncio.wait_for(enters(anna), PATIENCE)
    assert online(anna).link.online


async def test_what_goes_wrong_in_a_room_ends_no_engine(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, ben = await town.gather("anna", "ben")
    (ours, ear_a), (_, ear_b) = await all_in(anna, ben)
    allowed = audience.allowed
    full = True

    def refuses(*arguments: Any) -> Any:
        if full:
            raise StoreError("The disk is full.")
        return allowed(*arguments)

    monkeypatch.setattr(audience, "allowed", refuses)
    ours.look_again()
    await hears(ours, ear_b)
    full = False
    monkeypatch.setattr(ours._theirs, "missing", lambda _now: 1 / 0)
    told = Ear(anna)
    ours.look_again()
    event = await told.next(VoiceLeft)
    assert "went wrong" in event.reason
    assert ear_a.over == event.reason

    async def gone() -> bool:
        return not ear_b.there

    await until(gone)
    await all_in(anna)
    await anna.send(ben.me, "alive")


async def test_a_listener_that_fails_ends_no_connection(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, ben = await town.gather("anna", "ben")
    (ours, _), (_, ear) = await all_in(anna, ben)
    await hears(ours, ear)
    count = 0

    def fails(*_: object) -> None:
        nonlocal count
        count += 1
        raise RuntimeError("of the program")

    monkeypatch.setattr(ear, "voice", fails)

    async def twice() -> bool:
        ours.say(b"x")
        return count > 1

    await until(twice)
    assert ben.connection == "online"


async def test_a_room_that_is_let_go_keeps_no_ghost(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    _, ear = await enters(ben)
    joining = asyncio.create_task(anna.rooms.join("#garden", Hearing()))

    async def seen() -> bool:
        return bool(ear.there)

    await until(seen)
    await joining
    assert anna.rooms.present is not None
    anna.rooms.let_go(anna.rooms.present)

    async def alone() -> bool:
        return not ear.there and anna.rooms.present is None

    await until(alone)


async def test_two_joins_at_once_leave_one_room(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    (_, _), (_, ear) = await all_in(anna, ben)
    one, two = await asyncio.gather(
        anna.rooms.join("#garden", Hearing()), anna.rooms.join("#garden", Hearing())
    )
    assert (one.state, two.state) == ("left", "in")
    assert anna.rooms.present is two
    await hears(two, ear)
    await two.leave()

    async def alone() -> bool:
        return not ear.there

    await until(alone)


async def test_somebody_who_asks_again_and_again_is_answered_once_a_second(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    (ours, _), (theirs, ear) = await all_in(anna, ben)
    await hears(ours, ear)
    town.tap("anna").sent.clear()
    for _ in range(50):
        ours.heard(bytes.fromhex(ben.me), theirs._request(MediaKind.VOICE, "key"))
    await hears(ours, ear)
    assert len(town.tap("anna").all(SendSignal)) <= 2


async def test_a_login_elsewhere_ends_the_room_with_its_reason(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    (_, ear), _ = await all_in(anna, ben)
    tap = town.tap("anna")
    assert tap._line is not None
    tap._line.waiting.put_nowait(TransportClosed(CloseCode.REPLACED))

    async def over() -> bool:
        return bool(ear.over)

    await until(over)
    assert "somewhere else" in str(ear.over)


async def test_of_channels_that_nobody_here_knows_nothing_is_kept(town: ChannelWorld) -> None:
    [anna] = await town.gather("anna")
    for number in range(2_000):
        anna.rooms.told(VoiceState(number.to_bytes(32, "big"), 1))

    async def told() -> bool:
        return not anna.rooms._news

    await until(told)
    assert anna.rooms._states == {}


async def test_after_the_end_no_key_is_kept(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    (ours, _), (theirs, ear) = await all_in(anna, ben)
    await hears(ours, ear)
    await theirs.leave()

    async def over() -> bool:
        return ear.over is not None

    await until(over)
    assert theirs._own == {}
    assert theirs._theirs._sources == {}


async def test_whoever_is_back_before_anybody_has_looked_is_handed_the_key(town: ChannelWorld) -> None:
    """Else a break that is over at once would cost the others' first half second, and a request of each."""
    anna, ben = await town.gather("anna", "ben")
    (ours, _), (theirs, _) = await all_in(anna, ben)
    [me] = [one for one in _shown(theirs) if one.identity.hex() == anna.me]
    other = Speaker(bytes.fromhex(ben.me), max(ours._speakers) + 1_000)
    town.tap("anna").sent.clear()
    ours.told(VoiceState(ours.key, ours._number, [me]))
    ours.told(VoiceState(ours.key, ours._number, [me, other]))

    async def handed() -> bool:
        return bool(town.tap("anna").all(SendSignal))

    await until(handed)
    assert ours.people == [ben.me]


def _shown(room: VoiceRoom) -> list[Speaker]:
    return [Speaker(key, number) for number, key in room._speakers.items()]


async def test_whoever_is_gone_is_handed_nothing_though_the_store_refuses(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, ben, cleo = await town.gather("anna", "ben", "cleo")
    (ours, ear_a), (theirs, _), _ = await all_in(anna, ben, cleo)

    def refuses(*_: Any) -> Any:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(audience, "allowed", refuses)
    before = ours._own[MediaKind.VOICE].kid >> 8
    await theirs.leave()

    async def renewed() -> bool:
        return ours.people == [cleo.me] and ours._own[MediaKind.VOICE].kid >> 8 != before

    await until(renewed)
    assert ear_a.there == [cleo.me]


async def test_whoever_hands_over_keys_without_end_pushes_out_nobody_elses(town: ChannelWorld) -> None:
    """Keys of those who are not shown in the room yet are kept for a while: so many of each."""
    [anna] = await town.gather("anna")
    ours, _ = await enters(anna)

    def handed(number: int) -> content.MediaKey:
        kid = 0x80000000 + (number << 8)
        return content.MediaKey(os.urandom(16), 1, ours.key, ours._number, 1, kid, bytes(32))

    once = handed(0)
    ours.heard(b"b" * 32, once)
    for number in range(1_000):
        ours.heard(b"e" * 32, handed(number))
    kept: list[tuple[bytes, content.MediaKey]] = []

    def take(sender: bytes, key: content.MediaKey) -> bool:
        kept.append((sender, key))
        return True

    ours._early.offer(take, 0.0)
    assert (b"b" * 32, once) in kept
    assert len(kept) < 20


async def test_what_was_told_just_before_a_break_is_not_believed_after_it(town: ChannelWorld) -> None:
    """After a login the server tells of rooms with somebody in them alone, so nothing would correct it."""
    anna, ben = await town.gather("anna", "ben")
    ear = Ear(anna)
    key = bytes.fromhex((await anna.channels.get("#garden")).id)
    state = VoiceState(key, 7, [Speaker(bytes.fromhex(ben.me), 1)])
    anna.rooms.told(state)
    await asyncio.sleep(0)  # the store is asked who that is,
    anna.rooms.offline()  # and meanwhile the connection breaks
    await ear.next(VoiceChanged)
    assert await anna.rooms.people("#garden") == []
    anna.rooms.told(state)
    await ear.next(VoiceChanged)
    assert await anna.rooms.people("#garden") == [ben.me]
