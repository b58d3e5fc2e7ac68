"""Steps of calls on their way out: whose go first, how many there are, what becomes of those that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mobium.client.call_steps import _BURST, _OWN, _REPLIES, CallSteps
from mobium.client.call_values import Say, Step
from mobium.errors import InvalidInput, NotConnected
from tests.support.engines import until

pytestmark = pytest.mark.once

ANNA, BEN, EVE, MAL = (letter * 32 for letter in (b"a", b"b", b"e", b"m"))


class Saying:
    """Steps that go out when the gate is open, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.said: list[Say] = []
        self.failures: list[str] = []
        self.error: Exception | None = None
        self.now = 0.0
        self.gate = asyncio.Event()
        self.steps = CallSteps(self._send, lambda _, why: self.failures.append(why), lambda: self.now)

    async def _send(self, say: Say) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.said.append(say)

    def reply(self, peer: bytes, number: int) -> None:
        self.steps.put(Say(peer, number.to_bytes(16, "big"), "hangup", reply=True))

    async def has_said(self, count: int) -> None:
        async def there() -> bool:
            return len(self.said) >= count

        await until(there)


@pytest.fixture
async def saying() -> AsyncIterator[Saying]:
    one = Saying()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(one.steps.run())
        yield one
        running.cancel()


async def test_what_two_ask_without_end_is_answered_once_a_second_each(saying: Saying) -> None:
    saying.gate.set()
    for number in range(600):  # 30 a second of each, for ten seconds
        saying.now = number // 2 / 30
        saying.reply((EVE, MAL)[number % 2], number)
        await asyncio.sleep(0)
    saying.steps.put(Say(BEN, bytes(16), "hangup"))

    async def ended() -> bool:
        return any(one.peer == BEN for one in saying.said)

    await until(ended)
    for peer in (EVE, MAL):
        count = sum(one.peer == peer for one in saying.said)
        assert 10 <= count <= _BURST + 10, count


async def test_ones_own_step_goes_before_all_that_waits_and_what_waits_is_bounded(saying: Saying) -> None:
    for number in range(200):
        saying.reply(number.to_bytes(32, "big"), number)
    await asyncio.sleep(0)
    steps: list[Step] = ["offer", "cancel"]
    for step in steps:
        saying.steps.put(Say(BEN, bytes(16), step))
    assert len(saying.steps._replies) == _REPLIES
    saying.gate.set()
    await saying.has_said(2 + _REPLIES)
    first = [one.step for one in saying.said[:3]]
    assert [step for step in first if step != "hangup"] == ["offer", "cancel"], "behind one under way at most"
    assert len(saying.said) <= 3 + _REPLIES


async def test_ones_own_are_bounded_and_the_newest_stay(saying: Saying) -> None:
    for number in range(100):
        saying.steps.put(Say(BEN, number.to_bytes(16, "big"), "hangup"))
    assert saying.steps.pending == _OWN
    saying.gate.set()
    await saying.has_said(_OWN)
    assert [int.from_bytes(one.call, "big") for one in saying.said[-_OWN:]] == list(range(100 - _OWN, 100))


async def test_who_uses_the_id_of_another_call_takes_nothing_of_its_place(saying: Saying) -> None:
    call = b"c" * 16
    saying.steps.put(Say(BEN, call, "hangup"))
    saying.steps.put(Say(BEN, call, "hangup"))
    saying.steps.put(Say(EVE, call, "hangup"))
    saying.steps.put(Say(EVE, call, "hangup", reply=True))
    saying.gate.set()
    await saying.has_said(3)
    assert [one.peer for one in saying.said] == [BEN, EVE, EVE]


async def test_whose_peers_are_many_are_counted_within_bounds(saying: Saying) -> None:
    for number in range(1_000):
        saying.reply(number.to_bytes(32, "big"), number)
    assert len(saying.steps._held) <= 256


async def test_a_step_of_ones_own_that_cannot_be_said_is_told_and_others_follow(saying: Saying) -> None:
    saying.gate.set()
    saying.error = InvalidInput("This contact is blocked.")
    saying.reply(EVE, 1)
    saying.steps.put(Say(BEN, bytes(16), "offer"))

    async def told() -> bool:
        return bool(saying.failures) and saying.steps.pending == 0 and not saying.steps._replies

    await until(told)
    assert saying.failures == ["This contact is blocked."]
    saying.error = NotConnected("There is no connection.")
    saying.steps.put(Say(BEN, bytes(16), "offer"))
    await until(told)
    saying.error = None
    saying.steps.put(Say(BEN, bytes(16), "cancel"))
    await saying.has_said(1)
    assert saying.failures == ["This contact is blocked."]
