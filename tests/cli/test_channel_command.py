"""Channels on the command line: every command, every refusal with its sentence and exit code, and names that
try to mislead.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mobium.client import Engine, Member
from mobium.client.join_links import format_join, parse_join
from mobium.client.store import channels, lines, meta
from mobium.client.store.database import Tx
from mobium.crypto import invite as sealing
from mobium.errors import InvalidInput, NotConnected
from mobium.protocol.limits import MAX_MEMBERS
from mobium.protocol.roster import Access
from mobium_client.cli import invites as command
from mobium_client.people import change_of, names_of, shown_name
from mobium_client.plain import harmless
from tests.cli.conftest import log_in
from tests.cli.test_messages_command import listening
from tests.support.channels import begin, enter
from tests.support.commands import FAST, PASSWORD, Desk
from tests.support.engines import tx
from tests.support.server import Client, ServerProcess
from tests.support.server import log_in as raw_login

T = TypeVar("T")
EVIL_NAME = "ok\x1b[2J\x1b]0;owned\x07\u202eevil\u2066\x7f\n12:00  anna  yes" + "\u0301" * 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    limits = {"SC_RATE_GENERAL": "0", "SC_RATE_ADDRESS_FACTOR": "0"}
    with ServerProcess(tmp_path_factory.mktemp("server"), limits) as one:
        yield one


@pytest.fixture
def person(tmp_path: Path) -> Callable[..., Desk]:
    """Makes somebody new, logged in once at a server if one is named."""

    def make(name: str, url: str | None = None) -> Desk:
        desk = Desk(tmp_path / name, command=FAST)
        folder = desk.profile(name)
        folder.mkdir(mode=0o700, parents=True)
        asyncio.run(Engine.create(folder, PASSWORD))
        if url is not None:
            log_in(desk, url)

        async def key(engine: Engine) -> str:
            return engine.me

        _KEYS[desk.home] = inside(desk, key, connect=False)
        return desk

    return make


@pytest.fixture
def garden(person: Callable[..., Desk], server: ServerProcess) -> tuple[Desk, Desk, Desk]:
    """Anna owns #garden; bob and carl are in."""
    anna, bob, carl = (person(name, server.url) for name in ("anna", "bob", "carl"))

    async def make(engine: Engine) -> str:
        await engine.create_channel("garden", topic="beans")
        return await engine.invite("#garden", uses=2)

    link = inside(anna, make)
    for desk in (bob, carl):
        inside(desk, lambda engine: engine.join(link))
    return anna, bob, carl


def inside(desk: Desk, work: Callable[[Engine], Awaitable[T]], *, connect: bool = True) -> T:
    """Do something with somebody's engine in this process."""

    async def opened() -> T:
        [profile] = desk.profile("any").parent.iterdir()
        async with Engine.open(profile, PASSWORD) as engine:
            if connect:
                await engine.connect()
            return await work(engine)

    return asyncio.run(opened())


_KEYS: dict[Path, str] = {}  # by home, since a key is asked for in the middle of things


def key_of(desk: Desk) -> str:
    return _KEYS[desk.home]


def rows(desk: Desk, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in desk.run(*arguments, "--json").out.splitlines()]


def said(desk: Desk, *arguments: str) -> list[str]:
    """What a history shows, without the dates."""
    return [line[21:] for line in desk.run("history", *arguments).out.splitlines()]


def open_link(desk: Desk) -> str:
    """The link into a new open channel."""

    async def make(engine: Engine) -> str:
        await engine.create_channel("plaza", private=False)
        return await engine.invite("#plaza")

    return inside(desk, make)


def link_into(desk: Desk, *arguments: str) -> str:
    return desk.run("channel", "invite", "garden", *arguments).out.strip()


# ---------------------------------------------------------------- what works


