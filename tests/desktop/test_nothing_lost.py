"""What was written is nowhere lost, and a lock comes about, whatever happens just then: a refusal behind
another conversation, a window that closes on a slow disk, a dialog or a listener that fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mobium.client import Engine
from mobium.errors import StoreError
from mobium_client.gui.models.conversation import Conversation
from mobium_client.gui.models.dispatch import Dispatcher
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.unlock import Unlock
from tests.desktop.profiles import PASSWORD, make
from tests.support.engines import tx
from tests.support.said import key_of, say
from tests.support.seat import Seat

CORA = key_of("Cora")
SLOW = 0.3  # seconds that the disk takes


async def fill(engine: Engine) -> None:
    for name in ("Bert", "Cora"):
        await tx(engine, say, name, [(False, "Hello", 1)])


@pytest.fixture
def profile(folder: Path) -> Path:
    return make(folder, fill=fill)


@pytest.fixture
def seat(folder: Path, profile: Path) -> Iterator[Seat]:
    with Seat(folder) as one:
        one.unlock(PASSWORD)
        yield one


def opened(seat: Seat, name: str) -> Conversation:
    seat.main.list.open(key_of(name))
    conversation = seat.main.state.conversation
    assert conversation is not None
    seat.until(lambda: conversation.state.loaded)
    return conversation


def slow_disk(seat: Seat) -> None:
    """Keep the store busy, so that what is asked of it now waits."""
    store = seat.main.opened.engine._core.store

    async def wait() -> None:
        await store.run(lambda _: time.sleep(SLOW))

    seat.bridge.submit(wait())


def left(profile: Path) -> tuple[list[str | None], str]:
    """What a fresh process finds: the texts of the conversation with Cora, and its draft."""

    async def look() -> tuple[list[str | None], str]:
        async with Engine.open(profile, PASSWORD) as engine:
            texts = [message.text for message in await engine.history(CORA)]
            return texts, (await engine.drafts.all()).get(CORA, "")

    return asyncio.run(look())


def test_what_is_refused_behind_another_conversation_is_its_draft(seat: Seat) -> None:
    cora = opened(seat, "Cora")
    seat.do(seat.main.opened.engine.contacts.block(CORA))
    slow_disk(seat)
    cora.composer.type("First")
    cora.composer.send()
    cora.composer.type("and this")
    opened(seat, "Bert")
    drafts = seat.main.opened.engine.drafts
    seat.until(lambda: seat.do(drafts.all()).get(CORA) == "First\nand this", "the draft")


def test_a_draft_that_the_disk_does_not_take_is_said_and_tried_again(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    cora = opened(seat, "Cora")
    drafts = seat.main.opened.engine.drafts

    async def full(*_: object) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(drafts, "put", full)
        cora.composer.type("Precious")
        seat.until(lambda: cora.composer.state.problem == "This draft is not kept: The disk is full.")
        assert cora.composer.state.text == "Precious"
    opened(seat, "Bert")
    seat.until(lambda: seat.do(drafts.all()).get(CORA) == "Precious", "the draft")


@pytest.mark.parametrize("ended", ["closed", "locked"])
def test_what_was_sent_just_before_the_end_is_sent_once_and_no_draft(
    folder: Path, profile: Path, ended: str
) -> None:
    with Seat(folder) as seat:
        seat.unlock(PASSWORD)
        cora = opened(seat, "Cora")
        slow_disk(seat)
        cora.composer.type("Precious")
        cora.composer.send()
        if ended == "locked":
            seat.desktop.lock()
            seat.until(lambda: isinstance(seat.screen, Unlock) and not seat.screen.state.locking)
    assert left(profile) == (["Hello", "Precious"], "")


def test_what_is_being_sent_is_no_draft_when_one_looks_again(seat: Seat) -> None:
    cora = opened(seat, "Cora")
    drafts = seat.main.opened.engine.drafts
    cora.composer.type("Precious")
    seat.until(lambda: seat.do(drafts.all()).get(CORA) == "Precious", "the draft")
    slow_disk(seat)
    cora.composer.send()
    seat.main.leave()
    again = opened(seat, "Cora")
    seat.until(lambda: "Precious" in [line.text for line in again.state.lines], "the message")
    seat.do(asyncio.sleep(2 * SLOW))
    assert again.composer.state.text == ""
    assert seat.do(drafts.all()) == {}


def test_what_was_typed_just_before_the_window_closed_is_a_draft(folder: Path, profile: Path) -> None:
    with Seat(folder) as seat:
        seat.unlock(PASSWORD)
        cora = opened(seat, "Cora")
        slow_disk(seat)
        cora.composer.type("Precious")
    assert left(profile) == (["Hello"], "Precious")


def test_what_is_refused_while_the_window_closes_is_a_draft(folder: Path, profile: Path) -> None:
    with Seat(folder) as seat:
        seat.unlock(PASSWORD)
        cora = opened(seat, "Cora")
        seat.do(seat.main.opened.engine.contacts.block(CORA))
        slow_disk(seat)
        cora.composer.type("Precious")
        cora.composer.send()
    assert left(profile) == (["Hello"], "Precious")


def test_what_is_typed_before_the_draft_was_read_comes_behind_it(seat: Seat) -> None:
    drafts = seat.main.opened.engine.drafts
    seat.do(drafts.put(CORA, "Precious"))
    slow_disk(seat)
    seat.main.list.open(key_of("Cora"))
    conversation = seat.main.state.conversation
    assert conversation is not None
    conversation.composer.type("and this")
    seat.until(lambda: "Precious" in conversation.composer.state.text, "the draft")
    assert conversation.composer.state.text == "Precious\nand this"
    seat.until(lambda: seat.do(drafts.all()).get(CORA) == "Precious\nand this", "both")


def busy_for(seat: Seat, seconds: float) -> None:
    """Something that is to be kept takes its time."""
    seat.bridge.submit(asyncio.sleep(seconds), keep=True)


def test_what_is_typed_while_a_draft_is_not_read_for_long_takes_nothing_from_it(seat: Seat) -> None:
    drafts = seat.main.opened.engine.drafts
    seat.do(drafts.put(CORA, "Precious"))
    busy_for(seat, 1.2)  # longer than a pause of the keyboard
    seat.main.list.open(key_of("Cora"))
    conversation = seat.main.state.conversation
    assert conversation is not None
    conversation.composer.type("and this")
    seat.until(lambda: conversation.composer._kept, "a draft")
    seat.until(lambda: "Precious" in conversation.composer.state.text, "what was kept")
    assert conversation.composer.state.text == "Precious\nand this"


def test_whoever_leaves_before_a_draft_was_read_leaves_both(seat: Seat) -> None:
    drafts = seat.main.opened.engine.drafts
    seat.do(drafts.put(CORA, "Precious"))
    busy_for(seat, 0.3)
    seat.main.list.open(key_of("Cora"))
    conversation = seat.main.state.conversation
    assert conversation is not None
    conversation.composer.type("and this")
    opened(seat, "Bert")
    seat.until(lambda: seat.do(drafts.all()).get(CORA) == "Precious\nand this", "both")


def test_several_that_are_refused_come_back_in_their_order(seat: Seat) -> None:
    composer = opened(seat, "Cora").composer
    seat.do(seat.main.opened.engine.contacts.block(CORA))
    for text in ("First", "Second", "Third"):
        composer.type(text)
        composer.send()
    composer.type("and this")
    seat.until(lambda: not composer._under_way, "the answers")
    assert composer.state.text == "First\nSecond\nThird\nand this"


class Failing(Presenter[None]):
    """A dialog that fails when it is to go."""

    def close(self) -> None:
        raise ValueError("a mistake")


def test_a_dialog_that_fails_keeps_nothing_from_being_locked(seat: Seat) -> None:
    seat.context.overlays.open(Failing(seat.bridge, None))
    main = seat.main
    with pytest.raises(ValueError, match="a mistake"):
        seat.desktop.lock()
    assert isinstance(seat.screen, Unlock), "nothing is shown any more"
    seat.until(lambda: not seat.screen.state.locking, "the lock")
    assert main.opened.engine.connection == "offline"


def test_a_dialog_that_fails_keeps_nothing_from_ending(folder: Path, profile: Path) -> None:
    with Seat(folder) as seat:
        seat.unlock(PASSWORD)
        opened(seat, "Cora").composer.type("Precious")
        seat.context.overlays.open(Failing(seat.bridge, None))
        with pytest.raises(ValueError, match="a mistake"):
            seat.desktop.close()
        assert seat.bridge.close(), "it is locked"
        setattr(seat.desktop, "close", lambda: None)  # noqa: B010 - a method is not assigned to
    assert left(profile) == (["Hello"], "Precious")


def test_an_ending_that_fails_keeps_no_other_from_being_called(seat: Seat) -> None:
    one = Presenter(seat.bridge, None)
    done: list[str] = []

    def fail() -> None:
        raise ValueError("a mistake")

    one._until_closed(fail)
    one._until_closed(lambda: done.append("the other"))
    with pytest.raises(ValueError, match="a mistake"):
        one.close()
    assert done == ["the other"]


def test_a_listener_that_fails_keeps_no_other_from_hearing() -> None:
    events, heard = Dispatcher(), []

    def fail(_: str) -> None:
        raise ValueError("a mistake")

    def once(event: str) -> None:
        heard.append(event)
        leave()

    events.on(str, fail)
    events.on(str, once)
    leave = events.on(str, heard.append)
    with pytest.raises(ValueError, match="a mistake"):
        events.tell("news")
    assert heard == ["news"], "and nobody hears who has left meanwhile"
