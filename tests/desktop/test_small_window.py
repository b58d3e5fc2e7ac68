"""What has room in the smallest window, and what a bar says that has little."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mobium.client import Engine
from mobium_client.gui.app import SMALLEST
from mobium_client.gui.models.calling import CallingState
from mobium_client.gui.models.voice_bar import Speaker, VoiceState
from mobium_client.gui.settings import Settings
from tests.desktop.profiles import PASSWORD, know_a_server, make
from tests.support.desktop import Pilot, window
from tests.support.display import Display
from tests.support.engines import tx
from tests.support.hands import HANDS, Hands
from tests.support.said import say

pytestmark = [*HANDS]

BERT = "ab" * 32


async def _bert(engine: Engine) -> None:
    await know_a_server(engine)
    await engine.contacts.add(BERT, "Bert")


def _opened(pilot: Pilot) -> Hands:
    pilot.unlock(PASSWORD)
    pilot.screen.presenter.write_to(BERT, "Bert")
    pilot.until(pilot.screen.conversation.winfo_ismapped, "the conversation")
    return Hands(pilot)


def test_a_pane_takes_the_place_of_a_conversation_that_has_no_room_beside_it(
    screen: Display, folder: Path
) -> None:
    make(folder, fill=_bert)
    with window(folder) as pilot:
        hands = _opened(pilot)
        pilot.app.geometry("{}x{}".format(*SMALLEST))
        pilot.rest(0.3)
        conversation, pane = pilot.screen.conversation, pilot.screen._right
        hands.click(conversation.actions.about)
        pilot.until(lambda: pane.winfo_ismapped() and not conversation.winfo_ismapped(), "the pane alone")
        assert pane.winfo_width() > SMALLEST[0] // 2
        pilot.app.geometry(f"1200x{SMALLEST[1]}")
        pilot.until(lambda: pane.winfo_ismapped() and conversation.winfo_ismapped(), "both")
        pilot.app.geometry("{}x{}".format(*SMALLEST))
        pilot.until(lambda: not conversation.winfo_ismapped(), "the pane alone again")
        pilot.screen.presenter.fold()
        pilot.until(lambda: conversation.winfo_ismapped() and not pane.winfo_ismapped(), "the conversation")


async def _bert_wrote(engine: Engine) -> None:
    await know_a_server(engine)
    await tx(engine, say, "Bert", [(False, "Hello", 1)])


def test_under_a_pane_that_takes_its_place_nothing_is_read(screen: Display, folder: Path) -> None:
    make(folder, fill=_bert_wrote)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        pilot.app.geometry("{}x{}".format(*SMALLEST))
        conversation = pilot.open("Bert").presenter
        main, engine = pilot.screen.presenter, conversation._opened.engine
        pilot.until(lambda: conversation._seen == 1, "the first one read")
        main.about_contact()
        pilot.until(lambda: not pilot.screen.conversation.winfo_ismapped(), "the pane alone")
        assert not pilot.app.desktop._before_eyes(conversation.state.target)
        done: list[object] = []
        pilot.app.bridge.submit(tx(engine, say, "Bert", [(False, "And this", 0)]), done.append)
        pilot.until(lambda: done, "another message")
        conversation.refresh()
        pilot.until(lambda: len(conversation._messages) == 2, "it is in the conversation")
        pilot.rest(0.2)
        assert conversation._seen == conversation._messages[0].position, "nobody has seen it"
        main.fold()
        pilot.until(lambda: conversation._seen == conversation._messages[1].position, "it is seen")


def _has_width(app: Any, width: int) -> bool:
    return bool(app.winfo_width() == width)


def _has_focus(app: Any, widget: Any) -> bool:
    return str(app.focus_get()).startswith(str(widget))


def test_whoever_closes_a_pane_by_the_keyboard_can_write(screen: Display, folder: Path) -> None:
    make(folder, fill=_bert_wrote)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        view, hands = pilot.open("Bert"), Hands(pilot)
        for width in (SMALLEST[0], 1200):
            pilot.app.geometry(f"{width}x{SMALLEST[1]}")
            pilot.until(partial(_has_width, pilot.app, width), "the size")
            pilot.screen.presenter.about_contact()
            pane = pilot.screen._right.winfo_children()[-1]
            pilot.until(pane.close.winfo_viewable, "the pane")
            pilot.rest(0.1)  # which has put the focus where it begins
            pane.close.focus_set()
            pilot.until(partial(_has_focus, pilot.app, pane.close), "the focus")
            hands.keys("Return")
            pilot.until(lambda: view.winfo_ismapped() and not pilot.screen._right.winfo_ismapped())
            pilot.rest(0.1)
            assert pilot.app.focus_get() is view.composer.text


def test_a_name_has_room_beside_what_says_that_it_is_verified(screen: Display, folder: Path) -> None:
    make(folder, fill=_bert_wrote)
    with window(folder, Settings(width=1000, height=700)) as pilot:
        pilot.unlock(PASSWORD)
        view = pilot.open("Bert")
        view.presenter._show(replace(view.presenter.state, title="Bertram of the garden", verified=True))
        pilot.screen.presenter.about_contact()
        pilot.until(lambda: not view._word.winfo_ismapped(), "the icon alone")
        pilot.rest(0.2)
        assert view._verified.winfo_ismapped()
        assert view._title.cget("text").startswith("Bert")
        pilot.screen.presenter.fold()
        pilot.until(view._word.winfo_ismapped, "the word too")


def test_the_bar_of_a_call_that_is_over_says_so_and_is_closed(screen: Display, folder: Path) -> None:
    make(folder, fill=_bert)
    with window(folder) as pilot:
        hands = _opened(pilot)
        calling, bar = pilot.screen.presenter.talk.calling, pilot.screen.call_bar
        calling._show(CallingState("active", "1", BERT, "Bert", clock="00:44"))
        pilot.screen.presenter.talk.shrink()
        pilot.until(bar.hang_up.winfo_ismapped, "the bar")
        assert bar._words.cget("text") == "Bert · 00:44"
        calling._show(CallingState("ended", "1", BERT, "Bert", "The call is over", clock="00:44"))
        pilot.until(bar.close.winfo_ismapped, "its end")
        assert bar._words.cget("text") == "Bert · The call is over"
        assert not bar.hang_up.winfo_ismapped()
        hands.click(bar.close)
        pilot.until(lambda: not bar.winfo_ismapped(), "nothing of it")


def test_the_bar_of_a_room_that_was_left_has_no_row_for_nobody(screen: Display, folder: Path) -> None:
    make(folder, fill=_bert)
    with window(folder) as pilot:
        _opened(pilot)
        room, bar = pilot.screen.presenter.talk.voice, pilot.screen.voice_bar
        sentence = "You are not in the voice room any more: it was closed."
        out = VoiceState("out", "aa", "#garden", problem=sentence)
        room._show(out)
        pilot.until(bar.winfo_ismapped, "the bar")
        pilot.rest(0.2)
        height = bar.winfo_height()
        room._show(VoiceState("in", "aa", "#garden", (Speaker("ab", "You", me=True),), said="Listening"))
        pilot.rest(0.2)
        assert bar.winfo_height() > height, "there is somebody"
        room._show(out)
        pilot.rest(0.2)
        assert bar.winfo_height() == height
        assert height < pilot.app.theme.raw(90)


def test_the_help_opens_at_its_beginning(screen: Display, folder: Path) -> None:
    make(folder, fill=_bert)
    with window(folder) as pilot:
        hands = _opened(pilot)
        pilot.app.geometry("{}x{}".format(*SMALLEST))
        pilot.rest(0.3)
        hands.keys("F1")
        pilot.until(lambda: pilot.app.overlay is not None, "the help")
        pilot.rest(0.3)
        paper = pilot.app.overlay.sheet._paper
        assert paper.yview()[0] == 0.0
        hands.keys("Next")
        pilot.until(lambda: paper.yview()[0] > 0.0, "further down")
        hands.keys("Tab")
        pilot.until(lambda: pilot.app.focus_get() is pilot.app.overlay.done._canvas, "the button")
        hands.keys("Return")
        pilot.until(lambda: pilot.app.overlay is None, "the end")
