"""Scenes of direct conversations."""

from __future__ import annotations

from mobium.client import Engine
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
