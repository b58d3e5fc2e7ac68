"""Scenes of calls and voice rooms: ringing, talking, ended, missed; who is in a room, and a shared screen.

What is heard plays no part in a picture, so states are set as the engine would tell them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PIL import Image, ImageDraw

from mobium_client.gui.models.calling import Calling, CallingState, MissedCall
from mobium_client.gui.models.main import Main
from mobium_client.gui.models.pictures import Picture, fitted
from mobium_client.gui.models.screen_pane import ScreenPane
from mobium_client.gui.models.voice_bar import Speaker, VoiceState
from tests.support.desktop import Pilot
from tests.support.said import key_of
from tools.scenes.channels import channel_open, garden
from tools.scenes.stage import Stage, scene
from tools.scenes.talk import LONG, a_few

BERT = key_of("Bert")
DIRECT = "From machine to machine: this contact, whom you have verified, can see your address."
RELAYED = "Through the server's relay, which hides your address: you have not verified this contact."
NO_OPUS = "libopus was not found, which voice is coded with. Install it with: sudo apt install libopus0"


def shows(stage: Stage, state: CallingState, *, large: bool = True) -> tuple[Pilot, Calling]:
    """The window with a conversation and this call."""
    stage.profile(a_few)
    pilot = stage.main()
    pilot.open("Bert")
    main: Main = pilot.screen.presenter
    calling = main.talk.calling
    calling._show(state)
    if not large:
        main.talk.shrink()
    pilot.rest(0.1)
    return pilot, calling


class Drawn:
    """A feed that shows a desktop."""

    async def next(self, width: int, height: int) -> Picture:
        """The same picture each time."""
        image = Image.new("RGB", (1_280, 720), "#2b5876")
        draw = ImageDraw.Draw(image)
        draw.rectangle((80, 60, 860, 560), fill="#f7f7f4")
        draw.rectangle((80, 60, 860, 96), fill="#d0d3d8")
        for line in range(14):
            draw.rectangle(
                (110, 120 + line * 30, 110 + 300 + line * 53 % 400, 134 + line * 30), fill="#9aa0a8"
            )
        draw.rectangle((700, 320, 1_200, 660), fill="#1c1f26")
        for line in range(8):
            top = 350 + line * 34
            draw.rectangle((720, top, 840 + line * 71 % 300, top + 12), fill="#7bd88f")
        size = fitted(1_280, 720, width, height)
        return Picture(*size, image.resize(size).tobytes())


@scene("call-incoming")
def call_incoming(stage: Stage) -> None:
    """Somebody calls."""
    shows(stage, CallingState("incoming", "1", BERT, "Bert", "Calls you", way=RELAYED))


@scene("call-ringing")
def call_ringing(stage: Stage) -> None:
    """It rings there; a long name."""
    shows(stage, CallingState("ringing", "1", key_of(LONG), LONG, "It rings", way=DIRECT))


@scene("call-talking")
def call_talking(stage: Stage) -> None:
    """Talking; the screen cannot be shown."""
    problem = (
        "The screen cannot be shown from a Wayland session, which lets no program see it. Log out, and "
        "choose a session of Xorg (X11) at the login."
    )
    state = CallingState("active", "1", BERT, "אבא", "", "03:27", RELAYED, muted=True, problem=problem)
    shows(stage, state)


@scene("call-sizes")
def call_sizes(stage: Stage) -> None:
    """Which size the screen is to have."""
    pilot, _ = shows(stage, CallingState("active", "1", BERT, "Bert", "", "03:27", DIRECT))
    pilot.app._overlays.view.screen.main.invoke()


@scene("call-screen")
def call_screen(stage: Stage) -> None:
    """The other side shows a screen, and sees one's own."""
    pilot, calling = shows(stage, CallingState("active", "1", BERT, "Bert", "", "1:03:27", DIRECT))
    main: Main = pilot.screen.presenter
    calling.screen = ScreenPane(main.opened, Drawn(), "The screen of Bert", BERT)
    calling._show(replace(calling.state, shown=True, sharing="720p"))
    pilot.until(lambda: calling.screen is not None and calling.screen.state.count > 2)


@scene("call-ended")
def call_ended(stage: Stage) -> None:
    """There is no call, for want of a library."""
    _, calling = shows(stage, CallingState("preparing", "", BERT, "Bert", "Calling …"))
    calling._show(CallingState("ended", "", BERT, "Bert", "There is no call", reason=NO_OPUS))


@scene("call-bar")
def call_bar(stage: Stage) -> None:
    """A call as a bar, and two that were missed."""
    missed = (
        MissedCall(key_of("Dora"), "Dora", "13:59", "while nobody answered"),
        MissedCall(key_of("Emil"), "Emil", "14:05", "during another call"),
    )
    state = CallingState("active", "1", BERT, "Bert", "", "12:03", DIRECT, missed=missed)
    shows(stage, state, large=False)


@scene("call-bar-incoming")
def call_bar_incoming(stage: Stage) -> None:
    """It rings, and somebody wants to finish a sentence first."""
    shows(stage, CallingState("incoming", "1", BERT, "Bert", "Calls you", way=DIRECT), large=False)


def room(stage: Stage, **changes: Any) -> tuple[Pilot, Main]:
    """The channel with one's part in its voice room."""
    garden(stage)
    pilot, main = channel_open(stage)
    me = main.opened.engine.me
    people = (
        Speaker(me, "You", me=True),
        Speaker(BERT, "Bert", speaking=True),
        Speaker(key_of("Cora"), "~Cora", volume=140, screen=True),
        Speaker(key_of("long"), "~Bartholomäus Freiherr von und zu"),
        Speaker(key_of("dora"), "אבא", speaking=True),
        Speaker(key_of("emil"), "🌻 Emil 🌻"),
        *(Speaker(key_of(str(n)), f"~Member {n}") for n in range(changes.pop("more", 0))),
    )
    assert main.state.conversation is not None
    state = VoiceState("in", main.state.conversation.state.key, "#garden", people, rooms=((BERT, 3),))
    main.talk.voice._show(replace(state, **changes))
    return pilot, main


@scene("voice-bar")
def voice_bar(stage: Stage) -> None:
    """Who is in, who speaks, and how loud one is heard."""
    pilot, _ = room(stage, more=30)
    pilot.screen.voice_bar.choose(key_of("Cora"))


@scene("voice-muted")
def voice_muted(stage: Stage) -> None:
    """Muted and deaf, on hold, without a microphone."""
    room(stage, muted=True, deafened=True, said="You only listen: There is no microphone on this machine.")


@scene("voice-alone")
def voice_alone(stage: Stage) -> None:
    """Nobody else is there, and one shows one's screen."""
    _, main = room(stage, sharing="1080p")
    main.talk.voice._show(replace(main.talk.voice.state, speakers=main.talk.voice.state.speakers[:1]))


@scene("voice-problem")
def voice_problem(stage: Stage) -> None:
    """The room could not be entered."""
    room(stage, phase="out", problem="The voice room is full: 40 people are in it.")


@scene("voice-screen")
def voice_screen(stage: Stage) -> None:
    """A screen that somebody shows, in place of the conversation."""
    pilot, main = room(stage)
    pane = ScreenPane(main.opened, Drawn(), "The screen of ~Cora", key_of("Cora"), lambda: None)
    main.talk._stage(pane)
    pilot.until(lambda: pane.state.count > 2)
