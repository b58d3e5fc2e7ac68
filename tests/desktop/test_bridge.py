"""Answers come back to whoever drains, and closing waits for what has to end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from mobium_client.gui.bridge import Bridge
from mobium_client.gui.models.dispatch import Dispatcher

WAIT = 10.0


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    one = Bridge(Dispatcher())
    yield one
    assert one.close()


def drain(bridge: Bridge, answers: list[object], count: int = 1) -> None:
    end = time.monotonic() + WAIT
    while len(answers) < count:
        assert time.monotonic() < end
        bridge.drain()
        time.sleep(0.001)


def test_an_answer_comes_back_in_the_thread_that_drains(bridge: Bridge) -> None:
    async def work() -> str:
        return threading.current_thread().name

    answers: list[object] = []
    bridge.submit(work(), lambda name: answers.append((name, threading.current_thread().name)))
    drain(bridge, answers)
    assert answers == [("mobium", threading.current_thread().name)]


def test_what_fails_goes_to_the_other_one(bridge: Bridge) -> None:
    async def work() -> None:
        raise ValueError("no")

    done: list[object] = []
    failed: list[object] = []
    bridge.submit(work(), done.append, failed.append)
    drain(bridge, failed)
    assert done == []
    assert isinstance(failed[0], ValueError)


def test_what_was_cancelled_answers_nobody_even_if_it_was_done(bridge: Bridge) -> None:
    answers: list[object] = []
    cancel = bridge.submit(asyncio.sleep(0, "late"), answers.append, answers.append)
    other: list[object] = []
    bridge.submit(asyncio.sleep(0.01, "other"), other.append)
    time.sleep(0.05)  # both answers wait in the queue by now
    cancel()
    drain(bridge, other)
    assert answers == []


def test_a_drain_ends_in_time_and_says_that_there_is_more(bridge: Bridge) -> None:
    answers: list[object] = []

    def slow(_: object) -> None:
        time.sleep(0.02)
        answers.append(1)

    for _ in range(5):
        bridge.submit(asyncio.sleep(0), slow)
    end = time.monotonic() + WAIT
    while not bridge.drain(0.01):
        assert time.monotonic() < end
    assert len(answers) < 5
    drain(bridge, answers, 5)


def test_closing_ends_what_runs_and_waits_for_its_end() -> None:
    bridge = Bridge(Dispatcher())
    ended = threading.Event()
    begun = threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(WAIT)
        finally:
            await asyncio.sleep(0.05)
            ended.set()

    bridge.submit(work())
    assert begun.wait(WAIT)
    assert bridge.close()
    assert ended.is_set()


def test_after_the_end_nothing_is_begun() -> None:
    bridge = Bridge(Dispatcher())
    assert bridge.close()
    bridge.submit(asyncio.sleep(0))  # a coroutine that is never awaited would be a warning, and so an error
    assert bridge.close()


def test_events_go_to_those_who_asked_for_their_type() -> None:
    events = Dispatcher()
    heard: list[object] = []
    leave = events.on(int, heard.append)
    events.on(str, heard.append)
    events.tell(1)
    events.tell(True)  # another type
    events.tell("one")
    leave()
    leave()
    events.tell(2)
    assert heard == [1, "one"]
