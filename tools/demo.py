"""`make demo`: a server, people who talk, a channel, a crash and a recovery, in one terminal.

A real server process and real engines in folders of their own. It prints what each of them sees and what
the server has on its disk, and ends with exit code 0 only if every message arrived once and in order and no
word of them, nor the channel's name, was found in the server's files. Not its concern: the command line,
which people use themselves.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import traceback
from contextlib import AsyncExitStack
from pathlib import Path

from rich.table import Table
from rich.text import Text

from mobium import __version__
from mobium.client import Engine
from mobium.client.profile import backend_name
from mobium.errors import InvalidInput, MobiumError
from mobium_client.plain import harmless, shorten
from tools.demo_cast import PASSWORD, PATIENCE, STYLES, Person, Server, Stage, Talk

TRAFFIC = 40  # messages of each person while the server is killed
ACKNOWLEDGED = 10  # of them, before it is
SECRETS = (
    "the key to the garden shed is under the third pot",
    "שלום, גם עברית מגיעה",
    "Grüße aus Köln – 你好 – 🌻",
    "this one tries \x1b[31mto paint your terminal red\x1b[0m and fails",
)
OFFLINE = (
    "are you there?",
    "well, then read this when you are back",
    "I have planted the tomatoes, and the beans come tomorrow",
)
CHANNEL = "greenhouse committee"
TOPIC = "who waters when"
IN_CHANNEL = (
    ("anna", "the three of us, at last"),
    ("cora", "hello from the third one; I came by the link"),
    ("bert", "I water on Mondays, whatever the others say"),
)
AFTER_REMOVAL = (("anna", "bert has drowned the cacti again"), ("cora", "then I take his Mondays, too"))


def show_disk(stage: Stage, server: Server, people: list[Person]) -> None:
    """What lies on the server's disk."""
    names = {bytes.fromhex(person.key): person.name for person in people}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title in ("", "for", "from", "bytes", "blob"):
        table.add_column(title, no_wrap=True, justify="right" if title == "bytes" else "left")
    rows = server.rows()
    for number, (mailbox, sender, payload) in enumerate(rows):
        who = Text(" server" if not number else " " * 7, STYLES["server"])
        keys = (f"{key.hex()[:6]}… ({names.get(key, '?')})" for key in (mailbox, sender))
        table.add_row(who, *keys, f"{len(payload):,}", f"{payload[:8].hex(' ')} …")
    stage.show(table)
    stage.say(
        "server", f"{len(rows)} blobs, {sum(len(row[2]) for row in rows):,} bytes. That is all I have.", "dim"
    )


def plaintext_found(server: Server, people: list[Person], talk: Talk) -> list[str]:
    """Where the server's files hold anything that somebody wrote, the channel's names, or a recovery word
    list.
    """
    needles = [text for person in people for text in person.wrote if len(text) > 8]
    needles += [*talk.before, *talk.after, CHANNEL, TOPIC]
    needles += [person.words for person in people if person.words]
    return [
        f"{name}: {needle[:30]}"
        for name, data in server.files().items()
        for needle in needles
        if any(needle.encode(encoding) in data for encoding in ("utf-8", "utf-16-le", "utf-32-le"))
    ]


async def play(stage: Stage, root: Path) -> bool:
    """The whole demonstration; whether everything was as it should be."""
    stage.console.print(
        Text(f"mobium {__version__} ({backend_name()} kernels): one server, nothing lost", "bold")
    )
    server = Server(root / "server")
    anna, bert, cora = (Person(name, root / name, stage) for name in ("anna", "bert", "cora"))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.kill)
        await server.start()
        stage.say("server", f"runs at {server.url}")
        await meet(stage, server, anna, bert)
        await while_offline(stage, server, anna, bert)
        async with anna.at(server) as a, bert.at(server) as b:
            await crash(stage, server, (anna, a), (bert, b))
            cora.words = await Engine.create(cora.folder, PASSWORD)
            async with cora.at(server) as c:
                talk = await channel(stage, server, [(anna, a), (bert, b), (cora, c)])
        again = await recovery(stage, server, anna, bert)
        code = await server.stop()
        return summary(stage, server, [anna, bert, cora], again, talk, code)


