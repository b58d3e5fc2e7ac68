"""Channels in the desktop, without a display: presenters on a real engine and a real server, and a second
person at the command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mobium.client import Channel, Engine
from mobium_client.gui.models.channel_pane import ChannelPane
from mobium_client.gui.models.conversation import Conversation
from mobium_client.gui.models.invites import Invites
from mobium_client.gui.models.join_channel import JoinChannel
from mobium_client.gui.models.lines import Bubble, Remark
from mobium_client.gui.models.main import Main
from mobium_client.gui.models.new_channel import NewChannel
from mobium_client.gui.models.presenter import Presenter
from tests.desktop.profiles import PASSWORD, make
from tests.support.commands import FAST, Desk
from tests.support.seat import Seat
from tests.support.server import ServerProcess

D = TypeVar("D", bound=Presenter[Any])
LIMITS = {"SC_RATE_GENERAL": "0", "SC_RATE_ADDRESS_FACTOR": "0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), LIMITS) as one:
        yield one


@dataclass
class Scene:
    """A seat that is unlocked and connected, and somebody at the command line."""

    seat: Seat
    main: Main
    bert: Desk
    his: str
    url: str

    def dialog(self, kind: type[D]) -> D:
        """The dialog on top."""
        top = self.seat.context.overlays.state[-1]
        assert isinstance(top, kind)
        return top

    def new_channel(self, name: str = "garden", *, private: bool = True) -> None:
        """Make a channel by the dialog."""
        self.main.new_channel()
        dialog = self.dialog(NewChannel)
        dialog.choose(private=private)
        dialog.create(name, "beans")
        self.seat.until(lambda: self.main.state.conversation is not None, "the channel")
        self.seat.until(lambda: self.conversation.state.loaded, "its lines")

    @property
    def conversation(self) -> Conversation:
        """The one that is open."""
        assert self.main.state.conversation is not None
        return self.main.state.conversation

    def pane(self) -> ChannelPane:
        """The pane of the channel that is open; a new one has it open already."""
        if self.main.state.pane is None:
            self.main.about_channel()
        pane = self.main.state.pane
        assert isinstance(pane, ChannelPane)
        self.seat.until(lambda: pane.state.loaded and pane.state.members, "the members")
        return pane

    def invite(self, pane: ChannelPane) -> str:
        """A link into the channel of the pane."""
        pane.invites()
        dialog = self.dialog(Invites)
        self.seat.until(lambda: dialog.state.loaded)
        dialog.choose_uses("5")
        dialog.choose_lasting("1 day")
        dialog.make()
        self.seat.until(lambda: dialog.state.link, "a link")
        dialog.close_dialog()
        return dialog.state.link

    def bert_joins(self, pane: ChannelPane) -> None:
        """Bert comes in by a link."""
        self.bert.run("channel", "join", self.invite(pane))
        self.seat.until(lambda: any(one.key == self.his for one in pane.state.members), "Bert in the list")

    def his_channels(self) -> list[Channel]:
        """What Bert knows once he was connected, from his database."""

        async def look() -> list[Channel]:
            async with Engine.open(self.bert.profile("bert"), PASSWORD) as engine:
                await engine.connect()
                await engine.settled(10)
                return await engine.channels.list()

        return asyncio.run(look())

    def notices(self) -> list[str]:
        """What the conversation says of changes."""
        lines = self.conversation.state.lines
        return [line.text for line in lines if isinstance(line, Remark) and line.kind == "notice"]


@pytest.fixture
def scene(folder: Path, tmp_path: Path, server: ServerProcess) -> Iterator[Scene]:
    bert = Desk(tmp_path / "bert", PASSWORD, command=FAST)
    keys: list[str] = []

    async def his(engine: Engine) -> None:
        keys.append(engine.me)
        await engine.connect(server.url)

    async def fill(engine: Engine) -> None:
        await engine.connect(server.url)
        await engine.contacts.add(keys[0], "Bert")

    make(bert.data, "bert", his)
    make(folder, fill=fill)
    with Seat(folder) as seat:
        main = seat.unlock(PASSWORD)
        seat.until(lambda: main.status.state.words == "Connected")
        yield Scene(seat, main, bert, keys[0], server.url)


def test_a_channel_is_made_and_what_it_means_is_said(scene: Scene) -> None:
    scene.main.new_channel()
    dialog = scene.dialog(NewChannel)
    assert "Only invite links" in dialog.state.meaning
    dialog.choose(private=False)
    assert "operator reads its name" in dialog.state.meaning
    dialog.create("", "")
    scene.seat.until(lambda: dialog.state.problem)
    assert "name" in dialog.state.problem
    assert not dialog.state.busy
    dialog.choose(private=True)
    dialog.create("#garden", "beans")
    scene.seat.until(lambda: scene.main.state.conversation is not None)
    assert scene.seat.context.overlays.state == ()
    assert scene.conversation.state.title == "#garden"
    scene.main.new_channel()
    again = scene.dialog(NewChannel)
    scene.seat.until(lambda: again._labels)
    again.name("Garden")
    assert "#garden already" in again.state.alike
    again.name("Meadow")
    assert again.state.alike == ""
    again.cancel()
    assert scene.seat.context.overlays.state == ()


def test_a_link_says_what_it_leads_to_and_each_refusal_has_its_sentence(scene: Scene) -> None:
    seat = scene.seat
    scene.bert.run("channel", "create", "meadow")
    link = scene.bert.run("channel", "invite", "#meadow").out.strip()
    scene.main.join_channel()
    dialog = scene.dialog(JoinChannel)
    dialog.join()
    assert "mobium://join/" in dialog.state.problem
    dialog.type("mobium://jo")
    assert dialog.state.problem == "", "who is typing is let finish"
    dialog.type("https://garden.example")
    assert "no invite link" in dialog.state.problem
    dialog.type(link.partition("#")[0])
    assert "missing" in dialog.state.problem
    other = link.replace("localhost", "chat.example").replace("127.0.0.1", "chat.example")
    dialog.type(other)
    assert dialog.state.good
    assert "chat.example" in dialog.state.server
    dialog.join()
    seat.until(lambda: dialog.state.problem)
    assert "connect there first" in dialog.state.problem
    dialog.type(link)
    assert "A private channel" in dialog.state.meaning
    dialog.join()
    dialog.join()
    seat.until(lambda: scene.main.state.conversation is not None, "the channel")
    seat.until(scene.notices, "that one has joined")
    scene.main.join_channel(link)
    used = scene.dialog(JoinChannel)
    assert used.state.good
    used.join()
    seat.until(lambda: used.state.problem or seat.context.overlays.state == ())
    assert used.state.problem == "You are in this channel already."
    assert [one.members for one in scene.his_channels()] == [2]


def test_invites_are_made_listed_revoked_and_made_worthless(scene: Scene) -> None:
    scene.new_channel()
    pane = scene.pane()
    pane.invites()
    dialog = scene.dialog(Invites)
    scene.seat.until(lambda: dialog.state.loaded)
    assert not dialog.state.rows
    dialog.make()
    scene.seat.until(lambda: len(dialog.state.rows) == 1)
    assert "one person in, for 7 days" in dialog.state.about
    assert "secret" in dialog.state.about
    assert "1 use left" in dialog.state.rows[0].words
    dialog.choose_uses("Any")
    dialog.choose_lasting("For ever")
    dialog.make()
    scene.seat.until(lambda: len(dialog.state.rows) == 2)
    assert "any number of people, until revoked" in {row.words for row in dialog.state.rows}
    link = dialog.state.link
    assert link not in repr(dialog.state), "a secret"
    [first, _] = dialog.state.rows
    dialog.revoke(first.id)
    scene.seat.until(lambda: len(dialog.state.rows) == 1)
    assert "revoke every link" in dialog.state.said
    dialog.renew()
    assert dialog.state.ask is not None
    dialog.take_back()
    dialog.confirm()
    assert not dialog.state.busy, "nothing is done that was not asked"
    dialog.renew()
    assert not dialog.state.busy, "nor before it is confirmed"
    dialog.confirm()
    scene.seat.until(lambda: "new secret" in dialog.state.said)
    refused = scene.bert.run("channel", "join", link, code=None)
    assert refused.code != 0
    assert refused.sentence


def test_an_open_channel_has_one_link_and_says_so(scene: Scene) -> None:
    scene.new_channel("square", private=False)
    pane = scene.pane()
    assert not pane.state.private
    assert "operator" in pane.state.access
    pane.invites()
    dialog = scene.dialog(Invites)
    scene.seat.until(lambda: dialog.state.link)
    assert "for everybody" in dialog.state.about
    scene.bert.run("channel", "join", dialog.state.link)
    scene.seat.until(lambda: len(pane.state.members) == 2)


def test_members_names_and_roles_are_changed_and_the_other_process_sees_it(scene: Scene) -> None:
    seat = scene.seat
    scene.new_channel()
    pane = scene.pane()
    assert (pane.state.role, pane.state.count, pane.state.topic) == ("owner", "1 member", "beans")
    scene.bert_joins(pane)
    bert = next(one for one in pane.state.members if one.key == scene.his)
    assert (bert.name, bert.role, bert.trust) == ("Bert", "member", "unverified")
    seat.until(lambda: "Bert joined" in scene.notices(), "the notice")
    pane.edit("name")
    pane.rename("#allotment")
    seat.until(lambda: pane.state.label == "#allotment")
    assert pane.state.edit == ""
    pane.set_topic("")
    seat.until(lambda: pane.state.topic == "")
    pane.choose(scene.his)
    assert pane.state.member == bert
    pane.set_role("admin")
    seat.until(lambda: "admin" in pane.state.said)
    assert [(one.name, one.topic, one.role) for one in scene.his_channels()] == [("allotment", "", "admin")]
    assert scene.conversation.state.title == "#allotment"


def test_who_is_removed_is_asked_about_first_and_told_and_can_be_banned(scene: Scene) -> None:
    seat = scene.seat
    scene.new_channel()
    pane = scene.pane()
    scene.bert_joins(pane)
    pane.choose(scene.his)
    pane.remove()
    assert pane.state.ask is not None
    assert "worthless" in pane.state.ask.question
    pane.take_back()
    pane.confirm()
    assert any(one.key == scene.his for one in pane.state.members), "nothing was done"
    pane.remove()
    pane.confirm()
    seat.until(lambda: len(pane.state.members) == 1)
    seat.until(lambda: "You removed Bert" in scene.notices())
    assert [one.state for one in scene.his_channels()] == ["removed"]
    scene.bert_joins(pane)
    pane.choose(scene.his)
    pane.ban()
    pane.confirm()
    seat.until(lambda: [key for key, _ in pane.state.banned] == [scene.his])
    pane.choose(scene.his)
    assert pane.state.outsider
    pane.unban()
    seat.until(lambda: pane.state.banned == ())


def test_an_owner_hands_over_before_he_leaves_and_forgets_then(scene: Scene) -> None:
    seat = scene.seat
    scene.new_channel()
    pane = scene.pane()
    scene.bert_joins(pane)
    pane.leave()
    assert "hand it over" in pane.state.problem
    pane.choose(scene.his)
    pane.set_role("owner")
    assert pane.state.ask is not None
    pane.confirm()
    seat.until(lambda: pane.state.role == "admin")
    pane.leave()
    pane.confirm()
    seat.until(lambda: pane.state.state == "left")
    assert "left" in pane.state.standing
    conversation = scene.main.state.conversation
    assert conversation is not None
    seat.until(lambda: not conversation.state.writable)
    pane.forget()
    pane.confirm()
    seat.until(lambda: scene.main.state.conversation is None)
    assert scene.main.state.pane is None
    seat.until(lambda: all(row.kind == "person" for row in scene.main.list.state.rows))


def test_whoever_is_removed_here_sees_it_and_cannot_write(scene: Scene) -> None:
    seat = scene.seat
    scene.bert.run("channel", "create", "meadow")
    link = scene.bert.run("channel", "invite", "#meadow").out.strip()
    scene.main.join_channel(link)
    dialog = scene.dialog(JoinChannel)
    dialog.join()
    seat.until(lambda: scene.main.state.conversation is not None)
    conversation = scene.main.state.conversation
    assert conversation is not None
    pane = scene.pane()
    scene.bert.run("send", "#meadow", "who are you?")
    seat.until(lambda: any(isinstance(line, Bubble) for line in conversation.state.lines))
    [bubble] = [line for line in conversation.state.lines if isinstance(line, Bubble)]
    assert (bubble.name, bubble.writer) == ("Bert", scene.his)
    scene.bert.run("channel", "remove", "#meadow", seat.do(_me(scene.main.opened.engine)))
    seat.until(lambda: not conversation.state.writable, "it cannot be written to")
    assert "removed" in conversation.state.standing
    seat.until(lambda: pane.state.state == "removed")
    assert pane.state.members == ()
    seat.until(lambda: "Bert removed you" in " ".join(scene.notices()))


async def _me(engine: Engine) -> str:
    return engine.me