def test_a_channel_from_its_beginning_to_its_end(person: Callable[..., Desk], server: ServerProcess) -> None:
    anna, bob = person("anna"), person("bob")
    assert "There are no channels yet" in anna.run("channel", "list").sentence
    made = anna.run("--server", server.url, "channel", "create", "#garden", "--topic", "beans & more")
    assert made.out == "#garden\n"
    assert "Only invite links lead into #garden" in made.err
    assert "mobium profile name" in made.err
    assert "~Anna" in anna.run("profile", "name", "Anna").sentence
    assert anna.run("profile", "name").out == "Anna\n"
    invited = anna.run("channel", "invite", "#garden", "--uses", "3", "--for", "12h")
    assert "3 people in, for 12 hours" in invited.sentence
    assert "secret" in invited.sentence

    # bob knows no server: the link names it
    joined = bob.run("channel", "join", invited.out.strip())
    assert joined.out == "#garden\n"
    assert "one of 2 members" in joined.err
    assert "Topic: beans & more" in joined.err
    bob.run("send", "#garden", "hello\nfrom bob")
    with listening(anna) as ear:
        joining = ear.until(event="channel")
        assert joining == {
            "event": "channel",
            "channel": "#garden",
            "channel_id": joining["channel_id"],
            "what": "joined",
            "actor": key_of(bob),
            "subject": key_of(bob),
            "text": None,
            "sentence": f"{key_of(bob)[:16]} joined",
        }
        message = ear.until(event="message")
        assert (message["channel"], message["channel_id"]) == ("#garden", joining["channel_id"])
        assert (message["text"], message["peer"]) == ("hello\nfrom bob", key_of(bob))
        assert (message["nickname"], message["shown"]) == (None, key_of(bob)[:16])
    assert anna.run("send", "#garden", "hello bob").out.split()[1] == "sent"
    listened = bob.run("listen", "--count", "1")
    assert listened.out.endswith("  #garden ~Anna  hello bob\n")
    assert said(bob, "#garden") == ["-- You joined", "you  hello", "from bob", "~Anna  hello bob"]

    [channel] = rows(bob, "channel", "list")
    assert channel == {
        "id": joining["channel_id"],
        "channel": "#garden",
        "name": "garden",
        "topic": "beans & more",
        "private": True,
        "state": "member",
        "reason": None,
        "role": "member",
        "members": 2,
        "unread": 0,
        "server": server.url.split("/")[2],
        "as_of": channel["as_of"],
    }
    assert 0 <= (datetime.now(UTC) - datetime.fromisoformat(channel["as_of"])).total_seconds() < 300
    assert rows(bob, "channel", "members", "garden") == [
        {
            "key": key_of(anna), "nickname": None, "name": "Anna", "role": "owner", "trust": "unverified",
            "me": False,
        },
        {
            "key": key_of(bob), "nickname": None, "name": None, "role": "member", "trust": "unverified",
            "me": True,
        },
    ]  # fmt: skip
    history = rows(bob, "history", f"#{channel['id'].upper()}")
    assert [(row["kind"], row["text"], row["outgoing"], row["shown"]) for row in history] == [
        ("notice", None, False, None),
        ("text", "hello\nfrom bob", True, None),
        ("text", "hello bob", False, "~Anna"),
    ]
    assert history[0]["what"] == "joined"
    assert history[0]["subject"] == key_of(bob)
    [overview] = rows(bob, "history")
    assert (overview["channel"], overview["unread"], overview["last"]["text"]) == ("#garden", 0, "hello bob")
    assert bob.run("history").out.endswith("  #garden  ~Anna: hello bob\n")

    assert "You have left #garden" in bob.run("channel", "leave", "garden").sentence
    assert bob.run("channel", "list").out.split("\t")[2:4] == ["private", "left"]
    assert "You have left" in bob.run("send", "#garden", "one more", code=2).sentence
    assert bob.run("history", "#garden").err == "You have left this channel.\n"
    assert "deleted" in bob.run("channel", "forget", "#garden").sentence
    assert rows(bob, "channel", "list") == []


