"""A conversation's presenter on a real engine: pages, states, drafts, what is new, what has to be decided."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine, Message, MessageReceived, MessageStateChanged
from mobium.client.store.database import Tx
from mobium.errors import StoreError
from mobium_client.gui.models.channel_words import Told
from mobium_client.gui.models.conversation import PAGE, Conversation
from mobium_client.gui.models.lines import Bubble, Remark, lines_of
from tests.desktop.profiles import PASSWORD, make
from tests.support.engines import tx
from tests.support.said import Said, key_of, pin, say
from tests.support.seat import Seat

MANY: list[Said] = [(n % 3 == 0, f"Message {n}", 0) for n in range(3 * PAGE)]


async def fill(engine: Engine) -> None:
    await tx(engine, say, "Bert", MANY)
    await tx(
        engine, say, "Cora", [(False, "One", 9), (True, "Two", 8), (False, "Three", 2), (False, "Four", 1)]
    )
    await tx(engine, lambda tx: tx.execute("UPDATE peer SET read_to = read_to - 2 WHERE nickname = 'Cora'"))
    await tx(engine, say, "stranger", [(False, "Hello?", 3)], True, False)


@pytest.fixture
def seat(folder: Path) -> Iterator[Seat]:
    make(folder, fill=fill)
    with Seat(folder) as one:
        one.unlock(PASSWORD)
        yield one


def opened(seat: Seat, name: str) -> Conversation:
    seat.main.list.open(key_of(name))
    conversation = seat.main.state.conversation
    assert conversation is not None
    seat.until(lambda: conversation.state.loaded)
    return conversation


def texts(conversation: Conversation) -> list[str]:
    return [line.text for line in conversation.state.lines if isinstance(line, Bubble)]


def test_older_pages_come_when_they_are_asked_for(seat: Seat) -> None:
    bert = opened(seat, "Bert")
    assert texts(bert) == [text for _, text, _ in MANY[-PAGE:]]
    assert bert.state.more
    bert.older()
    bert.older()  # while one is under way
    seat.until(lambda: len(texts(bert)) == 2 * PAGE)
    bert.older()
    seat.until(lambda: len(texts(bert)) == 3 * PAGE)
    bert.older()
    seat.until(lambda: not bert.state.more)
    assert texts(bert) == [text for _, text, _ in MANY]


def test_what_is_found_is_shown_however_old_it_is(seat: Seat) -> None:
    main = seat.main
    main.search.type("message 3")
    seat.until(lambda: main.search.state.searched)
    found = [row.preview for row in main.search.state.rows]
    assert "Message 31" in found
    assert "Message 13" not in found
    place = found.index("You: Message 3")
    main.search.open(place)
    conversation = main.state.conversation
    assert conversation is not None
    seat.until(lambda: "Message 3" in texts(conversation))
    positions = [line.position for line in conversation.state.lines if isinstance(line, Bubble)]
    assert conversation.state.focus in positions


def test_names_are_found_before_messages_and_an_empty_search_ends(seat: Seat) -> None:
    search = seat.main.search
    search.type("  CORA ")
    seat.until(lambda: search.state.searched)
    assert [row.title for row in search.state.rows] == ["Cora"]
    search.type("")
    assert search.state.text == ""
    search.type("nothing like it")
    seat.until(lambda: search.state.searched)
    assert search.state.rows == ()


def test_what_is_new_is_marked_and_read(seat: Seat) -> None:
    assert {row.title: row.unread for row in seat.main.list.state.rows}["Cora"] == 2
    cora = opened(seat, "Cora")
    lines = cora.state.lines
    mark = lines.index(Remark("New messages", "new"))
    after = lines[mark + 1]
    assert isinstance(after, Bubble)
    assert after.text == "Three"
    seat.until(lambda: all(row.unread == 0 for row in seat.main.list.state.rows if row.title == "Cora"))


def test_nothing_is_read_while_nobody_looks(seat: Seat) -> None:
    attention = seat.context.attention
    attention.change(there=False)
    opened(seat, "Cora")
    assert seat.do(seat.main.opened.engine.unread()) == {key_of("Cora"): 2}
    attention.change(there=True)
    seat.until(lambda: seat.do(seat.main.opened.engine.unread()) == {})


def test_more_than_a_page_that_comes_at_once_leaves_no_gap(seat: Seat) -> None:
    bert = opened(seat, "Bert")
    fresh: list[Said] = [(False, f"New {n}", 0) for n in range(PAGE + 20)]
    seat.do(tx(seat.main.opened.engine, say, "Bert", fresh))
    bert.refresh()
    seat.until(lambda: texts(bert)[-1] == fresh[-1][1])
    assert texts(bert) == [text for _, text, _ in (MANY[-PAGE:] + fresh)]


def test_nothing_is_read_under_a_dialog(seat: Seat) -> None:
    bert = opened(seat, "Bert")
    engine = seat.main.opened.engine
    seat.until(lambda: seat.do(engine.unread()).get(key_of("Bert")) is None)
    seat.main.new_message()
    seat.do(tx(engine, say, "Bert", [(False, "Unseen", 0)], False))
    bert.refresh()
    seat.until(lambda: texts(bert)[-1] == "Unseen")
    assert seat.do(engine.unread())[key_of("Bert")] == 1
    seat.context.overlays.dismiss()
    seat.until(lambda: seat.do(engine.unread()).get(key_of("Bert")) is None, "it is before the eyes now")


def test_a_search_that_fails_says_why(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    async def damaged(*_: object) -> Any:
        raise StoreError("The disk is damaged.")

    monkeypatch.setattr(seat.main.opened.engine, "search", damaged)
    seat.main.search.type("abc")
    seat.until(lambda: seat.main.search.state.searched)
    assert seat.main.search.state.problem == "The disk is damaged."
    seat.main.search.type("")
    assert seat.main.search.state.problem == ""


@pytest.mark.parametrize("text", ["x\n" * 4_000, "\r" * 9_000, "a" * 1_000_000, "\u202e" * 8_000])
def test_of_a_huge_message_the_beginning_is_shown_and_it_is_said(text: str) -> None:
    message = Message(
        position=1, id="00" * 16, peer="ab" * 32, outgoing=False, kind="text", text=text,
        sent_at=datetime.now(UTC), at=datetime.now(UTC), state="received",
    )  # fmt: skip
    bubble = lines_of(Told([message]), datetime.now().astimezone())[-1]
    assert isinstance(bubble, Bubble)
    assert len(bubble.text) < 8_200
    assert bubble.text.count("\n") <= 202
    assert f"the beginning of {len(text):,} characters" in bubble.text


def test_messages_of_one_writer_stand_together_with_one_time(seat: Seat) -> None:
    cora = opened(seat, "Cora")
    bubbles = [line for line in cora.state.lines if isinstance(line, Bubble)]
    assert [line.first for line in bubbles] == [True, True, True, False]
    assert [bool(line.meta) for line in bubbles] == [True, True, False, True]
    assert bubbles[1].meta.endswith("· Delivered")


def test_a_draft_is_kept_when_another_conversation_is_opened_and_over_a_restart(
    seat: Seat, folder: Path
) -> None:
    opened(seat, "Cora").composer.type("Half a sentence")
    opened(seat, "Bert")
    seat.until(lambda: any(row.draft == "Half a sentence" for row in seat.main.list.state.rows))
    seat.desktop.lock()
    seat.until(lambda: not seat.screen.state.locking)
    seat.screen.open(PASSWORD)
    seat.enter()
    seat.until(lambda: seat.main.list.state.loaded)
    cora = opened(seat, "Cora")
    seat.until(lambda: cora.composer.state.text == "Half a sentence")
    cora.composer.send()
    assert cora.composer.state.text == ""
    seat.until(lambda: "Half a sentence" in texts(cora))
    seat.until(lambda: seat.do(seat.main.opened.engine.drafts.all()) == {})


def test_what_is_refused_comes_back_with_the_reason(seat: Seat) -> None:
    cora = opened(seat, "Cora")
    seat.do(seat.main.opened.engine.contacts.block(key_of("Cora")))
    cora.composer.type("Are you there?")
    cora.composer.send()
    seat.until(lambda: cora.composer.state.problem)
    assert cora.composer.state.text == "Are you there?"
    assert "blocked" in cora.composer.state.problem
    cora.refresh()
    seat.until(lambda: cora.state.decision == "blocked")
    cora.unblock()
    seat.until(lambda: cora.state.decision == "")


def test_a_request_is_declined_and_gone(seat: Seat) -> None:
    stranger = opened(seat, "stranger")
    assert stranger.state.decision == "request"
    stranger.decline()
    seat.until(lambda: seat.main.state.conversation is None)
    seat.until(lambda: all(row.target != key_of("stranger") for row in seat.main.list.state.rows))


def test_a_request_is_accepted(seat: Seat) -> None:
    stranger = opened(seat, "stranger")
    stranger.accept()
    seat.until(lambda: stranger.state.decision == "")


def test_a_changed_key_is_told_and_accepted_by_its_number(seat: Seat) -> None:
    seat.do(tx(seat.main.opened.engine, pin, "Cora", "changed"))
    cora = opened(seat, "Cora")
    assert cora.state.decision == "changed"
    seat.main.about_contact()
    pane: Any = seat.main.state.pane
    assert pane is not None
    seat.until(lambda: pane.state.loaded)
    assert pane.state.changed
    assert len(pane.state.number.split()) == 12
    pane.accept_key()
    seat.until(lambda: not pane.state.changed)
    pane.verify()
    seat.until(lambda: pane.state.verified)
    seat.until(lambda: cora.state.verified)
    pane.rename("Cora, my sister")
    seat.until(lambda: cora.state.title == "Cora, my sister")
    seat.main.about_contact()
    assert seat.main.state.pane is None


def test_a_new_message_goes_to_a_key_or_a_contact(seat: Seat) -> None:
    main = seat.main
    main.new_message()
    dialog: Any = seat.context.overlays.state[-1]
    seat.until(lambda: dialog.state.known)
    dialog.type("nobody")
    dialog.go()
    assert dialog.state.problem
    dialog.type("ff" * 31)
    dialog.go()
    seat.until(lambda: dialog.state.problem)
    assert not dialog.state.busy
    dialog.type("be")
    assert [known.name for known in dialog.state.known] == ["Bert"]
    dialog.go()
    assert main.state.conversation is not None
    assert main.state.conversation.state.title == "Bert"
    assert seat.context.overlays.state == ()
    main.write_to("ab" * 32, "Somebody new")
    assert main.state.conversation.state.title == "Somebody new"


def test_a_state_that_is_told_while_the_message_is_read_is_shown(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    cora = opened(seat, "Cora")
    engine = seat.main.opened.engine
    history = engine.history

    async def sent_meanwhile(*words: Any, **more: Any) -> list[Message]:
        found = await history(*words, **more)
        if found[-1].state == "queued":
            await tx(
                engine, lambda tx: tx.execute("UPDATE message SET state = 'sent' WHERE state = 'queued'")
            )
            seat.bridge.tell(MessageStateChanged(found[-1].id, "sent"))
        return found

    monkeypatch.setattr(engine, "history", sent_meanwhile)
    cora.composer.type("New")
    cora.composer.send()
    seat.until(lambda: "New" in texts(cora))

    def meta() -> str:
        last = cora.state.lines[-1]
        assert isinstance(last, Bubble)
        return last.meta

    seat.until(lambda: meta().endswith("· Sent"), "what it is now")


def test_at_midnight_another_day_begins(seat: Seat) -> None:
    cora = opened(seat, "Cora")

    def days() -> list[str]:
        return [line.text for line in cora.state.lines if isinstance(line, Remark) and line.kind == "day"]

    [row] = [row for row in seat.main.list.state.rows if row.title == "Cora"]
    assert days()[-1] == "Today"
    assert ":" in row.time
    seat.ahead = timedelta(days=1)
    seat.main._day._look()  # which a timer does soon
    seat.until(lambda: days()[-1] == "Yesterday", "the conversation")
    seat.until(lambda: any(row.time == "Yesterday" for row in seat.main.list.state.rows), "the list")


def test_many_events_make_few_readings(seat: Seat) -> None:
    conversation = opened(seat, "Cora")
    shown: list[int] = []
    conversation.watch(lambda: shown.append(1))
    engine = seat.main.opened.engine

    def arrive(tx: Tx, number: int) -> None:
        say(tx, "Cora", [(False, f"Burst {number}", 0)], False)

    for number in range(30):
        seat.do(tx(engine, arrive, number))
        seat.events.tell(MessageReceived("00", key_of("Cora"), None, "x", conversation._messages[0].at))
    seat.until(lambda: "Burst 29" in texts(conversation))
    assert len(shown) < 30
