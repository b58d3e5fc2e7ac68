"""Scenes of direct conversations."""

from __future__ import annotations

from mobium.client import Engine
from mobium.client.store.database import Tx
from tests.support import said
from tests.support.engines import tx
from tests.support.said import key_of, pin
from tools.scenes.stage import Stage, say, scene

LONG = "Bartholomäus Freiherr von und zu Lichtenstein-Hohenberg der Jüngere"
DAY = 24 * 60
FENCE = (
    "The beans, and the fence is not finished either. We need somebody who holds the posts while the "
    "others hammer, and last time there were only two of us."
)
QUESTIONS = (
    "Read it. Looks good.\n\nTwo questions though:\n1. who has the key to the shed?\n2. is there water?"
)
GARDEN = [
    (False, "Are you coming to the garden on Saturday?", 2 * DAY + 30),
    (True, "I think so. What is there to do?", 2 * DAY + 21),
    (False, FENCE, 2 * DAY + 20),
    (False, "And tea!", 2 * DAY + 19),
    (True, "I'll bring the tea then 🫖 and a cake, if the oven works again", 2 * DAY + 4),
    (False, "The plan is here: https://garden.example/plan?week=47", DAY + 300),
    (True, QUESTIONS, DAY + 12),
    (False, "1. Cora\n2. yes, since Tuesday 💧", DAY + 3),
    (True, "👍", DAY + 2),
    (False, "Did you see the photographs?", 95),
    (True, "Not yet, tonight", 90),
    (True, "The train is late again", 89),
    (False, "Then until Saturday, at ten.", 2),
]


async def a_few(engine: Engine) -> None:
    """Some conversations, with names and texts as they come."""
    await say(engine, "Dora", [(False, "See you!", 9 * DAY)])
    await say(engine, "אבא", [(False, "שלום, מה שלומך? הכל בסדר?", 3 * DAY)])
    await say(
        engine,
        LONG,
        [(False, "A very long message that nobody would want to read in a list " * 4, DAY + 4)],
        read=False,
    )
    await say(
        engine, "Cora", [(True, "The key is under the third pot", 200), (False, "Found it 🌻🌻🌻", 180)]
    )
    await say(
        engine,
        "stranger",
        [(False, "Hello, is this Anna? We met at the fair.", 40)],
        contact=False,
        read=False,
    )
    await say(engine, "Bert", GARDEN)
    await say(engine, "Emil", [(False, f"Message {n}", 12 - n) for n in range(12)], read=False)


@scene("unlock")
def unlock(stage: Stage) -> None:
    """The password is asked for."""
    stage.profile()
    stage.open().until(lambda: stage.pilot.shows("UnlockView"))


@scene("unlock-wrong")
def unlock_wrong(stage: Stage) -> None:
    """It was another one."""
    stage.profile()
    pilot = stage.open()
    pilot.until(lambda: pilot.shows("UnlockView"))
    pilot.screen.password.put("something else entirely")
    pilot.screen.button.invoke()
    pilot.until(lambda: pilot.screen.presenter.state.problem)


@scene("first-run")
def first_run(stage: Stage) -> None:
    """There is no profile."""
    stage.open().until(lambda: stage.pilot.shows("FirstRunView"))


@scene("main-empty")
def main_empty(stage: Stage) -> None:
    """Nobody was talked to yet."""
    stage.profile()
    stage.main()


@scene("main")
def main(stage: Stage) -> None:
    """Conversations, none open."""
    stage.profile(a_few)
    stage.main()


@scene("conversation")
def conversation(stage: Stage) -> None:
    """A conversation over some days."""
    stage.profile(a_few)
    stage.main().open("Bert")


@scene("conversation-long")
def conversation_long(stage: Stage) -> None:
    """A long name, a long message."""
    stage.profile(a_few)
    stage.main().open(LONG)


@scene("search")
def search(stage: Stage) -> None:
    """Something is looked for, and found in names and messages."""
    stage.profile(a_few)
    pilot = stage.main()
    pilot.open("Cora")
    pilot.screen.side.search.put("the key")
    pilot.screen.presenter.search.type("the key")
    pilot.until(lambda: pilot.screen.presenter.search.state.searched)