def test_changes_are_told_in_sentences(garden: tuple[Desk, Desk, Desk]) -> None:
    anna, bob, carl = garden
    inside(anna, lambda engine: engine.contacts.add(key_of(bob), "Bob"), connect=False)
    digits = key_of(carl)[:16]
    # nobody was connected since bob and carl joined: a command catches up by itself
    assert "Bob is an admin of #garden now" in anna.run("channel", "role", "garden", "bob", "admin").sentence
    assert "topic of #garden was changed" in anna.run("channel", "topic", "garden", "peas").sentence
    assert anna.run("channel", "topic", "garden").out == "peas\n"
    anna.run("channel", "topic", "garden", "")
    assert "no topic" in anna.run("channel", "topic", "garden").sentence
    assert "#garden is called #Orchard now" in anna.run("channel", "rename", "garden", "#Orchard").sentence
    assert "new secret" in anna.run("channel", "renew", "orchard").sentence
    removed = anna.run("channel", "remove", "orchard", digits[:9]).sentence
    assert removed == (
        f"{digits} is no longer in #Orchard, and cannot read what follows."
        " Invite links made before are worthless."
    )
    anna.run("channel", "ban", "orchard", digits, code=2)
    anna.run("channel", "ban", "orchard", key_of(carl))
    assert anna.run("channel", "banned", "orchard").out == f"{key_of(carl)}\t\n"
    assert f"{digits} may join #Orchard again" in anna.run("channel", "unban", "orchard", digits).sentence
    assert "Nobody is banned" in anna.run("channel", "banned", "orchard").sentence
    owns = anna.run("channel", "role", "orchard", "Bob", "owner").sentence
    assert owns == "Bob owns #Orchard now, and you are an admin."
    anna.run("send", "#orchard", "that was a lot")
    assert said(anna, "#orchard") == [
        "-- You made this channel",
        "-- Bob joined",
        f"-- {digits} joined",
        "-- You made Bob an admin",
        "-- You set the topic: peas",
        "-- You took the topic away",
        "-- You called this channel Orchard",
        "-- You renewed the secret: invite links made before are worthless",
        f"-- You removed {digits}",
        f"-- You banned {digits}",
        f"-- You lifted the ban on {digits}",
        "-- You made Bob the owner",
        "you  that was a lot",
    ]
    bob.run("listen", "--count", "1")
    owner = key_of(anna)[:16]
    assert f"-- {owner} made you the owner" in said(bob, "#Orchard")
    # carl was away, and hears of it now
    assert "removed from this channel" in carl.run("send", "#garden", "and I?", code=1).sentence
    assert rows(carl, "channel", "list")[0]["state"] == "removed"
    assert f"-- {owner} removed you" in said(carl, "#orchard")


def test_what_waits_goes_out_with_any_command(garden: tuple[Desk, Desk, Desk]) -> None:
    """A text that was queued without a connection, and the new secret that a removal brings along."""
    anna, bob, carl = garden
    inside(anna, lambda engine: engine.send("#garden", "written on a train"), connect=False)
    anna.run("channel", "remove", "garden", key_of(carl))
    anna.run("channel", "rename", "garden", "orchard")

    async def comes(engine: Engine) -> tuple[str, list[str | None]]:
        await engine.settled(10)
        [channel] = await engine.channels.list()
        return channel.name, [each.text for each in await engine.history("#orchard") if each.kind == "text"]

    assert inside(bob, comes) == ("orchard", ["written on a train"])


def test_a_former_member_keeps_the_name_he_gave_himself(garden: tuple[Desk, Desk, Desk]) -> None:
    anna, bob, carl = garden
    carl.run("profile", "name", "Carl")
    carl.run("send", "#garden", "good bye")
    carl.run("channel", "leave", "garden")
    anna.run("channel", "topic", "garden", "peas")
    bob.run("send", "#garden", "oh")
    for desk in (anna, bob):
        assert "~Carl  good bye" in said(desk, "#garden")
        assert "-- ~Carl left" in said(desk, "#garden")


