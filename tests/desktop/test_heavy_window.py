"""The real window with a great deal to draw: a long way back, messages that are made to be slow; and fields
that change what they are about.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import customtkinter as ctk
import pytest

from mobium.client import Channel, Engine
from mobium.errors import StoreError
from mobium_client.gui.models.channel_pane import ChannelPane
from mobium_client.gui.models.contact import ContactPane
from mobium_client.gui.settings import Settings
from tests.desktop.profiles import PASSWORD, make
from tests.support.desktop import Pilot, window
from tests.support.display import DISPLAY, Display
from tests.support.engines import tx
from tests.support.said import key_of, say
from tests.support.server import ServerProcess

pytestmark = [*DISPLAY]

MANY = 1_500


async def fill(engine: Engine) -> None:
    await tx(engine, say, "Long", [(n % 2 == 0, f"Message {n}", 0) for n in range(MANY)])
    await tx(engine, say, "Slow", [(False, "שלום עולם " * 700, 0) for _ in range(20)])


def test_a_list_that_cannot_be_read_says_why_and_not_that_it_is_empty(
    screen: Display, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(_: Engine) -> Any:
        raise StoreError("The disk is damaged.")

    make(folder)
    monkeypatch.setattr(Engine, "conversations", damaged)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        side = pilot.screen.side
        assert side._problem._label.cget("text") == "The disk is damaged."
        assert side._empty.cget("text") == ""
        assert pilot.screen._empty._title.cget("text") != "Nobody is here yet"


@pytest.fixture
def pilot(screen: Display, folder: Path) -> Iterator[Pilot]:
    make(folder, fill=fill)
    with window(folder, Settings(appearance="dark", width=1000, height=700)) as one:
        one.unlock(PASSWORD)
        yield one


def slices(view: Any) -> list[int]:
    """How many lines each drawing from now on has, to be filled while they are drawn."""
    drawn: list[int] = []
    insert = view.lines._shapes.insert

    def counted(row: int, pieces: list[Any]) -> None:
        drawn.append(len(pieces))
        insert(row, pieces)

    view.lines._shapes.insert = counted
    return drawn


def test_what_is_found_far_back_is_drawn_little_by_little_and_shown(pilot: Pilot) -> None:
    view = pilot.open("Long")
    pilot.until(lambda: "Message 1499" in pilot.text())
    drawn = slices(view)
    pilot.screen.presenter.state.conversation.reveal(3)
    text = view.lines.text
    pilot.until(lambda: text.tag_ranges("found") and not view.lines._undrawn, "the message")
    assert len(drawn) > 3
    assert max(drawn) < 300
    first, last = text.tag_ranges("found")[:2]
    assert text.get(first, last) == "Message 2"
    assert text.dlineinfo(first) is not None, "it is in sight"
    shown = text.get("1.0", "end")
    places = [
        shown.index(f"Message {n}\t" if f"Message {n}\t" in shown else f"Message {n}\n") for n in range(MANY)
    ]
    assert places == sorted(places), "everything is there once, in its order"
    assert len(view.lines._heights) == len(view.lines._all)


def test_messages_that_are_slow_to_draw_come_one_after_the_other_and_the_end_stays_in_sight(
    pilot: Pilot,
) -> None:
    view = pilot.open("Slow")
    lines = view.lines
    drawn = slices(view)
    lines.render()
    assert lines._undrawn, "the window has time for something else"
    assert lines._sees_end()
    pilot.until(lambda: not lines._undrawn)
    assert max(drawn) < 10
    assert lines._sees_end()


def test_a_line_without_end_holds_up_no_key(pilot: Pilot) -> None:
    box = pilot.open("Long").composer
    pilot.rest(0.2)
    box.text.focus_force()
    long = "word " * 20_000
    pilot.app.clipboard_clear()
    pilot.app.clipboard_append(long)
    box.text.event_generate("<<Paste>>")
    pilot.until(lambda: box.presenter.state.text == long, "what was pasted")
    began = time.perf_counter()
    box.text.event_generate("<Key-x>")
    pilot.app.update()
    print(f"a key at the end of {len(long):,} characters: {time.perf_counter() - began:.3f} s")
    assert box.presenter.state.text == long + "x"
    assert box.text.cget("wrap") == "none"
    assert box.text.bbox("insert") is not None, "where one types is in sight"
    box.text.delete("1.0", "end")
    box.text.insert("1.0", "line " * 1_000 + "\n" + "line " * 3_000)
    pilot.until(lambda: box.text.cget("wrap") == "word", "lines that are broken as ever")


def test_every_face_that_is_shown_stays(pilot: Pilot) -> None:
    """However many writers a channel has: nothing is drawn in the place of a picture that is gone."""
    faces, tk = pilot.app.kit.avatars, pilot.app.tk
    paper = ctk.CTkCanvas(pilot.app)
    shown = 2 * faces._MOST
    for number in range(shown):
        paper.create_image(0, 0, image=str(faces.photo(f"{number:064x}", 8)))
    names = {str(paper.itemcget(item, "image")) for item in paper.find_all()}
    assert names <= set(tk.splitlist(tk.call("image", "names")))
    assert len(faces._photos) >= shown
    paper.destroy()
    for number in range(shown, 4 * shown):
        faces.photo(f"{number:064x}", 8)
    assert len(faces._photos) <= 2 * shown, "and those that nothing shows go"


def test_a_nickname_is_not_lost_by_looking_at_it_too_early(pilot: Pilot) -> None:
    pilot.open("Long")
    main = pilot.screen.presenter
    engine = main.opened.engine
    pilot.app.bridge.submit(engine._core.store.run(lambda _: time.sleep(0.5)))  # what follows waits
    main.about_contact()
    pane, view = main.state.pane, pilot.screen._shown["right"][1]
    assert isinstance(pane, ContactPane)
    entry = view.nickname.entry._entry
    entry.focus_force()
    pilot.until(lambda: pilot.app.focus_get() is entry)
    assert not pane.state.loaded
    pilot.until(lambda: pane.state.loaded and pilot.app.focus_get() is entry)
    assert view.nickname.text == "Long"
    entry.event_generate("<FocusOut>")
    pilot.rest(0.1)
    kept: list[str | None] = []
    pilot.app.bridge.submit(
        engine.contacts.get(key_of("Long")), lambda contact: kept.append(contact.nickname)
    )
    pilot.until(lambda: kept)
    assert kept == ["Long"]


def test_the_field_of_a_channel_holds_what_is_edited(screen: Display, folder: Path, tmp_path: Path) -> None:
    async def made(engine: Engine) -> None:
        await engine.connect(server.url)
        await engine.create_channel("garden", topic="Plants")

    with ServerProcess(tmp_path / "server") as server:
        make(folder, fill=made)
        with window(folder) as pilot:
            pilot.unlock(PASSWORD)
            pilot.open("#garden")
            main = pilot.screen.presenter
            main.about_channel()
            pane, view = main.state.pane, pilot.screen._shown["right"][1]
            assert isinstance(pane, ChannelPane)
            pilot.until(lambda: pane.state.loaded)
            pane.edit("name")
            pilot.until(view.field.winfo_ismapped)
            assert view.field.text == "garden"
            pane.edit("topic")
            assert view.field.text == "Plants", "the name does not become the topic"
            view._edited("Vegetables")
            found: list[Channel] = []
            pilot.until(lambda: pane.state.topic == "Vegetables")
            pilot.app.bridge.submit(main.opened.engine.channels.get("#garden"), found.append)
            pilot.until(lambda: found)
            assert (found[0].name, found[0].topic) == ("garden", "Vegetables")
