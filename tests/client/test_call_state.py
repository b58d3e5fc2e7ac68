"""The machine of a call: each way through it, and random schedules of both sides over a bad network."""

from __future__ import annotations

import random

import pytest

from mobium.client.call_state import CONNECT, GRACE, PREPARE, RECONNECT, REPEAT, RING, SILENCE
from mobium.client.call_values import Phase, Tell
from mobium.protocol.content import Call
from tests.client.call_world import ANNA, BEN, EPOCH, EVE, Side, World, talking
from tests.support.server import randomness, schedules

pytestmark = pytest.mark.once


@pytest.fixture
def world() -> World:
    return World(random.Random(1))


# ---------------------------------------------------------------- one way after the other


def test_a_call_is_made_taken_and_ended(world: World) -> None:
    talking(world)
    anna, ben = world.sides[ANNA], world.sides[BEN]
    assert [tell.state for tell in anna.told] == ["calling", "ringing", "connecting", "active"]
    assert [tell.state for tell in ben.told] == ["incoming", "connecting", "active"]
    world.run(600)
    assert world.states() == ("active", "active")
    world.hang_up(BEN)
    world.run(1)
    assert world.states() == ("ended", "ended")
    assert anna.codes == ben.codes == ["hung_up"]
    assert not anna.links
    assert not ben.links


def test_who_is_called_prepares_nothing_before_the_person_accepts(world: World) -> None:
    world.dial(ANNA, BEN)
    world.run(RING - 1)
    assert world.states() == ("ringing", "incoming")
    assert not world.sides[BEN].links


def test_it_rings_for_thirty_seconds_on_both_sides(world: World) -> None:
    world.dial(ANNA, BEN)
    world.run(RING - 1)
    assert world.states() == ("ringing", "incoming")
    world.run(2)
    assert world.states() == ("ended", "ended")
    assert world.sides[ANNA].codes == ["no_answer"]
    assert world.sides[BEN].codes == ["missed"]


def test_nobody_is_there(world: World) -> None:
    world.loss = 1.0
    world.dial(ANNA, BEN)
    world.run(RING - 1)
    assert world.states() == ("calling", "ended")
    world.run(2)
    assert world.sides[ANNA].codes == ["unreachable"]
    offers = [said for said in world.sides[ANNA].said if said.step == "offer"]
    assert len(offers) == RING / REPEAT, "repeated, for somebody who comes online meanwhile"


def test_who_comes_online_while_it_rings_hears_it(world: World) -> None:
    world.loss = 1.0
    world.dial(ANNA, BEN)
    world.run(10)
    world.loss = 0.0
    world.run(4)
    assert world.states() == ("ringing", "incoming")


def test_declined(world: World) -> None:
    world.dial(ANNA, BEN)
    world.run(2)
    world.hang_up(BEN)
    world.run(1)
    assert world.sides[ANNA].codes == world.sides[BEN].codes == ["declined"]
    world.run(RING)
    assert len(world.sides[BEN].told) == 2, "it does not ring again"


def test_a_refusal_that_is_lost_is_said_again(world: World) -> None:
    world.dial(ANNA, BEN)
    world.run(2)
    world.loss = 1.0
    world.hang_up(BEN)
    world.loss = 0.0
    world.run(4)
    assert world.sides[ANNA].codes == ["declined"]


def test_cancelled(world: World) -> None:
    world.dial(ANNA, BEN)
    world.run(2)
    world.hang_up(ANNA)
    world.run(1)
    assert world.sides[ANNA].codes == ["cancelled"]
    assert world.sides[BEN].codes == ["missed"]


def test_cancelled_before_anything_was_sent(world: World) -> None:
    world.dial(ANNA, BEN)
    world.hang_up(ANNA)
    world.run(5)
    assert world.sides[ANNA].codes == ["cancelled"]
    assert world.sides[ANNA].said == []
    assert world.sides[BEN].told == []


def test_busy(world: World) -> None:
    talking(world)
    world.dial(EVE, BEN)
    world.run(1)
    assert world.sides[EVE].codes == ["busy"]
    assert world.states() == ("active", "active")
    assert world.sides[BEN].missed == [EVE], "told once, however often it was offered"


def test_a_second_one_who_calls_while_it_rings_is_told_busy(world: World) -> None:
    world.dial(ANNA, BEN)
    world.run(1)
    world.dial(EVE, BEN)
    world.run(1)
    assert world.sides[EVE].codes == ["busy"]
    assert world.states() == ("ringing", "incoming")


