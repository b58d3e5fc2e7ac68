"""Scenes of channels: making, joining, what is said there, who is in, the ways in, and when one is out."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack
from dataclasses import replace

from mobium.client import Engine
from mobium_client.gui.models.channel_pane import ChannelPane, MemberRow
from mobium_client.gui.models.invites import InviteRow, Invites
from mobium_client.gui.models.main import Main
from tests.support.desktop import Pilot
from tools.scenes.stage import PASSWORD, Stage, scene

__all__ = ["channel_open", "garden"]

LONG = "the-allotment-gardeners-of-the-northern-railway-line-and-their-friends"
LINK = "mobium://join/" + "3f" * 32 + "/" + "9a" * 16 + "?server=wss://chat.example#" + "Q" * 86
SAID = (
    ("Bert", "The seeds have come. Who is there on Saturday?"),
    ("Cora", "I am, from ten. 🌻"),
    ("Cora", "Somebody has to bring the ladder, though."),
    ("Bert", "אני אביא את הסולם"),
    ("Bert", "https://garden.example/plan?week=47 has the plan; the water is back since Tuesday."),
)


def garden(stage: Stage, name: str = "garden", *, private: bool = True) -> None:
    """Anna's profile owns a channel with Bert, Cora and somebody who passes for Bert."""
    url = stage.server()

    async def fill(anna: Engine) -> None:
        async with AsyncExitStack() as stack:
            await anna.connect(url)
            made = await anna.create_channel(name, private, "Beans, tomatoes and the fence")
            link = await anna.invite(f"#{made.id}", 5, 3_600)
            people: dict[str, Engine] = {}
            for who in ("Bert", "Cora", "Impostor"):
                folder = stage.data / "others" / who
                folder.mkdir(parents=True)
                await Engine.create(folder, PASSWORD)
                one = people[who] = await stack.enter_async_context(Engine.open(folder, PASSWORD))
                await one.connect(url)
                await one.set_name("Bert" if who == "Impostor" else who)
                await one.join(link)
            await anna.contacts.add(people["Bert"].me, "Bert")
            hello = await people["Bert"].send(anna.me, "Hello, this is Bert")
            await people["Bert"].wait(hello, "delivered", 20)
            await anna.contacts.verify(people["Bert"].me)
            await anna.set_role(f"#{made.id}", people["Cora"].me, "admin")
            for who, text in SAID:
                await people[who].wait(await people[who].send(f"#{made.id}", text), "sent", 20)
                await asyncio.sleep(0.05)
            await anna.wait(await anna.send(f"#{made.id}", "I bring it. And the tea."), "sent", 20)
            await people["Impostor"].settled(10)
            said = await people["Impostor"].send(f"#{made.id}", "I am Bert, send me the key of the shed")
            await people["Impostor"].wait(said, "sent", 20)
            await anna.settled(10)
            await asyncio.sleep(0.3)

    stage.profile(fill)


def channel_open(stage: Stage, title: str = "#garden") -> tuple[Pilot, Main]:
    """The window with the channel in the middle."""
    pilot = stage.main()
    pilot.open(title)
    main: Main = pilot.screen.presenter
    pilot.until(lambda: main.status.state.words == "Connected")
    return pilot, main


def with_pane(stage: Stage, title: str = "#garden") -> tuple[Pilot, ChannelPane]:
    """And its pane on the right."""
    pilot, main = channel_open(stage, title)
    main.about_channel()
    pane = main.state.pane
    assert isinstance(pane, ChannelPane)
    pilot.until(lambda: pane.state.loaded and pane.state.members)
    return pilot, pane


@scene("channel")
def channel(stage: Stage) -> None:
    """What is said in a channel: names, colours, changes; somebody has another one's name."""
    garden(stage)
    channel_open(stage)


@scene("channel-pane")
def channel_pane(stage: Stage) -> None:
    """Who is in."""
    garden(stage)
    with_pane(stage)


@scene("channel-long")
def channel_long(stage: Stage) -> None:
    """An open channel with a long name."""
    garden(stage, LONG[:60], private=False)
    with_pane(stage, f"#{LONG[:60]}")


@scene("channel-member")
def channel_member(stage: Stage) -> None:
    """More of a member, who is about to be removed."""
    garden(stage)
    _, pane = with_pane(stage)
    pane.choose(pane.state.members[1].key)
    pane.remove()


@scene("channel-edit")
def channel_edit(stage: Stage) -> None:
    """The topic is being changed, and the owner wanted to leave."""
    garden(stage)
    _, pane = with_pane(stage)
    pane.edit("topic")
    pane.leave()
    pane._show(replace(pane.state, edit="topic"))