def test_invites(garden: tuple[Desk, Desk, Desk], person: Callable[..., Desk]) -> None:
    anna, bob, _ = garden
    first, second = link_into(anna), link_into(anna, "--uses", "0", "--for", "ever")
    ids = [parse_join(link).invite for link in (first, second)]
    found = {row["id"]: row for row in rows(anna, "channel", "invites", "garden")}
    one, other = (found[identity.hex()] for identity in ids if identity is not None)
    assert (one["uses"], other["uses"], other["expires"]) == (1, None, None)
    assert one["made_by"] == key_of(anna)
    assert len(anna.run("channel", "invites", "garden").out.splitlines()) == 2
    assert "not allow" in bob.run("channel", "invites", "garden", code=1).sentence
    assert "not allow" in bob.run("channel", "invite", "garden", code=1).sentence
    revoked = anna.run("channel", "revoke", "garden", first).sentence
    assert "1 invite left" in revoked
    assert "renew" in revoked
    assert "No such invite" in anna.run("channel", "revoke", "garden", first, code=2).sentence
    assert "32 hexadecimal" in anna.run("channel", "revoke", "garden", "xyz", code=2).sentence
    assert "0 invites left" in anna.run("channel", "revoke", "garden", other["id"]).sentence
    assert "No invite is in force" in anna.run("channel", "invites", "garden").sentence
    with anna.terminal("channel", "invite", "garden", "--qr", columns=100, rows=50) as terminal:
        assert terminal.wait() == 0
        assert "█" in terminal.raw
    with anna.terminal("channel", "invite", "garden", "--qr", columns=60) as terminal:
        assert terminal.wait() == 0
        assert "too narrow" in terminal.raw
    with anna.terminal("channel", "invites", "garden", columns=80) as terminal:
        assert terminal.wait() == 0
        assert all(len(row) <= 80 for row in terminal.everything)


def test_an_open_channel_says_what_it_is(person: Callable[..., Desk], server: ServerProcess) -> None:
    anna, bob = person("anna", server.url), person("bob")
    told = "keeps no secret from the server"
    assert told in anna.run("channel", "create", "plaza", "--open").err
    invited = anna.run("channel", "invite", "plaza")
    assert told in invited.sentence
    assert anna.run("channel", "invite", "plaza").out == invited.out, "it has one link"
    assert told in bob.run("channel", "join", invited.out.strip()).err
    with bob.terminal("chat", "#plaza") as chat:
        chat.expect(told)
        chat.type("\x04")
        chat.wait()
    assert "one link" in anna.run("channel", "invite", "plaza", "--uses", "2", code=2).sentence
    for action in (("invites",), ("renew",), ("revoke", "00" * 16)):
        assert "one link" in anna.run("channel", action[0], "plaza", *action[1:], code=2).sentence
    assert rows(bob, "channel", "list")[0]["private"] is False


# ---------------------------------------------------------------- conversations


def test_a_channel_on_two_terminals(garden: tuple[Desk, Desk, Desk]) -> None:
    anna, bob, carl = garden
    carl.run("profile", "name", "Carl")
    carl.run("send", "#garden", "before")
    with (
        anna.terminal("chat", "#garden") as left,
        bob.terminal("chat", "#garden", columns=60) as right,
    ):
        left.expect(r"(?m)~Carl  before$")
        left.expect("Topic: beans")
        left.expect(r"Ctrl-D leaves\. … queued  ✓ sent  ✗ not sent")
        right.expect(r"(?m)^#garden>$")
        left.type("hello all\n")
        left.expect(r"(?m)^✓  .*you  hello all$")
        right.expect(rf"(?m){key_of(anna)[:16]}  hello all$")
        right.type("hello anna\n")
        left.expect(rf"(?m){key_of(bob)[:16]}  hello anna$")
        carl.run("channel", "leave", "garden")
        left.expect(r"(?m)-- ~Carl left$")
        right.expect(r"(?m)-- ~Carl left$")
        for terminal in (left, right):
            terminal.type("\x04")
            assert terminal.wait() == 0
    with bob.terminal("chat", "#garden") as chat:
        chat.expect(r"(?m)^#garden>$")
        anna.run("channel", "rename", "garden", "orchard")
        chat.expect(rf"(?m)-- {key_of(anna)[:16]} called this channel orchard$")
        chat.expect(r"(?m)^#orchard>$")
        anna.run("channel", "remove", "orchard", key_of(bob))
        chat.expect(r"(?m)removed you$")
        chat.type("am I here?\n")
        chat.expect(r"You were removed from this channel\.")
        chat.type("\x04")
        assert chat.wait() == 0
    assert "am I here?" not in bob.run("history", "#orchard").out


