"""The conversation in a real window: keys and mouse, what is copied, where the view stays, what a click
opens.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import ImageColor

from mobium.client import Engine
from mobium.client.store.database import Tx
from mobium_client.gui.settings import Settings
from tests.desktop.profiles import PASSWORD, make
from tests.support.desktop import PATIENCE, Pilot, window
from tests.support.display import DISPLAY, Display
from tests.support.engines import tx
from tests.support.hands import Hands
from tests.support.said import Said, key_of, say

pytestmark = [*DISPLAY]

LONG = (
    "This is one message that is so long that it takes several lines, whatever the width of the window is. "
    * 3
)
TALK: list[Said] = [
    (False, "Look at https://example.org/a?b=1, it is good 🌻🌻 https://example.org/second", 3),
    (True, LONG.strip(), 2),
    (False, "Two\nlines", 1),
    (False, "שלום! see https://example.org/third מה שלומך", 0),
]
OPENED: list[str] = []


async def fill(engine: Engine) -> None:
    await tx(engine, say, "Bert", TALK)
    await tx(engine, say, "Long", [(n % 2 == 0, f"Message {n}", 0) for n in range(170)])
    await tx(engine, numbers)


def numbers(tx: Tx) -> None:
    for n in range(300):
        say(tx, f"Number {n}", [(False, f"The {n}th", 5 + n)])


@pytest.fixture
def pilot(screen: Display, folder: Path) -> Iterator[Pilot]:
    make(folder, fill=fill)
    OPENED.clear()
    settings = Settings(appearance="dark", width=1000, height=700)
    with window(folder, settings, open_link=OPENED.append) as one:
        one.unlock(PASSWORD)
        yield one


def focus(pilot: Pilot, widget: Any) -> None:
    """Give a widget the focus of the keyboard, which keys that are generated go to."""
    widget.focus_force()
    pilot.until(lambda: pilot.app.focus_get() is widget, "the focus")


def click(text: Any, index: str) -> None:
    """Click on a character of a text widget."""
    x, y, width, height = text.bbox(index)
    place = {"x": x + width // 2, "y": y + height // 2}
    text.event_generate("<Motion>", **place)
    text.event_generate("<Button-1>", **place)
    text.event_generate("<ButtonRelease-1>", **place)
    text.update()


def test_a_click_on_a_link_opens_it_even_behind_emoji(pilot: Pilot) -> None:
    text = pilot.open("Bert").lines.text
    pilot.rest(0.2)
    click(text, text.search("example.org/a", "1.0"))
    click(text, text.search("example.org/second", "1.0"))
    click(text, text.search("it is good", "1.0"))
    click(text, text.search("example.org/third", "1.0"))
    pilot.until(lambda: len(OPENED) == 3, "what opens them")
    assert sorted(OPENED) == [
        "https://example.org/a?b=1",
        "https://example.org/second",
        "https://example.org/third",
    ]


@pytest.mark.parametrize("answer", ["no", "never", "error"])
def test_nobody_waits_for_what_opens_a_link_and_an_answer_of_no_is_said(
    screen: Display, folder: Path, answer: str
) -> None:
    asked, never = [], threading.Event()

    def opener(address: str) -> bool:
        asked.append(address)
        if answer == "error":
            raise OSError("there is none")
        return answer == "never" and never.wait()

    make(folder, fill=fill)
    with window(folder, Settings(width=1000, height=700), open_link=opener) as pilot:
        pilot.unlock(PASSWORD)
        text = pilot.open("Bert").lines.text
        pilot.rest(0.2)
        click(text, text.search("example.org/a", "1.0"))
        pilot.until(lambda: asked == ["https://example.org/a?b=1"], "the opener")
        if answer != "never":
            pilot.until(lambda: pilot.app.overlay is not None, "the dialog")
            assert pilot.app.overlay.address.text == "https://example.org/a?b=1"
            pilot.app.overlay.copy.invoke()
            assert pilot.app.clipboard_get() == "https://example.org/a?b=1"
            pilot.app.overlay.done.invoke()
            pilot.until(lambda: pilot.app.overlay is None)
        pilot.open("Number 7")


def test_an_address_that_opened_nothing_is_not_shown_once_the_profile_is_locked(
    screen: Display, folder: Path
) -> None:
    asked: list[threading.Thread] = []
    locked = threading.Event()

    def opener(_: str) -> bool:
        asked.append(threading.current_thread())
        locked.wait(PATIENCE)
        return False

    make(folder, fill=fill)
    with window(folder, Settings(width=1000, height=700), open_link=opener) as pilot:
        pilot.unlock(PASSWORD)
        text = pilot.open("Bert").lines.text
        pilot.rest(0.2)
        click(text, text.search("example.org/a", "1.0"))
        pilot.until(lambda: asked, "the opener")
        pilot.app.desktop.lock()
        pilot.until(lambda: pilot.shows("UnlockView") and not pilot.screen.presenter.state.locking)
        locked.set()
        pilot.until(lambda: not asked[0].is_alive(), "its answer")
        pilot.rest(0.2)
        assert pilot.app.overlay is None


def test_what_is_copied_is_what_was_written(pilot: Pilot) -> None:
    text = pilot.open("Bert").lines.text
    pilot.rest(0.2)
    text.tag_add("sel", "1.0", "end")
    text.event_generate("<<Copy>>")
    assert pilot.app.clipboard_get() == "\n".join(said for _, said, _ in TALK)


def test_what_runs_to_the_left_is_drawn_so(pilot: Pilot) -> None:
    text = pilot.open("Bert").lines.text
    pilot.rest(0.2)
    seen = text.get(text.search("third", "1.0") + " linestart", text.search("third", "1.0") + " lineend")
    assert seen.split()[0] == "ךמולש"
    assert "!םולש" in seen


def test_a_line_stands_between_the_columns_and_under_the_head(pilot: Pilot) -> None:
    head = pilot.open("Bert").head
    pilot.rest(0.2)
    picture = pilot.shot().convert("RGB")
    line = ImageColor.getrgb(pilot.app.theme.colors.line)
    left, middle = head.winfo_rootx(), head.winfo_rooty() + head.winfo_height() // 2
    assert line in {picture.getpixel((x, middle)) for x in range(left - 40, left)}
    below = head.winfo_rooty() + head.winfo_height()
    assert line in {picture.getpixel((left, y)) for y in range(below, below + 30)}


def test_older_messages_come_above_and_what_is_read_stays_where_it_is(pilot: Pilot) -> None:
    view = pilot.open("Long")
    pilot.rest(0.2)
    text = view.lines.text
    assert "Message 169" in text.get("@0,0", "end")
    assert text.bbox(text.search("Message 169", "1.0")) is not None
    text.yview_moveto(0.0)
    pilot.until(lambda: "Message 100" in text.get("1.0", "end"), "an older page")
    pilot.rest(0.2)
    first = text.search("Message 120", "1.0")
    assert text.bbox(first) is not None, "what stood at the top is still seen"

    def oldest() -> bool:
        text.yview_moveto(0.0)
        return "Message 0\t" in text.get("1.0", "end") or "Message 0\n" in text.get("1.0", "end")

    pilot.until(oldest, "the oldest page")


def test_what_is_newest_stays_in_sight_when_there_is_less_room(pilot: Pilot) -> None:
    text = pilot.open("Long").lines.text
    pilot.rest(0.2)
    newest = text.search("Message 169", "1.0")
    assert text.bbox(newest) is not None
    box = pilot.screen.conversation.composer.text
    box.insert("1.0", "\n" * 6)
    before = text.winfo_height()
    pilot.until(lambda: text.winfo_height() < before - 40, "less room")
    pilot.rest(0.2)
    assert text.bbox(newest) is not None
    text.yview_moveto(0.5)
    pilot.rest(0.1)
    reading = text.index("@0,0")
    box.delete("1.0", "end")
    pilot.until(lambda: text.winfo_height() == before, "the room again")
    assert text.index("@0,0") == reading, "whoever reads above stays there"


def test_another_width_breaks_the_lines_anew(pilot: Pilot) -> None:
    text = pilot.open("Bert").lines.text
    pilot.rest(0.2)
    before = int(text.index("end").split(".")[0])
    pilot.app.geometry("800x600")
    pilot.until(lambda: int(text.index("end").split(".")[0]) > before, "more lines")
    assert text.yview()[1] == 1.0


def test_enter_sends_and_shift_enter_begins_a_line_and_the_box_grows(pilot: Pilot) -> None:
    view = pilot.open("Bert")
    box = view.composer.text
    focus(pilot, box)
    low = box.winfo_height()
    box.insert("insert", "One")
    box.event_generate("<Shift-Return>")
    box.insert("insert", "Two")
    pilot.until(lambda: box.winfo_height() > low, "a higher box")
    focus(pilot, box)
    box.event_generate("<Return>")
    pilot.until(lambda: "Two" in pilot.text(), "the message")
    assert box.get("1.0", "end-1c") == ""
    pilot.until(lambda: box.winfo_height() == low, "a low box")
    assert view.presenter.composer.state.text == ""


@pytest.mark.needs("xdotool")
@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="the toolkit does it there")
def test_what_is_written_to_the_left_can_be_read_above_the_box_and_is_sent_as_it_was_typed(
    pilot: Pilot,
) -> None:
    view = pilot.open("Bert")
    composer, box = view.composer, view.composer.text
    hands = Hands(pilot)
    hands.click(box)
    hands.type("plain")
    pilot.until(lambda: box.get("1.0", "end-1c") == "plain")
    assert not composer.reading.winfo_ismapped(), "what runs to the right is read in the box"
    box.delete("1.0", "end")
    pilot.app.clipboard_clear()
    pilot.app.clipboard_append("שלום Anna 12")  # the display's keyboard has no such letters
    hands.keys("ctrl+v")
    pilot.until(lambda: box.get("1.0", "end-1c") == "שלום Anna 12", "what was typed, as it is stored")
    pilot.until(composer.reading.winfo_ismapped, "how it will be read")
    assert composer.reading.cget("text") == "Anna 12 םולש"
    assert composer.reading.cget("anchor") == "e"
    hands.keys("Left", "Left", "BackSpace")  # the keys go by the order in which it is stored, as the box does
    pilot.until(lambda: composer.reading.cget("text") == "Anna12 םולש", "the reading follows")
    hands.keys("Return")
    pilot.until(lambda: not composer.reading.winfo_ismapped(), "an empty box")
    found: list[str] = []
    engine = pilot.screen.presenter.opened.engine

    async def last() -> str:
        return str((await engine.history(key_of("Bert")))[-1].text)

    pilot.until(lambda: pilot.screen.presenter.list.state.rows[0].title == "Bert")
    pilot.app.bridge.submit(last(), found.append)
    pilot.until(lambda: found, "the database")
    assert found == ["שלום Anna12"]


def test_whoever_types_over_the_messages_writes(pilot: Pilot) -> None:
    view = pilot.open("Bert")
    focus(pilot, view.lines.text)
    view.lines.text.event_generate("<Key-h>")
    pilot.until(lambda: view.composer.text.get("1.0", "end-1c") == "h", "the letter")


def test_of_a_long_list_what_is_seen_is_drawn_and_any_row_is_reached(pilot: Pilot) -> None:
    side = pilot.screen.side
    paper = side.list._paper
    assert len(paper.find_all()) < 150
    pilot.screen.presenter.list.open(key_of("Number 0"))
    side.list.focus_set()
    pilot.rest(0.1)
    for _ in range(3):
        paper.event_generate("<Next>")
        pilot.rest(0.05)
    conversation = pilot.screen.presenter.state.conversation
    assert conversation.state.title == "Number 24"
    pilot.until(lambda: any(paper.itemcget(item, "text") == "Number 24" for item in texts(paper)))
    side.list._scrolled("moveto", "1.0")
    assert any(paper.itemcget(item, "text") == "Number 299" for item in texts(paper))


def texts(paper: Any) -> list[int]:
    return [item for item in paper.find_all() if paper.type(item) == "text"]


def test_a_search_is_typed_and_its_first_hit_opened_by_enter(pilot: Pilot) -> None:
    pilot.app.event_generate("<Control-f>")  # no conversation is open, so none is drawn yet
    entry = pilot.screen.side.search.entry._entry
    pilot.until(lambda: pilot.app.focus_get() is entry, "the search")
    entry.insert(0, "message 3")
    entry.event_generate("<KeyRelease>", keysym="3")
    search = pilot.screen.presenter.search
    pilot.until(lambda: search.state.searched and search.state.rows, "hits")
    entry.event_generate("<Return>")
    pilot.until(lambda: pilot.screen.presenter.state.conversation.state.title == "Long", "the conversation")
    shown = pilot.screen.conversation.lines.text
    pilot.until(lambda: shown.tag_ranges("found"), "the message")
    assert shown.get(*shown.tag_ranges("found")) == "Message 39", "its text, and nothing beside it"
    assert shown.tag_names(shown.tag_ranges("found")[0])[-1] == "found", "over the ground of the bubble"
    pilot.app.geometry("900x620")
    width = shown.winfo_width()
    pilot.until(lambda: shown.winfo_width() < width, "another width")
    pilot.rest(0.2)
    assert shown.bbox(shown.tag_ranges("found")[0]) is not None, "marked and in sight in another width too"
    focus(pilot, entry)
    entry.event_generate("<Escape>")
    pilot.until(lambda: search.state.text == "", "the end of the search")
    assert len(pilot.screen.side.list._rows) == 302


def test_nothing_that_is_gone_is_called_by_a_timer(pilot: Pilot) -> None:
    tk = pilot.app.tk
    pilot.open("Bert")
    pilot.screen.presenter.list.open(key_of("Long"))  # the view of the one before is gone by now
    timers = tk.splitlist(tk.call("after", "info"))
    commands = [tk.splitlist(tk.splitlist(tk.call("after", "info", one))[0])[0] for one in timers]
    assert [one for one in commands if not tk.call("info", "commands", one)] == []
