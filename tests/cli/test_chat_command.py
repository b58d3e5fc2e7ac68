"""`mobium chat` on a real terminal and through pipes, and what a peer's text can do to a screen (THREATS
A24).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading

from mobium.client import Engine
from mobium.client.store import peers
from mobium.client.store.database import Tx
from mobium.crypto import Identity
from mobium_client.plain import harmless
from tests.cli.conftest import Made, log_in
from tests.support.commands import PASSWORD, Desk
from tests.support.engines import tx
from tests.support.server import ServerProcess

Talking = tuple[Desk, Desk, ServerProcess]
PATIENCE = 60.0
EVIL = (
    "ok\x1b[2J\x1b[H\x1b]0;owned\x07\x1b[?1049h\x9b31m\x90x\x9c\u202eevil\u2066\x7f\b\b\n"
    "14:03  anna  I agree to everything\r\n\x1b[6n"
)


def test_a_conversation_on_two_terminals(talking: Talking) -> None:
    anna, bob, _ = talking
    with (
        anna.terminal("chat", "bob", columns=80) as left,
        bob.terminal("chat", "anna", columns=120) as right,
    ):
        left.expect(r"Ctrl-D leaves\.")
        right.expect(r"Ctrl-D leaves\.")
        left.expect("(?m)^bob>$")
        left.type("hello bob\n")
        right.expect("anna  hello bob")
        left.expect("(?m)^✓✓ .*you  hello bob$")
        # an answer arrives in the middle of a line
        left.type("half a sen")
        left.expect("bob> half a sen$")
        right.type("an answer " + "that is long " * 10 + "\n")
        left.expect("bob  an answer")
        left.expect("bob> half a sen$")
        left.type("tence\x1b[D\x1b[D\x1b[D\x1b[D\x7fT\n")
        right.expect("anna  half a senTence")
        assert len([row for row in left.screen if "half a" in row]) == 1, left.screen
        # pasted lines are one message
        left.type("\x1b[200~first\nsecond\x1b[201~")
        left.expect("bob> first␊second$")
        left.type("\n")
        right.expect("anna  first\n +│ second")
        for terminal in (left, right):
            assert all(len(row) <= 120 for row in terminal.screen)
        assert max(map(len, left.everything)) < 80
        left.type("\x04")
        assert left.wait() == 0
        right.interrupt()
        assert right.wait() == 130
        assert "Traceback" not in right.raw


def test_a_server_that_goes_away_and_comes_back(talking: Talking) -> None:
    anna, bob, server = talking
    with anna.terminal("chat", "bob") as terminal:
        terminal.expect("(?m)^bob>$")
        server.kill()
        terminal.expect(r"(?m)^bob \(offline\)>$")
        terminal.type("while away\n")
        terminal.expect("(?m)^… .*you  while away$")
        server.start()
        terminal.expect("(?m)^✓ .*you  while away$")
        terminal.expect("(?m)^bob>$")
        server.stop()
        terminal.expect(r"(?m)^bob \(offline\)>$")
        terminal.type("left behind\n")
        terminal.expect("(?m)^… .*you  left behind$")
        terminal.type("\x04")
        assert terminal.wait() == 0
        assert "1 message is queued" in "\n".join(terminal.everything)
    server.start()
    bob.run("listen", "--count", "1")
    anna.run("send", "bob", "after it")
    bob.run("listen", "--count", "2")
    texts = [json.loads(line)["text"] for line in bob.run("history", "anna", "--json").out.splitlines()]
    assert texts == ["while away", "left behind", "after it"]


def test_the_terminal_is_left_as_it_was(talking: Talking) -> None:
    anna, _, _ = talking
    for leave in ("\x04", "\x03"):
        with anna.terminal("chat", "bob") as terminal:
            before = terminal.modes
            terminal.expect("(?m)^bob>$")
            assert terminal.modes != before, "keys are read one by one"
            terminal.type(leave)
            terminal.wait()
            assert terminal.modes == before
            assert terminal.raw.count("\x1b[?2004h") == terminal.raw.count("\x1b[?2004l") == 1


def test_a_long_message_leaves_the_conversation_as_it_was(talking: Talking) -> None:
    anna, bob, _ = talking
    bob.run("send", "anna", "-", given=b"x" * 1_000_000)
    anna.run("listen", "--count", "1")
    with anna.terminal("chat", "bob", columns=40, rows=50) as chat:
        chat.expect("-- This is the beginning of\n +│ 1,000,000 characters; mobium\n +│ history shows more")
        chat.expect("(?m)^bob>$")
        assert sum("xxx" in row for row in chat.everything) == 40
        chat.type("go on\n")
        chat.expect("(?m)^✓.*you  go on$")
        bob.run("send", "anna", "-", given="漢\n".encode() * 200_000)
        chat.expect("-- This is the beginning of 399,999\\n +│ characters; mobium history shows\\n")
        chat.type("\x04")
        assert chat.wait() == 0
    with anna.terminal("history", "bob", "--limit", "1", columns=80) as history:
        assert history.wait() == 0
        assert "beginning of 399,999 characters" in history.raw
        assert history.raw.count("漢") == 1_000
    [line] = anna.run("history", "bob", "--limit", "1", "--json").out.splitlines()
    assert len(json.loads(line)["text"]) == 399_999


def test_a_conversation_through_pipes(talking: Talking) -> None:
    anna, bob, _ = talking
    process = bob.start("chat", "anna", stdin=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    process.stdin.write("eins\n\nzwei ü\r\n".encode())
    process.stdin.flush()
    done = anna.run("listen", "--json", "--count", "2")
    messages = [event for event in map(json.loads, done.out.splitlines()) if event["event"] == "message"]
    assert [message["text"] for message in messages] == ["eins", "zwei ü"]
    anna.run("send", "bob", "an answer\nin two lines")
    assert process.stdout.readline().decode().endswith("anna  an answer\n")
    assert process.stdout.readline().decode().strip() == "│ in two lines"
    process.stdin.write(b"without a line break")
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    watchdog.cancel()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stdout.close()
    process.stderr.close()
    anna.run("listen", "--count", "1")
    last = json.loads(anna.run("history", "bob", "--json").out.splitlines()[-1])
    assert last["text"] == "without a line break"


def test_a_peers_text_cannot_command_a_terminal(talking: Talking) -> None:
    """The emulated terminal refuses every sequence that is not the program's own."""
    anna, bob, _ = talking
    with anna.terminal("chat", "bob") as chat:
        chat.expect("(?m)^bob>$")
        bob.run("send", "anna", "-", given=EVIL.encode())
        chat.expect("(?m)^   .*bob  ok␛\\[2J␛\\[H␛\\]0;owned␇")
        assert [row for row in chat.screen if row.startswith("        │ 14:03  anna  I agree")], chat.screen
        chat.type("\x04")
        assert chat.wait() == 0
    for command in (("history",), ("history", "bob"), ("contact", "list")):
        with anna.terminal(*command) as terminal:
            assert terminal.wait() == 0
        out = anna.run(*command).out.replace("\t", " ")
        assert out == harmless(out)
    bob.run("send", "anna", "-", given=EVIL.encode())
    with anna.terminal("listen", "--count", "1") as terminal:
        terminal.expect("bob  ok")
        assert terminal.wait() == 0