def test_a_channel_through_pipes(garden: tuple[Desk, Desk, Desk]) -> None:
    anna, bob, _ = garden
    anna.run("chat", "#garden", given=b"one\n\ntwo\n")
    assert [row["text"] for row in rows(anna, "history", "#garden")][-2:] == ["one", "two"]
    done = bob.run("listen", "--json", "--count", "2")
    assert [json.loads(line).get("text") for line in done.out.splitlines()][-2:] == ["one", "two"]
    bob.run("channel", "leave", "garden")
    assert "have left" in bob.run("chat", "#garden", given=b"three\n", code=2).sentence


# ---------------------------------------------------------------- refusals


def test_refusals_of_a_link(
    garden: tuple[Desk, Desk, Desk], person: Callable[..., Desk], server: ServerProcess
) -> None:
    anna, bob, _ = garden
    dora = person("dora", server.url)

    def join(link: str, code: int) -> str:
        return dora.run("channel", "join", link, code=code).sentence

    old = link_into(anna)

    async def quick(engine: Engine) -> str:
        return await engine.invite("#garden", ttl=1)

    short = inside(anna, quick)
    time.sleep(1.2)
    assert "expired" in join(short, 1)
    assert "already" in bob.run("channel", "join", old, code=2).sentence
    for damaged in (old[:-3], old.replace("join", "contact"), "hello"):
        assert "invite link" in join(damaged, 2)
    assert "from the # on" in join(old.partition("#")[0], 2)
    assert (
        "no secret for a private channel"
        in bob.run("channel", "join", open_link(anna) + "#" + old.partition("#")[2], code=2).sentence
    )
    unknown = format_join(replace(parse_join(old), channel_id=bytes(32)))
    assert "no such channel" in join(unknown, 1)
    assert "unknown or was revoked" in join(format_join(replace(parse_join(old), invite=bytes(16))), 1)
    anna.run("channel", "renew", "garden")
    assert "ask for a new link" in join(old, 1)
    new = link_into(anna)
    mixed = replace(parse_join(new), secret=parse_join(old).secret)
    assert "secret is not the one in force" in join(format_join(mixed), 1)
    forked = replace(parse_join(new), head=bytes(32))
    assert "another history" in join(format_join(forked), 1)
    anna.run("channel", "ban", "garden", key_of(dora))
    assert "banned" in join(link_into(anna), 1)
    anna.run("channel", "unban", "garden", key_of(dora))
    last = link_into(anna)
    assert rows(dora, "channel", "list") == [], "nothing is left of what was refused"
    dora.run("channel", "join", last)
    assert "as often as it may be" in person("emil", server.url).run("channel", "join", last, code=1).sentence


def test_refusals_of_a_change(garden: tuple[Desk, Desk, Desk]) -> None:
    anna, bob, carl = garden

    def refused(desk: Desk, *arguments: str, code: int = 1) -> str:
        return desk.run("channel", *arguments, code=code).sentence

    assert "not allow" in refused(bob, "remove", "garden", key_of(carl))
    assert refused(anna, "leave", "garden").endswith("first. (mobium channel role '#garden' WHO owner)")
    assert "role already" in refused(anna, "role", "garden", key_of(bob), "member")
    assert "yourself" in refused(anna, "remove", "garden", key_of(anna), code=2)
    assert "not banned" in refused(anna, "unban", "garden", key_of(bob))
    assert "Only members" in refused(anna, "remove", "garden", "ab" * 32, code=1)
    assert "called “~nobody”" in refused(anna, "remove", "garden", "~nobody", code=2)
    assert "nickname" in refused(anna, "remove", "garden", "nobody", code=2)
    assert "Leave the channel" in refused(anna, "forget", "garden", code=2)
    assert "#nothing" in refused(anna, "members", "nothing", code=2)
    assert "king" in refused(anna, "role", "garden", key_of(bob), "king", code=2)
    assert "such as 12h" in refused(anna, "invite", "garden", "--for", "soon", code=2)
    assert "--uses" in refused(anna, "invite", "garden", "--uses", "10001", code=2)
    for name in ("", "x" * 65, "a\nb", "a\u202eb", "00" * 32, "##x"):
        shown = refused(anna, "rename", "garden", name, code=2)
        assert shown == harmless(shown, name=True)
    assert "at most 380 bytes" in refused(anna, "topic", "garden", "ü" * 200, code=2)
    assert "receipts" in anna.run("send", "#garden", "x", "--wait", "delivered", code=2).sentence
    for line in (("send", "#nothing", "x"), ("chat", "#nothing"), ("history", "#nothing")):
        assert "“#nothing”" in anna.run(*line, code=2).sentence
    for name in ("\x1b[31m", "#x", "00" * 32, "a\u202eb"):
        assert anna.run("profile", "name", name, code=2).sentence
    assert "first digits" in anna.run("profile", "name", "").sentence
    assert rows(anna, "channel", "list")[0]["name"] == "garden"


