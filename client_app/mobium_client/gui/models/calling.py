"""The call that there is, and those that were missed.

Whatever the engine tells of a call is shown; what a person does goes to the engine, whose ringing tones end
with every state. Not its concern: sound (`mobium_client.gui.models.sound`), and where a call is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from mobium.client import SCREEN_PRESETS, CallChanged, CallMissed, CallScreenChanged, SoundChanged
from mobium.errors import CallError, InvalidInput
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.pictures import CallPictures
from mobium_client.gui.models.presenter import Cancel, Presenter
from mobium_client.gui.models.screen_pane import ScreenPane
from mobium_client.gui.models.sound import Sound
from mobium_client.gui.models.words import clock_time
from mobium_client.plain import one_line

__all__ = ["Calling", "CallingState", "MissedCall", "sound_words"]

Phase = Literal[
    "none", "preparing", "calling", "ringing", "incoming", "connecting", "active", "reconnecting", "ended"
]

WORDS: Final[dict[str, str]] = {
    "preparing": "Calling …",
    "calling": "Calling …",
    "ringing": "It rings",
    "incoming": "is calling you",
    "connecting": "Connecting …",
    "active": "",
    "reconnecting": "Nothing is heard; connecting again …",
    "ended": "The call is over",
}
_ENDED: Final = {"cancelled": "You ended the call before it began."}
_MISSED: Final = frozenset(("missed",))
_MOST_MISSED: Final = 20
_RELAYED_HIDDEN: Final = "Through the server's relay, since you hide your address from everybody."
_RELAYED_UNVERIFIED: Final = (
    "Through the server's relay, which hides your address: you have not verified this contact."
)
_DIRECT: Final = "From machine to machine: this contact, whom you have verified, can see your address."


@dataclass(frozen=True, slots=True)
class MissedCall:
    """Somebody called and was not talked with."""

    peer: str
    name: str
    time: str
    why: str


@dataclass(frozen=True, slots=True)
class CallingState:
    """`words` say how it is, `clock` how long one has talked, `way` which way the call goes and why. `reason`
    is the sentence about its end, `problem` one about what was just tried; `said` about a device. `sharing`
    is the name of the preset in which one's own screen is shown, `shown` whether the other side shows one.
    """

    phase: Phase = "none"
    call: str = ""
    peer: str = ""
    name: str = ""
    words: str = ""
    clock: str = ""
    way: str = ""
    muted: bool = False
    sharing: str = ""
    shown: bool = False
    busy: bool = False
    reason: str = ""
    problem: str = ""
    said: str = ""
    missed: tuple[MissedCall, ...] = field(default=())

    @property
    def going(self) -> bool:
        """Whether there is a call, or one is about to be."""
        return self.phase not in {"none", "ended"}

    @property
    def talking(self) -> bool:
        """Whether there is a connection, or was one that is being made again."""
        return self.phase in {"active", "reconnecting"}


class Calling(Presenter[CallingState]):
    """Calls somebody, takes calls, and says what becomes of them."""

    def __init__(self, opened: Opened, sound: Sound, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that nobody sets."""
        super().__init__(opened.context.bridge, CallingState())
        self._opened = opened
        self._calls = opened.engine.calls
        self._sound = sound
        self._clock = clock
        self._since: float | None = None
        self._tick: Cancel | None = None
        self._tries = 0
        self.pictures = CallPictures()
        self.screen: ScreenPane | None = None
        """What the other side shows, while it does."""
        events = opened.context.events
        self._until_closed(events.on(CallChanged, self._on_call))
        self._until_closed(events.on(CallMissed, self._on_missed))
        self._until_closed(events.on(CallScreenChanged, self._on_screen))
        self._until_closed(events.on(SoundChanged, self._on_sound))
        self._until_closed(self._stop_clock)
        self._until_closed(self._end_screen)

    # ------------------------------------------------------------ what a person does

    def call(self, peer: str, name: str) -> None:
        """Call a contact (hex)."""
        if self.state.going:
            self._show(replace(self.state, problem="There is a call already; end it first."))
            return
        self._tries += 1
        ours = self._tries
        self._begin(peer, name, "preparing")
        self._learn(peer)

        def not_begun(problem: str) -> None:
            if ours == self._tries and self.state.phase == "preparing":
                self._show(replace(self.state, phase="ended", words="There is no call", reason=problem))

        self._run(self._call(peer, ours), failed=not_begun)

    def answer(self) -> None:
        """Take the call that is shown, and no other that rings by now."""
        if self.state.phase == "incoming" and not self.state.busy:
            self._show(replace(self.state, busy=True, problem=""))
            self._run(self._accept(self.state.call), self._done, self._refused)

    def decline(self) -> None:
        """Refuse the call that is shown, and no other that rings by now."""
        self._quietly(self._calls.decline(self.state.call))

    def hang_up(self) -> None:
        """End the call, whatever its state."""
        if self.state.phase == "incoming":
            self.decline()
        elif self.state.going:
            if self.state.phase == "preparing":  # perhaps the engine knows of no call yet
                self._tries += 1
                self._show(
                    replace(self.state, phase="ended", words=WORDS["ended"], reason=_ENDED["cancelled"])
                )
            self._quietly(self._calls.hang_up())

    def mute(self) -> None:
        """Keep one's own voice back, or not any more."""
        if self.state.talking:
            muted = not self.state.muted
            self._run(
                self._mute(muted), lambda _: self._show(replace(self.state, muted=muted)), self._refused
            )

    def share(self, preset: str) -> None:
        """Show one's own screen, in this size."""
        if self.state.talking:
            self._show(replace(self.state, problem=""))
            self._run(
                self._calls.share(SCREEN_PRESETS[preset]),
                lambda _: self._show(replace(self.state, sharing=preset)),
                self._refused,
            )

    def stop_sharing(self) -> None:
        """Show it no more."""
        self._run(self._unshare(), lambda _: self._show(replace(self.state, sharing="")))

    def forget(self) -> None:
        """What is over needs not be shown any more."""
        if not self.state.going:
            self._show(CallingState(missed=self.state.missed))

    def forget_missed(self) -> None:
        """The missed calls were seen."""
        self._show(replace(self.state, missed=()))

    # ------------------------------------------------------------ in the background loop

    async def _call(self, peer: str, ours: int) -> None:
        await self._sound.ready()
        if ours == self._tries:  # and nobody has hung up while the devices were opened
            await self._calls.call(peer)

    async def _accept(self, call: str) -> None:
        await self._sound.ready()
        await self._calls.accept(call)

    async def _mute(self, muted: bool) -> None:
        self._calls.mute(muted)

    async def _unshare(self) -> None:
        self._calls.stop_sharing()

    async def _watch(self) -> None:
        self._calls.watch(self.pictures.put)

    def _quietly(self, work: Coroutine[Any, Any, object]) -> None:
        """What is over already needs no word."""

        async def run() -> None:
            with suppress(CallError):
                await work

        self._run(run(), failed=self._refused)

    async def _about(self, peer: str) -> tuple[str, str]:
        engine = self._opened.engine
        try:
            contact = await engine.contacts.get(peer)
        except InvalidInput:
            return peer[:16], ""
        if await self._calls.hide_address():
            return contact.name, _RELAYED_HIDDEN
        return contact.name, _DIRECT if contact.trust == "verified" else _RELAYED_UNVERIFIED

    # ------------------------------------------------------------ what is told

    def _learn(self, peer: str) -> None:
        def known(about: tuple[str, str]) -> None:
            if self.state.peer == peer:
                self._show(replace(self.state, name=one_line(about[0]), way=about[1]))

        self._run(self._about(peer), known)

    def _begin(self, peer: str, name: str, phase: Phase) -> None:
        self._since = None
        self._show(CallingState(phase, peer=peer, name=name, words=WORDS[phase], missed=self.state.missed))

    def _on_call(self, event: CallChanged) -> None:
        if event.peer != self.state.peer or not self.state.going:
            self._begin(event.peer, event.peer[:16], event.state)
            self._learn(event.peer)
        if event.state == "ended":
            self._over(event)
            return
        if event.state == "active" and self._since is None:
            self._since = self._clock()
            self._run(self._watch())
            self._count()
        self._show(
            replace(self.state, phase=event.state, call=event.call, words=WORDS[event.state], busy=False)
        )

    def _over(self, event: CallChanged) -> None:
        self._stop_clock()
        self._end_screen()
        self.pictures.forget()
        before = self.state
        reason = one_line(event.reason) or _ENDED.get(event.code, "")
        if event.code == "missed" or (event.code == "hung_up" and before.phase == "incoming"):
            self._miss(event.peer, before.name, "while nobody answered")
            self._show(CallingState(missed=self.state.missed))
        elif event.code == "declined" and before.phase == "incoming":
            self._show(CallingState(missed=before.missed))
        else:
            self._show(
                replace(
                    before, phase="ended", words=WORDS["ended"], reason=reason, muted=False, sharing="",
                    shown=False, busy=False, problem="",
                )
            )  # fmt: skip

    def _on_missed(self, event: CallMissed) -> None:
        self._run(
            self._about(event.peer),
            lambda about: self._miss(event.peer, one_line(about[0]), "during another call"),
        )

    def _miss(self, peer: str, name: str, why: str) -> None:
        one = MissedCall(peer, name, clock_time(self._opened.context.now()), why)
        self._show(replace(self.state, missed=(*self.state.missed, one)[-_MOST_MISSED:]))

    def _on_screen(self, event: CallScreenChanged) -> None:
        if not event.peer:
            self._show(replace(self.state, sharing="", problem=one_line(event.reason)))
            return
        self._end_screen()
        if event.shown:
            self.screen = ScreenPane(
                self._opened, self.pictures, f"The screen of {self.state.name}", self.state.peer
            )
        else:
            self.pictures.forget()
        self._show(replace(self.state, shown=event.shown))

    def _on_sound(self, event: SoundChanged) -> None:
        if self.state.going and event.what != "ended":
            self._show(replace(self.state, said=sound_words(event)))

    def _end_screen(self) -> None:
        if self.screen is not None:
            self.screen.close()
            self.screen = None

    # ------------------------------------------------------------ answers and time

    def _done(self, _: object) -> None:
        self._show(replace(self.state, busy=False))

    def _refused(self, problem: str) -> None:
        self._show(replace(self.state, busy=False, problem=problem))

    def _count(self) -> None:
        """Say how long one has talked, and again in a second."""
        self._tick = None
        if self._since is not None:
            self._show(replace(self.state, clock=_clock(int(self._clock() - self._since))))
            self._tick = self._opened.context.later(1.0, self._count)

    def _stop_clock(self) -> None:
        self._since = None
        if self._tick is not None:
            self._tick()
            self._tick = None


def sound_words(event: SoundChanged) -> str:
    """What has become of a device, in a sentence."""
    if event.what == "found":
        return f"The {event.kind} {event.name} is used again."
    instead = f"{event.device} is used in its place" if event.device else "there is no other one"
    return f"The {event.kind} {event.name} is gone; {instead}."


def _clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