def test_an_answer_that_crosses_the_end_of_the_ringing_is_told_so(world: World) -> None:
    world.delay = 0.4
    world.dial(ANNA, BEN)
    world.run(RING - 0.2)
    world.accept(BEN)
    world.run(5)
    assert world.states() == ("ended", "ended")


@pytest.mark.parametrize("smaller", [ANNA, BEN])
def test_both_call_at_once_and_talk(world: World, smaller: bytes) -> None:
    for who, other in ((ANNA, BEN), (BEN, ANNA)):
        world.dial(who, other, (b"\1" if who == smaller else b"\2") * 16)
    world.delay = 1.0  # so that either has offered before it hears of the other
    world.run(5)
    assert world.states() == ("active", "active")
    anna, ben = world.sides[ANNA], world.sides[BEN]
    assert anna.machine.talk is not None
    assert ben.machine.talk is not None
    assert anna.machine.talk.call == ben.machine.talk.call == b"\1" * 16
    assert [tell.key for tell in anna.told] == [anna.told[0].key] * len(anna.told), "one call to the person"
    world.hang_up(ANNA)
    world.run(1)
    assert world.states() == ("ended", "ended")
    assert anna.codes == ben.codes == ["hung_up"]


def test_who_has_not_offered_yet_takes_the_call_that_comes(world: World) -> None:
    world.dial(BEN, ANNA, b"\2" * 16)
    while not world.sides[BEN].said:
        world.run(0.01)
    world.dial(ANNA, BEN, b"\1" * 16)
    side = world.sides[BEN]
    offer = Call(bytes(16), EPOCH + int(world.now * 1000), b"\2" * 16, "offer", 0, side.said[0].sdp)
    world.deliver(BEN, ANNA, offer)
    world.run(3)
    assert world.states() == ("active", "active")
    assert side.machine.talk is not None
    assert side.machine.talk.call == b"\2" * 16


@pytest.mark.parametrize("lost", [ANNA, BEN])
def test_both_call_and_one_first_offer_is_lost(world: World, lost: bytes) -> None:
    world.dial(ANNA, BEN, b"\1" * 16)
    world.dial(BEN, ANNA, b"\2" * 16)
    real = world.deliver

    def deliver(sender: bytes, recipient: bytes, signal: Call) -> None:
        if sender != lost or world.now > 101:
            real(sender, recipient, signal)

    world.deliver = deliver  # type: ignore[method-assign]
    world.run(8)
    assert world.states() == ("active", "active")


def test_a_network_that_comes_back_soon_is_noticed_by_nobody(world: World) -> None:
    talking(world)
    world.up = False
    world.run(SILENCE - 1)
    world.up = True
    world.run(20)
    assert world.sides[ANNA].told[-1].state == "active"
    assert "reconnecting" not in [tell.state for tell in world.sides[ANNA].told]


def test_a_lost_network_is_found_again_by_a_new_offer_of_the_same_call(world: World) -> None:
    key = talking(world)
    for link in [link for side in world.sides.values() for link in side.links.values()]:
        link.connected = False  # the way there is gone for good
    world.run(SILENCE + 5)
    assert world.states() == ("active", "active")
    for side in (world.sides[ANNA], world.sides[BEN]):
        assert [tell.state for tell in side.told][-3:] == ["active", "reconnecting", "active"]
        assert list(side.links) == [(key, 1)]
    assert not [said for said in world.sides[BEN].said if said.step == "offer"], "one side offers"


def test_one_who_is_not_heard_asks_for_another_attempt(world: World) -> None:
    key = talking(world)
    ben = world.sides[BEN]
    ben.links[key, 0].deaf = True
    world.run(SILENCE + 5)
    assert "again" in [said.step for said in ben.said]
    assert world.states() == ("active", "active")
    assert list(world.sides[ANNA].links) == [(key, 1)]


def test_a_link_that_ends_is_waited_for_until_the_word_comes(world: World) -> None:
    key = talking(world)
    ben = world.sides[BEN]
    world.carry_out(ben, ben.machine.failed(key, 0, "lost", world.now))
    world.hang_up(ANNA)
    world.run(2)
    assert [tell.state for tell in ben.told][-2:] == ["active", "ended"]
    key = talking(world)
    world.carry_out(ben, ben.machine.failed(key, 0, "lost", world.now))
    ben.links[key, 0].deaf = True
    world.run(GRACE + 0.1)
    assert ben.state == "reconnecting"
    world.run(5)
    assert world.states() == ("active", "active")


def test_a_network_that_stays_away_ends_the_call(world: World) -> None:
    talking(world)
    world.up = False
    world.run(SILENCE + RECONNECT + 1)
    assert world.states() == ("ended", "ended")
    assert world.sides[ANNA].codes == world.sides[BEN].codes == ["lost"]