async def meet(stage: Stage, server: Server, anna: Person, bert: Person) -> None:
    stage.act("Two identities, one conversation")
    for person in (anna, bert):
        person.words = await Engine.create(person.folder, PASSWORD)
        words = person.words.split()
        async with person.at(server) as engine:
            stage.say(
                person.name,
                f"I am {engine.me[:16]}…, and my 24 words are {words[0]} {words[1]} … {words[-1]}",
            )
    async with anna.at(server) as a, bert.at(server) as b:
        await a.contacts.add(b.me, "bert")
        for text in SECRETS:
            await anna.write(a, "bert", text)
        await bert.until_shown(anna)
        await b.contacts.add(a.me, "anna")
        await bert.write(b, "anna", "all of it has arrived, thank you")
        await anna.until_shown(bert)
        numbers = [await a.contacts.safety_number("bert"), await b.contacts.safety_number("anna")]
        if numbers[0] != numbers[1]:
            raise RuntimeError("The safety numbers differ.")
        stage.say(
            "anna",
            f"our safety number begins {numbers[0][:17]}…; bert reads out the same, so nobody is between us",
        )
        await a.contacts.verify("bert", numbers[1])


async def while_offline(stage: Stage, server: Server, anna: Person, bert: Person) -> None:
    stage.act("Bert is away: the server keeps blobs that it cannot read")
    async with anna.at(server) as a:
        sent = [await anna.write(a, "bert", text) for text in OFFLINE]
        for message_id in sent:
            await a.wait(message_id, "sent", PATIENCE)
    show_disk(stage, server, [anna, bert])
    async with bert.at(server):
        await bert.until_shown(anna)


async def crash(
    stage: Stage, server: Server, first: tuple[Person, Engine], second: tuple[Person, Engine]
) -> None:
    stage.act(f"kill -9 of the server while both write {TRAFFIC} messages")
    (anna, a), (bert, b) = first, second
    anna.loud = bert.loud = False
    anna.states.clear()
    bert.states.clear()

    async def write(person: Person, engine: Engine, peer: str) -> None:
        for number in range(1, TRAFFIC + 1):
            await person.write(engine, peer, f"{person.name} writes line {number} of {TRAFFIC}")

    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        group.create_task(write(anna, a, "bert"))
        group.create_task(write(bert, b, "anna"))
        while anna.acknowledged < ACKNOWLEDGED:
            anna.changed.clear()
            await anna.changed.wait()
        await server.kill()
    done = anna.acknowledged + bert.acknowledged
    stage.say("server", f"is dead: {done} messages were acknowledged, {2 * TRAFFIC - done} were not", "red")
    await server.start()
    stage.say("server", "runs again")
    for engine in (a, b):
        await engine.connect(server.url)
    await bert.until_shown(anna)
    await anna.until_shown(bert)
    for person in (anna, bert):
        await person.until_delivered(TRAFFIC)
        stage.say(person.name, f"sees all {TRAFFIC} lines, the last one: {person.shown[-1]}")
    anna.loud = bert.loud = True


async def channel(stage: Stage, server: Server, three: list[tuple[Person, Engine]]) -> Talk:
    stage.act("A channel: a third one comes by a link, and one is removed")
    talk = Talk([text for _, text in IN_CHANNEL], [text for _, text in AFTER_REMOVAL])
    people = {person.name: person for person, _ in three}
    engines = {person.name: engine for person, engine in three}
    anna, bert, _ = engines.values()
    made = await anna.create_channel(CHANNEL, topic=TOPIC)
    link = await anna.invite(made.label, uses=2)
    stage.say("anna", f"made {made.label}, which only a link leads into: {link[:32]}…")
    for name in ("bert", "cora"):
        joined = await engines[name].join(link)
        stage.say(name, f"is in {joined.label}, as one of {joined.members}")
    where = f"#{made.id}"
    for name, text in IN_CHANNEL:
        await say_in_channel(people[name], engines[name], where, text, list(people.values()))
    statements, posts, members = server.channel_counts()
    stage.say(
        "server",
        f"I keep {posts} blobs and {statements} signed statements, and know {members} members by "
        "their keys. What the channel is called I cannot read",
        "dim",
    )
    await anna.remove(where, bert.me)
    await people["bert"].until_removed()
    stage.say("bert", "was removed by anna")
    for name, text in AFTER_REMOVAL:
        await say_in_channel(people[name], engines[name], where, text, [people["anna"], people["cora"]])
    try:
        await bert.send(where, "and what about my cacti?")
    except InvalidInput as error:
        talk.refused = True
        stage.say("bert", f"wants to answer: {error}")
    for name, engine in engines.items():
        talk.seen[name] = [line.text or "" for line in await engine.history(where) if line.kind != "notice"]
    return talk