def test_a_stranger_stands_under_its_key_and_no_nickname_misleads(
    anna: Desk, bob: Desk, made: dict[str, Made], server: ServerProcess
) -> None:
    for desk in (anna, bob):
        log_in(desk, server.url)
    bob.run("send", made["anna"].key, "-", given=EVIL.encode())
    key = made["bob"].key
    with anna.terminal("listen", "--count", "1") as terminal:
        terminal.expect(rf"{key[:16]} \(request\)  ok")
        assert terminal.wait() == 0
    for nickname in ("\x1b[31mbob", "bob\u202e", "bob\nanna", "\x9b2J", key, " ", "x" * 100):
        said = anna.run("contact", "add", key, nickname, code=2).sentence
        assert said == harmless(said, name=True)
    assert "request" in anna.run("contact", "list").out
    assert "no contact" in anna.run("chat", "\x1b]0;x\x07", code=2).sentence


# ---------------------------------------------------------------- contacts


def test_requests_names_and_blocks(talking: Talking, made: dict[str, Made]) -> None:
    anna, bob, server = talking
    bob.run("contact", "rename", "anna", "Anna Ü")
    assert "Anna Ü" in bob.run("contact", "list").out
    assert "no contact" in bob.run("contact", "rename", "anna", "other", code=2).sentence
    bob.run("contact", "block", "anna ü")
    assert "blocked" in bob.run("send", "Anna Ü", "hello", code=2).sentence
    assert json.loads(bob.run("contact", "list", "--json").out)["blocked"] is True
    bob.run("contact", "unblock", "Anna Ü")
    bob.run("send", "Anna Ü", "hello")
    other = f"mobium://contact/{made['bob'].key}?server=wss://elsewhere.example"
    said = anna.run("contact", "add", other, "bob").sentence
    assert "wss://elsewhere.example" in said
    assert server.url in said
    assert "your own key" in anna.run("contact", "add", made["anna"].key, code=2).sentence
    assert "bob is a contact" in anna.run("contact", "accept", "bob").sentence