def test_attempts_that_fail_are_followed_by_others(world: World) -> None:
    talking(world)
    for link in [link for side in world.sides.values() for link in side.links.values()]:
        link.connected = False
    world.describes = False
    world.run(SILENCE + 10)
    world.describes = True
    world.run(8)
    assert world.states() == ("active", "active")


def test_descriptions_that_cannot_be_made(world: World) -> None:
    world.describes = False
    world.dial(ANNA, BEN)
    world.run(1)
    assert world.sides[ANNA].codes == ["failed"]
    world.describes = True
    world.dial(ANNA, BEN)
    world.run(1)
    world.describes = False
    world.accept(BEN)
    world.run(1)
    assert world.sides[BEN].codes == ["failed"]
    assert world.sides[ANNA].codes == ["failed", "not_taken"]


def test_links_that_never_connect(world: World) -> None:
    world.connects = False
    world.dial(ANNA, BEN)
    world.run(1)
    world.accept(BEN)
    world.run(CONNECT - 1)
    assert world.states() == ("connecting", "connecting")
    world.run(2)
    assert world.sides[ANNA].codes[0] in {"not_connected", "hung_up"}
    assert world.states() == ("ended", "ended")


def test_a_preparation_that_hangs(world: World) -> None:
    side = world.sides[ANNA]
    side.told += [
        effect for effect in side.machine.dial(b"k" * 16, BEN, world.now) if isinstance(effect, Tell)
    ]
    world.run(PREPARE - 1)
    assert side.state == "calling"
    world.run(2)
    assert side.codes == ["failed"]


def test_an_old_offer_does_not_ring(world: World) -> None:
    for age in (60, 3_600, -60):
        sent = EPOCH + int((world.now - age) * 1000)
        for repeat in range(5):  # what waited comes all at once
            offer = Call(bytes(16), sent + repeat * 3000, b"o" * 16, "offer", 0, "sdp")
            world.deliver(ANNA, BEN, offer)
    world.run(1)
    assert world.sides[BEN].told == []
    assert world.sides[BEN].said == []


@pytest.mark.parametrize("wrong", [-86_400.0, 86_400.0, 40.0])
def test_a_wrong_clock_rings_at_the_second_offer(world: World, wrong: float) -> None:
    world.sides[BEN].clock = wrong
    world.dial(ANNA, BEN)
    world.run(REPEAT + 1)
    assert world.states() == ("ringing", "incoming")


def test_a_program_that_began_anew_can_call_again(world: World) -> None:
    talking(world)
    world.sides[ANNA] = Side(ANNA)
    world.dial(ANNA, BEN)
    world.run(1)
    assert world.sides[BEN].state == "active", "it may be an old offer while the other side is heard"
    world.run(SILENCE + REPEAT)
    assert len(world.sides[BEN].codes) == 1
    assert world.states() == ("ringing", "incoming")


STEPS = ["ringing", "answer", "decline", "busy", "cancel", "hangup", "again"]


@pytest.mark.parametrize("step", STEPS)
def test_signals_of_no_call_change_nothing(world: World, step: str) -> None:
    sdp = "sdp" if step == "answer" else None
    world.deliver(ANNA, BEN, Call(bytes(16), EPOCH, b"n" * 16, step, 0, sdp))
    ben = world.sides[BEN]
    assert ben.told == []
    assert ben.said == []


@pytest.mark.parametrize("step", ["offer", *STEPS])
def test_signals_of_a_call_that_is_over_are_answered_and_change_nothing(world: World, step: str) -> None:
    call = talking(world)
    world.hang_up(ANNA)
    world.run(1)
    ben = world.sides[BEN]
    told, said = len(ben.told), len(ben.said)
    sdp = "sdp" if step in {"offer", "answer"} else None
    world.deliver(ANNA, BEN, Call(bytes(16), EPOCH + int(world.now * 1000), call, step, 1, sdp))
    assert len(ben.told) == told
    answered = step in {"offer", "answer", "again"}
    assert [(one.step, one.reply) for one in ben.said[said:]] == ([("hangup", True)] if answered else [])


@pytest.mark.parametrize("step", ["offer", *STEPS])
def test_signals_of_somebody_else_with_the_right_call_change_nothing(world: World, step: str) -> None:
    call = talking(world)
    before = len(world.sides[BEN].told)
    sdp = "sdp" if step in {"offer", "answer"} else None
    for attempt in (0, 1):
        sent = EPOCH + int(world.now * 1000)
        world.deliver(EVE, BEN, Call(bytes(16), sent, call, step, attempt, sdp))
        world.deliver(EVE, ANNA, Call(bytes(16), sent, call, step, attempt, sdp))
    world.run(10)
    assert world.states() == ("active", "active")
    assert len(world.sides[BEN].told) == before