def test_without_a_server_and_on_another(
    garden: tuple[Desk, Desk, Desk], person: Callable[..., Desk], tmp_path: Path
) -> None:
    anna, _, _ = garden
    link = link_into(anna)
    nowhere = format_join(replace(parse_join(link), server=None))
    emil = person("emil")
    assert "--server" in emil.run("channel", "create", "x", code=2).sentence
    assert "--server" in emil.run("channel", "join", nowhere, code=2).sentence
    with ServerProcess(tmp_path / "other") as other:
        emil.run("--server", other.url, "channel", "create", "elsewhere")
        refused = emil.run("channel", "join", link, code=2).sentence
        here = other.url.removesuffix("/ws")
        there = parse_join(link).server
        assert there is not None
        assert here in refused
        assert f"--server {there.removesuffix('/ws')}." in refused
        emil.run("--server", there, "channel", "join", link)
        for line in (("send", "#elsewhere", "x"), ("channel", "leave", "elsewhere"), ("chat", "#elsewhere")):
            assert f"--server {here.partition('//')[2]}" in emil.run(*line, code=2).sentence
        emil.run("--server", other.url, "send", "#elsewhere", "nothing is lost")
    assert rows(emil, "history", "#elsewhere")[-1]["text"] == "nothing is lost"
    for line in (("topic", "elsewhere", "x"), ("invite", "elsewhere"), ("create", "y")):
        assert "cannot be reached" in emil.run("channel", *line, code=3).sentence
    assert "queued" in emil.run("send", "#elsewhere", "later", code=3).sentence
    assert emil.run("channel", "members", "elsewhere").out


# ---------------------------------------------------------------- names, and large channels


