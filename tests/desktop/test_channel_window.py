"""Channels in the real window, by mouse and keyboard of a private display, with the command line as the other
side: made, joined by a link, talked in, removed from.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from mobium.client import Channel, Engine
from mobium_client.gui.models.channel_pane import ChannelPane
from mobium_client.gui.models.main import Main
from tests.desktop.profiles import PASSWORD, make
from tests.support.commands import FAST, Desk
from tests.support.desktop import window
from tests.support.display import Display
from tests.support.hands import HANDS, Hands
from tests.support.server import ServerProcess

pytestmark = [*HANDS]


def test_channels_by_mouse_and_keyboard(screen: Display, folder: Path, tmp_path: Path) -> None:
    bert = Desk(tmp_path / "bert", PASSWORD, command=FAST)
    hers: list[str] = []

    async def his(engine: Engine) -> None:
        await engine.connect(server.url)
        await engine.set_name("Bert")

    async def fill(engine: Engine) -> None:
        hers.append(engine.me)
        await engine.connect(server.url)

    async def known() -> list[Channel]:
        async with Engine.open(bert.profile("bert"), PASSWORD) as engine:
            await engine.connect()
            await engine.settled(10)
            return await engine.channels.list()

    with ServerProcess(tmp_path / "server") as server:
        make(bert.data, "bert", his)
        make(folder, fill=fill)
        with window(folder) as pilot:
            pilot.unlock(PASSWORD)
            main: Main = pilot.screen.presenter
            hands = Hands(pilot)
            pilot.until(lambda: main.status.state.words == "Connected")

            # she makes a channel, invites Bert by a link that she copies, and they talk
            hands.click(pilot.screen.side.new_channel)
            pilot.until(lambda: pilot.app._overlays.view is not None)
            pilot.app._overlays.view.name.focus_set()
            pilot.rest(0.1)
            hands.type("garden")
            hands.keys("Return")
            pilot.until(lambda: main.state.conversation is not None, "the channel")
            assert isinstance(main.state.pane, ChannelPane), "the way to invite is there at once"
            hands.click(pilot.screen._shown["right"][1].close)
            pilot.until(lambda: pilot.screen._shown["right"][0] is None, "no pane")
            hands.click(pilot.screen.conversation.actions.about)
            pane = main.state.pane
            assert isinstance(pane, ChannelPane)
            pilot.until(lambda: pane.state.members)
            view = pilot.screen._shown["right"][1]
            hands.click(view.invite)
            pilot.until(lambda: pilot.app._overlays.view is not None)
            dialog = pilot.app._overlays.view
            assert [row.cget("text") for row in dialog.lasting.rows] == [
                "1 hour",
                "1 day",
                "7 days",
                "For ever",
            ]
            hands.click(dialog.uses.rows[1])
            assert dialog.presenter.state.uses == "5"
            hands.click(dialog.make)
            pilot.until(lambda: dialog.presenter.state.link)
            hands.click(dialog.copy)
            link = pilot.app.clipboard_get()
            assert link == dialog.presenter.state.link
            hands.keys("Escape")
            pilot.until(lambda: pilot.app._overlays.view is None)
            assert bert.run("channel", "join", link).out == "#garden\n"
            pilot.until(lambda: " joined" in pilot.text(), "the notice")
            pilot.write("Welcome, Bert")
            bert.run("send", "#garden", "Thank you 🌻")
            pilot.until(lambda: "Thank you" in pilot.text(), "his message")
            assert "~Bert" in pilot.text()
            said = [json.loads(line) for line in bert.run("history", "#garden", "--json").out.splitlines()]
            assert "Welcome, Bert" in [one["text"] for one in said]

            # he makes another one; its link opens the dialog, by mouse and by keyboard, and joins nothing
            bert.run("channel", "create", "meadow")
            link = bert.run("channel", "invite", "#meadow").out.strip()
            bert.run("send", "#garden", f"Come {link} not {link}\u200f nor ftp://meadow.example")
            lines = pilot.screen.conversation.lines.text
            pilot.until(lambda: "ftp:" in pilot.text(), "the link")
            pilot.rest(0.2)
            assert len({tag for tag in lines.tag_names() if lines.tag_ranges(tag) and "act" in tag}) == 1
            x, y, width, height = lines.bbox(lines.search("mobium", "1.0"))
            left, top = lines.winfo_rootx() + x, lines.winfo_rooty() + y
            hands.click_at(left + width // 2, top + height // 2)
            pilot.until(lambda: pilot.app.overlay is not None, "the dialog")
            assert pilot.app.overlay.link.text == link
            hands.keys("Escape")
            pilot.until(lambda: pilot.app.overlay is None)
            pilot.screen.conversation.composer.text.focus_force()
            pilot.until(lambda: pilot.app.focus_get() is pilot.screen.conversation.composer.text)
            for _ in range(4):
                hands.keys("Tab")
                pilot.rest(0.1)
                if pilot.app.focus_get() is lines:
                    break
            assert pilot.app.focus_get() is lines, "reached by Tab"
            hands.keys("Left")
            pilot.until(lambda: lines.tag_ranges("marked"), "the link, marked")
            hands.keys("Return")
            pilot.until(lambda: pilot.app.overlay is not None, "the dialog")
            pilot.rest(0.2)
            hands.keys("Return", "Return")
            pilot.rest(0.2)
            asked = pilot.app.overlay.presenter
            assert (asked.state.link, asked.state.good, asked.state.busy) == (link, True, False)
            hands.keys("Escape")
            pilot.until(lambda: pilot.app.overlay is None)
            members = bert.run("channel", "members", "#meadow", "--json").out.splitlines()
            assert len(members) == 1, "she is not in"

            # she removes him: asked first, and seen by him
            view.list.canvas.focus_force()
            pilot.until(lambda: len(pane.state.members) == 2)
            pilot.rest(0.2)
            hands.keys("Down", "Return")
            pilot.until(lambda: pane.state.member is not None and not pane.state.member.me)
            hands.click(view.acts["remove"])
            pilot.until(lambda: pane.state.ask is not None)
            hands.click(view.yes)
            pilot.until(lambda: len(pane.state.members) == 1)
            assert {one.name: one.state for one in asyncio.run(known())} == {
                "garden": "removed",
                "meadow": "member",
            }

            # she joins by pasting his link, and is removed
            pilot.app.clipboard_clear()
            pilot.app.clipboard_append(link)
            hands.click(pilot.screen.side.join)
            pilot.until(lambda: pilot.app._overlays.view is not None)
            joining = pilot.app._overlays.view
            joining.link.entry._entry.focus_force()
            pilot.rest(0.2)
            hands.keys("ctrl+v")
            pilot.until(lambda: joining.presenter.state.good, "what the link says")
            hands.click(joining.join)
            pilot.until(lambda: main.state.conversation and main.state.conversation.state.title == "#meadow")
            pilot.until(lambda: main.state.conversation and main.state.conversation.state.writable)
            bert.run("channel", "remove", "#meadow", hers[0])
            pilot.until(lambda: main.state.conversation and not main.state.conversation.state.writable)
            pilot.rest(0.2)
            assert "removed" in pilot.screen.conversation._standing._text
            assert not pilot.screen.conversation.composer.winfo_ismapped()