@pytest.mark.parametrize("step", ["offer", "ringing", "answer", "decline", "busy", "cancel"])
def test_what_was_said_before_changes_nothing_when_it_comes_again(world: World, step: str) -> None:
    call = talking(world)
    before = [len(side.told) for side in world.sides.values()]
    sdp = "sdp" if step in {"offer", "answer"} else None
    sent = EPOCH + int(world.now * 1000)
    world.deliver(BEN, ANNA, Call(bytes(16), sent, call, step, 0, sdp))
    if step != "cancel":
        world.deliver(ANNA, BEN, Call(bytes(16), sent, call, step, 0, sdp))
    world.run(10)
    assert world.states() == ("active", "active")
    assert [len(side.told) for side in world.sides.values()] == before


# ---------------------------------------------------------------- random schedules


def schedule(dice: random.Random) -> World:
    """Two minutes of two people who do anything at any time over a network that does likewise; then quiet."""
    world = World(dice, loss=dice.choice([0.0, 0.1, 0.3]), delay=dice.choice([0.02, 0.1]))
    for side in world.sides.values():
        side.clock = dice.choice([0.0, 0.0, dice.uniform(-20, 20), dice.uniform(-1e6, 1e6)])
    if dice.random() < 0.5:
        world.dial(ANNA, BEN)
        world.run(4)
        world.accept(BEN)
        world.run(4)
    acts = {"dial": 6, "accept": 6, "end": 2, "network": 3, "links": 3, "deaf": 2, "describe": 1, "crash": 1}
    for _ in range(dice.randint(10, 60)):
        who = dice.choice([ANNA, BEN])
        side, other = world.sides[who], BEN if who == ANNA else ANNA
        talk = side.machine.talk
        match dice.choices(list(acts), list(acts.values()))[0]:
            case "dial" if talk is None:
                world.dial(who, dice.choice([other, other, other, EVE]))
            case "accept":
                world.accept(who)
            case "end":
                world.hang_up(who)
            case "network":
                world.up = not world.up
                world.connects = dice.random() < 0.8
            case "links":
                for link in side.links.values():
                    link.connected = False
            case "deaf":
                for link in side.links.values():
                    link.deaf = True
            case "describe":
                world.describes = dice.random() < 0.7
            case "crash":
                world.sides[who] = Side(who, clock=side.clock)
        world.run(dice.choice([0.0, 0.02, 0.3, 2.0, 8.0]))
    return world


@pytest.mark.parametrize("number", range(schedules()))
def test_random_schedules(number: int, seed: int) -> None:
    print(f"seed {seed}, schedule {number}")
    world = schedule(randomness(seed, number))
    world.up = world.connects = world.describes = True
    world.loss = 0.0
    world.run(RING + PREPARE + CONNECT + RECONNECT + SILENCE + 10)
    anna, ben = world.sides[ANNA].machine.talk, world.sides[BEN].machine.talk
    assert (anna is None) == (ben is None), (anna, ben)
    if anna is not None and ben is not None:
        assert anna.phase is ben.phase is Phase.ACTIVE
        assert (anna.call, anna.attempt, anna.offers) == (ben.call, ben.attempt, not ben.offers)
    world.hang_up(ANNA)
    world.run(1)
    assert world.states() == ("ended", "ended")


@pytest.mark.parametrize("number", range(schedules()))
def test_what_breaks_in_a_call_is_mended_until_somebody_hangs_up(number: int, seed: int) -> None:
    print(f"seed {seed}, schedule {number}")
    dice = randomness(seed, number)
    world = World(dice)
    talking(world)
    for _ in range(20):
        broken = dice.choice(list(world.sides[dice.choice([ANNA, BEN])].links.values()))
        match dice.choice(["gone", "deaf", "outage", "slow"]):
            case "gone":
                broken.connected = False
            case "deaf":
                broken.deaf = True
            case "outage":
                world.up = False
            case "slow":
                world.connects = False
        world.run(dice.uniform(0, SILENCE + 3))
        world.up = world.connects = True
        world.run(SILENCE + CONNECT + 2 * REPEAT)
        assert world.states() == ("active", "active")
    talk = world.sides[ANNA].machine.talk
    assert talk is not None
    print(f"{talk.attempt} new attempts")