def test_names_cannot_command_a_terminal(
    garden: tuple[Desk, Desk, Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulated terminal refuses every sequence that is not the program's own."""
    anna, bob, _ = garden
    evil_name = EVIL_NAME[:40]
    monkeypatch.setattr(sealing, "check_names", lambda name, topic="": (name, topic))
    monkeypatch.setattr("mobium.client.channels.check_names", lambda name, topic="": (name, topic))

    async def attack(engine: Engine) -> None:
        await tx(engine, lambda store: meta.put(store, "name", evil_name))
        sent = await engine.send("#garden", EVIL_NAME)
        await engine.wait(sent, "sent", 30)

    async def rename(engine: Engine) -> None:
        await engine.rename("#garden", evil_name)
        await engine.channels.set_topic((await engine.channels.list())[0].label, EVIL_NAME)

    inside(bob, attack)
    inside(anna, rename)
    carl = garden[2]
    with carl.terminal("listen", "--count", "1") as terminal:
        terminal.expect("ok")
        assert terminal.wait() == 0
    label = rows(carl, "channel", "list")[0]["channel"]
    for arguments in (
        ("channel", "list"), ("channel", "members", label), ("channel", "topic", label),
        ("history",), ("history", label),
    ):  # fmt: skip
        with carl.terminal(*arguments, columns=70) as terminal:
            assert terminal.wait() == 0
            assert terminal.screen
        out = carl.run(*arguments).out.replace("\t", " ")
        assert out == harmless(out)
    with carl.terminal("chat", label) as chat:
        chat.expect(r"Ctrl-D leaves\.")
        assert not [row for row in chat.screen if row.startswith("12:00  anna")]
        chat.type("\x04")
        assert chat.wait() == 0


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("command", [("list",), ("members", "garden")], ids=["list", "members"])
def test_what_is_shown_without_a_connection_says_how_old_it_is(
    garden: tuple[Desk, Desk, Desk], command: tuple[str, ...], columns: int
) -> None:
    anna, _, _ = garden
    with anna.terminal("channel", *command, columns=columns) as terminal:
        assert terminal.wait() == 0
        shown = terminal.everything
    print("\n".join(shown))
    assert max(map(len, shown)) <= columns
    assert "…" not in "".join(shown).replace("…", "", command[0] == "members"), "but for the key"
    said_of_it = " ".join(" ".join(shown).split())
    assert re.search(r"As of the last connection, \d{4}-\d\d-\d\d \d\d:\d\d; what is new", said_of_it)


def test_channels_of_one_name(garden: tuple[Desk, Desk, Desk], server: ServerProcess) -> None:
    anna, bob, _ = garden
    again = bob.run("channel", "create", "GARDEN")
    label = again.out.strip()
    assert "There is another channel of that name, #garden~" in again.err
    assert f"the new one is {label}." in again.err
    bob.run("channel", "create", "64 digits " + "0" * 54)
    labels = [row["channel"] for row in rows(bob, "channel", "list")]
    assert labels[0].startswith("#garden~")
    assert labels[1].startswith("#GARDEN~")
    refused = bob.run("send", "#garden", "which?", code=2).sentence
    assert labels[0] in refused
    assert labels[1] in refused
    bob.run("send", labels[1], "this one")
    assert said(bob, labels[1])[-1] == "you  this one"
    anna.run("send", "#garden", "and that one")
    assert bob.run("listen", "--count", "1").out.endswith(
        f"  {labels[0]} {key_of(anna)[:16]}  and that one\n"
    )
    with bob.terminal("channel", "list", columns=60) as terminal:
        assert terminal.wait() == 0
        assert max(map(len, terminal.everything)) <= 60


def test_a_full_channel(person: Callable[..., Desk], server: ServerProcess) -> None:
    anna, bob = person("anna", server.url), person("bob", server.url)

    async def fill() -> str:
        owner = await raw_login(server.url)
        room = await begin(owner, Access.OPEN)
        await owner.close()

        async def join(leave_one: int) -> None:
            for _ in range(MAX_MEMBERS - room.roster.size - leave_one):
                one: Client = await raw_login(server.url)
                await enter(one, room)
                await one.close()

        await join(2)
        return f"mobium://join/{room.id.hex()}?server={server.url.removesuffix('/ws')}"

    link = asyncio.run(fill())
    joined = anna.run("channel", "join", link)
    assert "one of 999 members" in joined.err
    label = joined.out.strip()
    inside(bob, lambda engine: engine.join(link))
    carl = person("carl", server.url)
    assert "as many members" in carl.run("channel", "join", link, code=1).sentence
    began = time.monotonic()
    listed = anna.run("channel", "members", label).out.splitlines()
    assert len(listed) == MAX_MEMBERS - 1, "as of the last connection"
    with bob.terminal("channel", "members", label) as terminal:
        assert terminal.wait() == 0
        assert len(terminal.everything) > MAX_MEMBERS
        assert max(map(len, terminal.everything)) <= 80
    assert time.monotonic() - began < 20


def test_lines_that_cannot_be_read(garden: tuple[Desk, Desk, Desk]) -> None:
    anna, bob, _ = garden

    def spoil(store: Tx) -> None:
        row = channels.by_name(store, "garden")[0]
        peer = int(store.value("SELECT id FROM peer WHERE ed = ?", bytes.fromhex(key_of(bob))))
        for number, who in ((7, peer), (8, 0)):
            lines.add(store, row.id, number, who, bytes([number]) * 16, "closed", "", 1, 1)
        lines.add(store, row.id, 9, peer, b"9" * 16, "unknown", "poll", 1, 1)
        channels.update(store, row.id, state="broken", reason="The server shows an older list of members.")

    bob.run("send", "#garden", "so that anna knows of bob")
    anna.run("listen", "--count", "1")
    inside(anna, lambda engine: tx(engine, spoil), connect=False)
    shown = said(anna, "#garden")
    assert shown[-3] == (
        f"{key_of(bob)[:16]}  (this cannot be read: its key has not reached this machine, or it is damaged)"
    )
    assert shown[-2].startswith("you  (this cannot be read")
    assert shown[-1] == f"{key_of(bob)[:16]}  (this needs a newer version of mobium)"
    assert "older list" in anna.run("history", "#garden").err
    assert "older list" in anna.run("channel", "rename", "garden", "x", code=2).sentence
    with anna.terminal("channel", "list") as terminal:
        assert terminal.wait() == 0
        assert "older list" in terminal.raw
    with anna.terminal("chat", "#garden") as chat:
        chat.expect("older list")
        chat.expect(r"\(this cannot be read")
        chat.type("\x04")
        chat.wait()


# ---------------------------------------------------------------- in small


def _member(digit: str, name: str = "", nickname: str | None = None, *, me: bool = False) -> Member:
    return Member(digit * 64, nickname, name, "member", "unverified", me)


def test_no_two_members_are_called_the_same() -> None:
    members = [
        _member("a", "Bob"), _member("b", "bob"), _member("c", "x", "Bob"), _member("d"),
        _member("e", "bob~aaaa"), _member("f", "n" * 64), _member("1", "n" * 64), _member("2", "Dora"),
    ]  # fmt: skip
    names = names_of(members)
    assert len(set(names.values())) == len(members)
    assert names["a" * 64] == "~Bob~aaaa"
    assert names["b" * 64] == "~bob~bbbb"
    assert names["c" * 64] == "Bob"
    assert names["d" * 64] == "d" * 16
    assert names["e" * 64] == "~bob~aaaa~eeee"
    assert names["2" * 64] == "~Dora"
    assert shown_name(None, "you", "0" * 64) == "~you"


@pytest.mark.parametrize(
    ("what", "text", "sentence"),
    [
        ("joined", "", "~a joined"),
        ("left", "", "~a left"),
        ("removed", "", "~a removed you"),
        ("role", "member", "~a made you a member again"),
        ("role", "emperor", "~a made you something that a newer mobium knows"),
        ("renamed", "b\x1bc", "~a called this channel b␛c"),
        ("renamed", "", "~a gave this channel another name or topic, which cannot be read yet"),
        ("reordered", "", "The server shows what ~a wrote in another order than it was written"),
        ("broken", "It does not add up.", "It does not add up."),
        ("mended", "", "The server shows everything again that it had hidden"),
        ("disputed", "There are two different lists.", "There are two different lists."),
        ("agreed", "", "Nobody speaks of another list of members any more"),
        ("withheld", "The server leaves something out.", "The server leaves something out."),
        ("unheard of", "", "~a changed something that needs a newer version of mobium"),
    ],
)
def test_sentences_of_changes(what: str, text: str, sentence: str) -> None:
    assert change_of(what, text, "~a", "you") == sentence


def test_a_name_that_came_late() -> None:
    assert change_of("renamed", "garden", "", "") == "This channel is called garden"


@pytest.mark.parametrize(
    ("text", "seconds"), [("7d", 604_800), ("12 H", 43_200), ("30m", 1_800), ("4w", 2_419_200), ("ever", 0)]
)
def test_times(text: str, seconds: int) -> None:
    assert command._seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "0d", "-1d", "7", "1.5h", "1y", "٧d" * 3])
def test_no_times(text: str) -> None:
    with pytest.raises(InvalidInput):
        command._seconds(text)


def test_news_end(garden: tuple[Desk, Desk, Desk]) -> None:
    """Without a connection nothing is waited for."""
    _, bob, _ = garden

    async def leave(engine: Engine) -> None:
        with pytest.raises(NotConnected):
            await engine.leave("#garden")

    inside(bob, leave, connect=False)
