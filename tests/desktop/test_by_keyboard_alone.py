"""A whole session by the keyboard alone, in the real window and against real processes: no mouse is touched,
and where the focus is can be seen at every stop.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine
from mobium_client.gui.models.calling import MissedCall
from mobium_client.gui.settings import Settings
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.composer_box import ComposerBox
from mobium_client.gui.widgets.field import Field
from tests.desktop.profiles import PASSWORD, know_a_server, make
from tests.support.commands import FAST, Desk
from tests.support.desktop import Pilot, window
from tests.support.display import Display
from tests.support.engines import tx
from tests.support.hands import HANDS, Hands
from tests.support.links import ice_on_loopback
from tests.support.said import key_of, say
from tests.support.server import ServerProcess
from tests.support.sound import SOUND, pulse

pytestmark = [*HANDS, *SOUND]
pytest.importorskip("aiortc")

_STOPS = 40  # of Tab, more than any screen has


@dataclass
class Keys:
    """The keyboard of a window."""

    pilot: Pilot
    hands: Hands

    @property
    def at(self) -> Any:
        """What has the focus, as it is made here: a button, a field, ..., or something of the toolkit."""
        widget = self.pilot.app.focus_get()
        while widget is not None and not isinstance(widget, Button | Field | ComposerBox):
            if widget.master is None or str(widget) == ".":
                return self.pilot.app.focus_get()
            widget = widget.master
        return widget

    def press(self, *names: str) -> None:
        """Press keys."""
        self.hands.keys(*names)

    def write(self, text: str) -> None:
        """Type where the focus is."""
        self.hands.type(text)

    def go(self, words: str) -> None:
        """Go to the button of these words, or of this icon, by Tab, and press it; it is seen where one is."""
        for _ in range(_STOPS):
            if isinstance(self.at, Button) and words in {self.at.cget("text"), self.at._icon}:
                assert self.at.cget("border_width") == 2, "the ring around it"
                self.press("Return")
                return
            self.press("Tab")
        pytest.fail(f"Tab does not lead to {words}")

    def until_in(self, kind: type[object], what: str = "") -> None:
        """The focus comes where one types."""
        self.pilot.until(lambda: isinstance(self.at, kind), what or kind.__name__)


@pytest.fixture
def bert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Desk, ServerProcess]]:
    """Bert at the command line, and the server; nobody of them makes a sound that somebody hears."""
    ice_on_loopback(monkeypatch)

    async def fill(engine: Engine) -> None:
        await engine.connect(server.url)

    desk = Desk(tmp_path / "bert", PASSWORD, command=FAST, extra={"PULSE_SERVER": "unix:/nowhere"})
    with ServerProcess(tmp_path / "server") as server, pulse(tmp_path) as sound:
        for name, value in sound.environment.items():
            if name != "HOME":
                monkeypatch.setenv(name, value)
        make(desk.data, "bert", fill)
        yield desk, server


def test_from_the_first_start_to_a_call_and_back_from_the_lock(
    screen: Display, folder: Path, tmp_path: Path, bert: tuple[Desk, ServerProcess]
) -> None:
    desk, server = bert
    his = json.loads(desk.run("whoami", "--json").out)["key"]
    with window(folder, Settings(appearance="dark", width=1000, height=700)) as pilot:
        pilot.until(lambda: pilot.shows("FirstRunView"))
        keys = Keys(pilot, Hands(pilot))
        _come_in(keys, server.url.removeprefix("ws://").removesuffix("/ws"))
        _make_a_channel(keys, desk)
        _find(keys)
        _verify(keys, desk, his)
        _talk(keys, desk, tmp_path)
        _settle(keys)
        keys.press("ctrl+l")
        pilot.until(lambda: pilot.shows("UnlockView") and not pilot.screen.presenter.state.locking, "locked")
        keys.until_in(Field)
        keys.write(PASSWORD)
        keys.press("Return")
        pilot.until(lambda: pilot.shows("MainView"), "unlocked")
        me = pilot.screen.presenter.opened.engine.me
    hers = Desk(tmp_path / "hers", PASSWORD, command=FAST, extra={"MOBIUM_DATA_DIR": str(folder)})
    assert json.loads(hers.run("whoami", "--json").out)["key"] == me
    assert [one["text"] for one in _history(hers, his)] == ["Hello"]


def _history(desk: Desk, whose: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in desk.run("history", whose, "--json").out.splitlines()]


def _come_in(keys: Keys, address: str) -> None:
    """A profile, its words, its server."""
    pilot = keys.pilot
    keys.until_in(Field)
    keys.write("Anna")
    keys.press("Return")
    pilot.until(lambda: pilot.screen.presenter.state.step == "password", "the password")
    keys.until_in(Field)
    keys.write(PASSWORD)
    keys.press("Tab")
    keys.write(PASSWORD)
    keys.press("Return")
    pilot.until(lambda: pilot.shows("ConfirmWordsView"), "the words")
    words = pilot.screen.presenter
    keys.go("I have written them down")
    pilot.until(lambda: words.state.step == "ask", "the question")
    for place in words.state.places:
        keys.until_in(Field)
        keys.write(words.state.words[place])
        keys.press("Return")
    pilot.until(lambda: pilot.shows("ChooseServerView"), "the server")
    keys.until_in(Field)
    keys.write(address)
    keys.press("Return")
    pilot.until(lambda: pilot.screen.presenter.state.step == "shown", "its key")
    keys.go("Go on")
    pilot.until(lambda: pilot.shows("MainView"), "the main screen")
    main = pilot.screen.presenter
    pilot.until(lambda: main.status.state.words == "Connected", "the connection")


def _make_a_channel(keys: Keys, bert: Desk) -> None:
    """A channel, a link into it by which Bert comes, and a message."""
    pilot = keys.pilot
    keys.go("New channel")
    keys.until_in(Field, "its name")
    keys.write("garden")
    keys.press("Return")
    keys.until_in(ComposerBox, "the channel")
    keys.go("Invite")
    pilot.until(lambda: pilot.app.overlay is not None)
    dialog = pilot.app.overlay
    keys.go("Make a link")
    pilot.until(lambda: dialog.presenter.state.link, "the link")
    keys.go("Copy the link")
    assert dialog.copy.cget("border_width") == 2, "the ring stays when another icon is drawn"
    keys.go("Revoke every link")
    pilot.until(lambda: keys.at is dialog.no, "the question")
    keys.press("Return")
    pilot.until(lambda: keys.at is dialog.renew, "nothing was done")
    link = pilot.app.clipboard_get()
    keys.press("Escape")
    pilot.until(lambda: pilot.app.overlay is None)
    assert bert.run("channel", "join", link).out == "#garden\n"
    for _ in range(_STOPS):
        keys.press("Tab")
        if isinstance(keys.at, ComposerBox):
            break
    keys.write("Welcome, Bert")
    keys.press("Return")
    pilot.until(lambda: "Welcome, Bert" in pilot.text(), "the message")
    bert.run("send", "#garden", "Thank you")
    pilot.until(lambda: "Thank you" in pilot.text(), "his answer")
    assert "Welcome, Bert" in [one["text"] for one in _history(bert, "#garden")]


def _find(keys: Keys) -> None:
    """What was written is found, and one goes on writing there."""
    pilot = keys.pilot
    search = pilot.screen.presenter.search
    keys.press("ctrl+f")
    keys.until_in(Field, "the search")
    keys.write("welcome")
    pilot.until(lambda: search.state.rows, "a hit")
    keys.press("Return")
    keys.until_in(ComposerBox, "the conversation")
    lines = pilot.screen.conversation.lines.text
    pilot.until(lambda: lines.tag_ranges("found"), "the message")


def _verify(keys: Keys, bert: Desk, his: str) -> None:
    """Bert himself is written to, and his number compared, as he does with hers."""
    pilot = keys.pilot
    main = pilot.screen.presenter
    keys.press("ctrl+n")
    keys.until_in(Field)
    keys.write(his)
    keys.press("Return")
    keys.until_in(ComposerBox, "the conversation with Bert")
    keys.write("Hello")
    keys.press("Return")
    pilot.until(lambda: "Hello" in pilot.text())
    bert.run("listen", "--count", "1")
    bert.run("contact", "add", main.opened.engine.me, "Anna")
    bert.run("contact", "verify", "Anna", "--yes")
    keys.go("information_outline")
    keys.go("The numbers are the same")
    pilot.until(lambda: main.state.conversation.state.verified, "verified")


def _talk(keys: Keys, bert: Desk, folder: Path) -> None:
    """Bert calls: answered, muted and hung up."""
    pilot = keys.pilot
    calling = pilot.screen.presenter.talk.calling
    process = bert.start("call", "Anna", "--record", str(folder / "bert.wav"), "--json", "--seconds", "40")
    try:
        pilot.until(lambda: calling.state.phase == "incoming" and pilot.app.overlay is not None, "it rings")
        dialog = pilot.app.overlay
        keys.go("Answer")
        pilot.until(lambda: calling.state.phase == "active", "the call")
        keys.go("Mute")
        pilot.until(lambda: calling.state.muted)
        assert keys.at is dialog.mute
        assert dialog.mute.cget("border_width") == 2, "the ring stays"
        keys.go("Hang up")
        pilot.until(lambda: calling.state.phase == "ended")
        keys.go("Close")
        pilot.until(lambda: pilot.app.overlay is None)
        pilot.until(lambda: process.poll() is not None, "the end of his command")
        told = [json.loads(line) for line in process.communicate()[0].splitlines()]
    finally:
        process.kill()
        process.communicate()
    assert [one["code"] for one in told if one["event"] == "call"][-1] == "hung_up"


def _settle(keys: Keys) -> None:
    """Settings: the other look."""
    pilot = keys.pilot
    keys.press("ctrl+comma")
    pilot.until(lambda: pilot.app.overlay is not None)
    keys.go("Look and locking")
    keys.go("Light")
    pilot.until(lambda: pilot.app.theme.colors.name == "light", "the other look")
    keys.press("Escape")
    pilot.until(lambda: pilot.app.overlay is None)


def test_the_focus_is_never_on_what_is_not_shown(screen: Display, folder: Path) -> None:
    """After what was pressed is gone: a request that was accepted, missed calls that were seen."""

    async def fill(engine: Engine) -> None:
        await know_a_server(engine)
        await tx(engine, say, "stranger", [(False, "Hello?", 3)], True, False)

    make(folder, fill=fill)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        keys = Keys(pilot, Hands(pilot))
        main = pilot.screen.presenter
        pilot.open(key_of("stranger")[:16])
        keys.go("Accept")
        pilot.until(lambda: not main.state.conversation.state.decision, "a contact")
        keys.until_in(ComposerBox, "the composer")
        calling = main.talk.calling
        calling._show(replace(calling.state, missed=(MissedCall("ab" * 32, "Bert", "12:00", "busy"),)))
        pilot.until(pilot.screen.call_bar.winfo_ismapped, "the missed call")
        seen = pilot.screen.call_bar.seen
        seen.focus_set()
        pilot.until(lambda: keys.at is seen)
        keys.press("Return")
        pilot.until(lambda: not seen.winfo_viewable() and keys.at is not seen, "another place")
        assert pilot.app.focus_get().winfo_viewable()


def test_where_the_keys_are_is_seen_in_a_list_of_which_nothing_is_chosen(
    screen: Display, folder: Path
) -> None:
    async def fill(engine: Engine) -> None:
        await know_a_server(engine)
        for name in ("Bert", "Cora"):
            await tx(engine, say, name, [(False, "Hello", 1)])

    make(folder, fill=fill)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        keys = Keys(pilot, Hands(pilot))
        paper, accent = pilot.screen.side.list._paper, pilot.app.theme.colors.accent

        def frames() -> list[int]:
            return [one for one in paper.find_all() if paper.type(one) == "rectangle"]

        for _ in range(_STOPS):
            keys.press("Tab")
            if pilot.app.focus_get() is paper:
                break
        assert [paper.itemcget(one, "outline") for one in frames()] == [accent]
        first = pilot.screen.presenter.list.state.rows[0].title
        keys.press("Return")
        keys.until_in(ComposerBox)
        assert pilot.screen.presenter.state.conversation.state.title == first


def test_a_question_is_where_the_focus_is(screen: Display, folder: Path, tmp_path: Path) -> None:
    async def fill(engine: Engine) -> None:
        await engine.connect(server.url)
        await engine.create_channel("garden")

    with ServerProcess(tmp_path / "server") as server:
        make(folder, fill=fill)
        with window(folder) as pilot:
            pilot.unlock(PASSWORD)
            keys = Keys(pilot, Hands(pilot))
            pilot.open("#garden")
            keys.go("information_outline")
            pane, view = pilot.screen._shown["right"]
            pilot.until(lambda: pane.state.loaded)
            keys.go("Leave the channel")
            pilot.until(lambda: keys.at is view.no, "the way back")
            keys.press("Return")
            pilot.until(lambda: pilot.app.focus_get() is view.list.canvas, "the members")
            assert pane.state.ask is None
            assert pane.state.state == "member"


def test_tab_stays_inside_a_dialog(screen: Display, folder: Path) -> None:
    """Behind it the focus is not seen, and what is pressed there neither."""
    make(folder, fill=know_a_server)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        keys = Keys(pilot, Hands(pilot))
        main, dialog = pilot.screen.presenter, ""
        for show in (main.new_message, main.new_channel, main.join_channel, main.show_connection,
                     main.show_settings, pilot.app.desktop.show_help):  # fmt: skip
            show()
            pilot.until(lambda: pilot.app.overlay is not None)
            dialog = f"{pilot.app.overlay}."
            keys.press("ctrl+f")
            pilot.rest(0.1)
            for step in ("Tab", "shift+Tab"):
                for _ in range(12):
                    keys.press(step)
                    assert str(pilot.app.focus_get()).startswith(dialog), (dialog, step)
            keys.press("Escape")
            pilot.until(lambda: pilot.app.overlay is None)
        keys.press("Tab")
        assert not str(pilot.app.focus_get()).startswith(dialog)