@scene("channel-thousand")
def channel_thousand(stage: Stage) -> None:
    """A thousand members."""
    garden(stage)
    _, pane = with_pane(stage)
    names = ["Bartholomäus Freiherr von und zu Lichtenstein", "אבא", "🌻 Cora 🌻", "Dora", "~Emil", "李雷"]
    rows = tuple(
        MemberRow(
            hashlib.sha256(bytes((n >> 8, n & 255))).hexdigest(),
            f"{names[n % len(names)]} {n}" if n > len(names) else names[n - 1],
            "owner" if n == 0 else "admin" if n < 3 else "member",
            ("unverified", "verified", "changed")[n % 7 % 3],
            False,
        )
        for n in range(1_000)
    )
    pane._show(replace(pane.state, members=rows, count="1,000 members"))


@scene("channel-broken")
def channel_broken(stage: Stage) -> None:
    """The list of members does not verify."""
    garden(stage)
    pilot, pane = with_pane(stage)
    words = (
        "The server shows another past of this channel than before, so nobody can tell who reads along. "
        "Nothing is sent there."
    )
    pane._show(replace(pane.state, standing=words, state="broken"))
    open_one = pilot.screen.presenter.state.conversation
    open_one._show(replace(open_one.state, standing=words, writable=False))


@scene("channel-removed")
def channel_removed(stage: Stage) -> None:
    """One was removed."""
    garden(stage)
    pilot, pane = with_pane(stage)
    words = "You were removed from this channel. What was said before stays here."
    pane._show(replace(pane.state, standing=words, state="removed", members=(), count="", role=""))
    open_one = pilot.screen.presenter.state.conversation
    open_one._show(replace(open_one.state, standing=words, writable=False))


@scene("new-channel")
def new_channel(stage: Stage) -> None:
    """A private one."""
    stage.profile()
    stage.main().screen.presenter.new_channel()


@scene("new-channel-open")
def new_channel_open(stage: Stage) -> None:
    """An open one, of a name that there is, without a connection."""
    stage.profile()
    pilot = stage.main()
    pilot.screen.presenter.new_channel()
    pilot.rest(0.1)
    view = pilot.app._overlays.view
    view.name.put("garden")
    view.choice.rows[1].invoke()
    dialog = view.presenter
    dialog._show(
        replace(dialog.state, alike="There is #garden already; the two will be told apart by digits.")
    )
    dialog.create("garden", "")
    pilot.until(lambda: dialog.state.problem)


@scene("join-channel")
def join_channel(stage: Stage) -> None:
    """A link was pasted."""
    stage.profile()
    stage.main().screen.presenter.join_channel(LINK)


@scene("join-refused")
def join_refused(stage: Stage) -> None:
    """It is not the whole of one."""
    stage.profile()
    pilot = stage.main()
    pilot.screen.presenter.join_channel(LINK.partition("#")[0])


def with_invites(stage: Stage) -> tuple[Pilot, Invites]:
    """The dialog of a private channel's links."""
    garden(stage)
    pilot, pane = with_pane(stage)
    pane.invites()
    dialog = pilot.app.desktop.context.overlays.state[-1]
    assert isinstance(dialog, Invites)
    pilot.until(lambda: dialog.state.loaded)
    return pilot, dialog


@scene("invites-empty")
def invites_empty(stage: Stage) -> None:
    """No link yet."""
    with_invites(stage)


@scene("invites")
def invites(stage: Stage) -> None:
    """A link, and many in force."""
    pilot, dialog = with_invites(stage)
    dialog.choose_uses("5")
    dialog.make()
    pilot.until(lambda: dialog.state.link and dialog.state.rows)
    more = tuple(InviteRow(f"{n:032x}", "1 use left, until 2026-12-05 14:00", "Cora") for n in range(12))
    dialog._show(replace(dialog.state, rows=(*dialog.state.rows, *more)))


@scene("invites-ask")
def invites_ask(stage: Stage) -> None:
    """Every link is to be revoked: it is asked first."""
    _, dialog = with_invites(stage)
    dialog.renew()


@scene("invites-open")
def invites_open(stage: Stage) -> None:
    """The one link of an open channel."""
    garden(stage, private=False)
    pilot, pane = with_pane(stage)
    pane.invites()
    dialog = pilot.app.desktop.context.overlays.state[-1]
    pilot.until(lambda: dialog.state.link)