async def say_in_channel(
    person: Person, engine: Engine, where: str, text: str, present: list[Person]
) -> None:
    """Write into the channel and wait until the others who are in it see it."""
    counts = [(other, len(other.heard) + 1) for other in present if other is not person]
    person.stage.say(person.name, f"writes: {text}")
    await engine.wait(await engine.send(where, text), "sent", PATIENCE)
    for other, count in counts:
        await other.until_heard(count)


async def recovery(stage: Stage, server: Server, anna: Person, bert: Person) -> Person:
    stage.act("Bert's machine is lost: 24 words on an empty one")
    again = Person("bert", bert.folder.with_name("bert-new"), stage, words=bert.words)
    await Engine.recover(again.folder, PASSWORD, bert.words)
    async with anna.at(server) as a:
        question = await anna.write(a, "bert", "did you drop it into the pond again?")
        await a.wait(question, "sent", PATIENCE)
        async with again.at(server) as b:
            same = "the same key as before" if again.key == bert.key else "ANOTHER KEY THAN BEFORE"
            stage.say(
                "bert", f"I am {b.me[:16]}…: {same}. Contacts and old messages are gone with the machine"
            )
            await again.until_shown(Person("", bert.folder, stage, wrote=anna.wrote[-1:]))
            stage.say(
                "bert", "(it was encrypted to the lost machine: my engine asked anna's to do it again)", "dim"
            )
            await b.contacts.add(a.me, "anna")
            bert.wrote.append("yes. but I had the words on paper")
            stage.say("bert", f"writes: {bert.wrote[-1]}")
            answer = await b.send("anna", bert.wrote[-1])
            await anna.until_shown(bert)
            await a.wait(question, "delivered", PATIENCE)
            await b.wait(answer, "delivered", PATIENCE)
            await server.until_empty()
    return again


def summary(stage: Stage, server: Server, people: list[Person], again: Person, talk: Talk, code: int) -> bool:
    stage.act("What was promised, and what was seen")
    anna, bert, _ = people
    anna_in, bert_in = bert.wrote, anna.wrote
    bert_shown = bert.shown + again.shown
    leaked = plaintext_found(server, people, talk)
    checks = [
        (
            "bert saw all that anna wrote, once and in order",
            bert_shown == bert_in,
            f"{len(bert_shown)}/{len(bert_in)}",
        ),
        (
            "anna saw all that bert wrote, once and in order",
            anna.shown == anna_in,
            f"{len(anna.shown)}/{len(anna_in)}",
        ),
        (
            "the channel was the same for all, in one order",
            talk.one_order,
            f"{len(talk.before)} and {len(talk.after)} messages",
        ),
        (
            "bert saw nothing of it after he was removed",
            talk.closed,
            f"{len(talk.seen.get('bert', []))} messages",
        ),
        ("bert has the same key after the recovery", again.key == bert.key, bert.key[:16] + "…"),
        ("nothing waits on the server's disk any more", not server.rows(), f"{len(server.rows())} blobs"),
        (
            "none of it stands in the server's files",
            not leaked,
            f"{sum(map(len, server.files().values())):,} bytes read",
        ),
        ("the server ended in order", code == 0, f"exit code {code}"),
    ]
    for what, right, detail in checks:
        mark = Text(" ✓ ", "bold green") if right else Text(" ✗ ", "bold red")
        stage.console.print(Text.assemble(mark, f"{what:<50} ", (detail, "dim")), soft_wrap=True)
    for place in leaked:
        stage.say("server", shorten(harmless(place), 60), "red")
    return all(right for _, right, _ in checks)


async def main() -> int:
    stage = Stage()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mobium-demo-", ignore_cleanup_errors=True) as folder:
        for name in ("server", "anna", "bert", "cora"):
            (Path(folder) / name).mkdir(mode=0o700)
        try:
            good = await play(stage, Path(folder))
        except* (MobiumError, TimeoutError, RuntimeError) as errors:
            stage.console.print()
            for line in traceback.format_exception(errors):
                sys.stderr.write(line)
            good = False
    took = time.monotonic() - began
    stage.console.print()
    if good:
        stage.console.print(Text(f"Everything arrived once and in order ({took:.1f} s).", "bold green"))
        return 0
    stage.console.print(Text("Something was not as it should be; see the marks above.", "bold red"))
    return 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