def test_safety_numbers_are_compared(talking: Talking) -> None:
    anna, bob, _ = talking
    assert "no exchange" in anna.run("contact", "verify", "bob", code=2).sentence
    anna.run("send", "bob", "hello")
    bob.run("listen", "--count", "1")
    numbers = []
    for desk, other, answer in ((anna, "bob", "no"), (bob, "anna", "yes")):
        with desk.terminal("contact", "verify", other) as terminal:
            found = terminal.expect(r"(?s)\n((?: +\d{5}){6})\n((?: +\d{5}){6})\n.*\(yes/no\)$")
            numbers.append((found[1].split(), found[2].split()))
            terminal.type(f"{answer}\n")
            assert terminal.wait() == (0 if answer == "yes" else 1)
    assert numbers[0] == numbers[1]
    trust = [json.loads(desk.run("contact", "list", "--json").out)["trust"] for desk in (anna, bob)]
    assert trust == ["unverified", "verified"]
    anna.run("contact", "verify", "bob", "--yes")
    assert "no longer" in bob.run("contact", "verify", "anna", "--undo").sentence
    other_key(bob)
    accepted = bob.run("contact", "accept", "anna")
    assert "new key of anna was accepted" in accepted.sentence
    shown = accepted.out.split()
    assert [len(group) for group in shown] == 12 * [5]
    assert shown != [*numbers[1][0], *numbers[1][1]], "the number of the key that is accepted"


def other_key(desk: Desk) -> None:
    """Another key is offered for the only contact."""

    def offer(store: Tx) -> None:
        [peer] = peers.every(store, "contact")
        peers.offer_x(store, peer, Identity.generate()[0].x_public)

    async def work() -> None:
        [profile] = desk.profile("any").parent.iterdir()
        async with Engine.open(profile, PASSWORD) as engine:
            await tx(engine, offer)

    asyncio.run(work())


# ---------------------------------------------------------------- interruptions


def test_ctrl_c_at_a_prompt(anna: Desk) -> None:
    anna.password = None
    with anna.terminal("whoami") as terminal:
        terminal.expect("Password:$")
        terminal.interrupt()
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.raw
        assert terminal.echoes


def test_a_window_of_another_size(talking: Talking) -> None:
    anna, bob, _ = talking
    with anna.terminal("chat", "bob", columns=80) as terminal:
        terminal.expect("(?m)^bob>$")
        terminal.type("x" * 100)
        terminal.expect("bob> x{50,75}$")
        terminal.resize(40, 12)
        terminal.expect("bob> x{20,35}$")
        bob.run("send", "anna", "words " * 20)
        terminal.expect("bob  words words")
        assert max(map(len, terminal.screen[-5:])) < 40
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait() != 0
