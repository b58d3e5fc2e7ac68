"""Channels on the command line: every command, on terminals and through pipes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from mobium.client import Engine
from mobium.client.join_links import parse_join
from tests.cli.channels import inside, key_of, link_into, rows, said
from tests.cli.test_messages_command import listening
from tests.support.commands import Desk
from tests.support.server import ServerProcess


def test_a_channel_from_its_beginning_to_its_end(
    person: Callable[..., Desk], channel_server: ServerProcess
) -> None:
    anna, bob = person("anna"), person("bob")
    assert "There are no channels yet" in anna.run("channel", "list").sentence
    made = anna.run("--server", channel_server.url, "channel", "create", "#garden", "--topic", "beans & more")
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
        "server": channel_server.url.split("/")[2],
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
    assert anna.run("channel", "invites", "garden").sentence == (
        "No invite is in force; make one with: mobium channel invite garden"
    )
    with anna.terminal("channel", "invite", "garden", "--qr", columns=100, rows=50) as terminal:
        assert terminal.wait() == 0
        assert "█" in terminal.raw
    with anna.terminal("channel", "invite", "garden", "--qr", columns=60) as terminal:
        assert terminal.wait() == 0
        assert "too narrow" in terminal.raw
    with anna.terminal("channel", "invites", "garden", columns=80) as terminal:
        assert terminal.wait() == 0
        assert all(len(row) <= 80 for row in terminal.everything)


def test_an_open_channel_says_what_it_is(person: Callable[..., Desk], channel_server: ServerProcess) -> None:
    anna, bob = person("anna", channel_server.url), person("bob")
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