@scene("thousand")
def thousand(stage: Stage) -> None:
    """A list of a thousand, somewhere in the middle."""

    async def many(engine: Engine) -> None:
        await tx(engine, _many)

    stage.profile(many)
    pilot = stage.main()
    pilot.open("Number 500")


def _many(tx: Tx) -> None:
    for number in range(1000):
        said.say(tx, f"Number {number}", [(bool(number % 3), f"The {number}th message", number)], True, True)


@scene("new-message")
def new_message(stage: Stage) -> None:
    """Whom to write to."""
    stage.profile(a_few)
    pilot = stage.main()
    pilot.screen.presenter.new_message()
    pilot.until(lambda: pilot.app.overlay is not None)


def _about_bert(stage: Stage, standing: str) -> None:
    async def fill(engine: Engine) -> None:
        await a_few(engine)
        await tx(engine, pin, "Bert", standing)

    stage.profile(fill)
    pilot = stage.main()
    pilot.open("Bert")
    pilot.screen.presenter.about_contact()
    pilot.until(lambda: pilot.screen.presenter.state.pane.state.loaded)


@scene("contact")
def contact(stage: Stage) -> None:
    """The pane of a contact, with its safety number."""
    _about_bert(stage, "verified")


@scene("key-changed")
def key_changed(stage: Stage) -> None:
    """Another key came."""
    _about_bert(stage, "changed")


@scene("request")
def request(stage: Stage) -> None:
    """A stranger has written."""
    stage.profile(a_few)
    stage.main().open(key_of("stranger")[:16])


@scene("states")
def states(stage: Stage) -> None:
    """What was sent in every state, a draft of several lines, what is new."""

    async def fill(engine: Engine) -> None:
        await a_few(engine)
        await say(engine, "Emil", [(True, f"This is {state}", 1) for state in _STATES], read=False)
        await tx(engine, _in_states)
        draft = "A draft of some lines,\nkept since yesterday,\nthat nobody has sent yet."
        await engine.drafts.put(key_of("Emil"), draft)
        await engine.drafts.put(key_of("Cora"), "Did you")

    stage.profile(fill)
    stage.main().open("Emil")


_STATES = ("read", "delivered", "sent", "failed", "queued")


def _in_states(tx: Tx) -> None:
    for state in _STATES:
        reason = "The server refuses: the mailbox is full." if state == "failed" else ""
        tx.execute(
            "UPDATE message SET state = ?, reason = ? WHERE text = ?", state, reason, f"This is {state}"
        )


@scene("large-text")
def large_text(stage: Stage) -> None:
    """Text at 150 %."""
    stage.profile(a_few)
    stage.main(text_scale=150).open("Bert")


@scene("largest-text")
def largest_text_talk(stage: Stage) -> None:
    """A conversation at 200 %."""
    stage.profile(a_few)
    stage.main(text_scale=200).open("Bert")


@scene("largest-text-unlock")
def largest_text(stage: Stage) -> None:
    """Text at 200 %."""
    stage.profile()
    stage.open(text_scale=200).until(lambda: stage.pilot.shows("UnlockView"))


@scene("right-to-left")
def right_to_left(stage: Stage) -> None:
    """Hebrew, Arabic, Chinese, and emoji of all kinds."""

    async def fill(engine: Engine) -> None:
        await a_few(engine)
        texts = (
            "שלום! מה שלומך היום?",
            "مرحبا كيف حالك",
            "你好，今天天气很好",
            "👩‍👩‍👧‍👦 🇮🇱 👍🏽 ❤️ ☺ 😀",
            "e\u0301a\u0300 Zalgo t\u0336e\u0336x\u0336t",
        )
        await say(engine, "אבא", [(bool(n % 2), text, 8 - n) for n, text in enumerate(texts)])

    stage.profile(fill)
    stage.main().open("אבא")
