"""One's part in a voice room: who is there, who speaks, and what is shown.

Not its concern: sound devices (`mobium_client.gui.models.sound`), and calls between two
(`mobium_client.gui.models.calling`), which come first: a room is neither heard nor spoken to meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from mobium.client import (
    SCREEN_PRESETS,
    ScreenChanged,
    SoundChanged,
    SpeakingChanged,
    Voice,
    VoiceChanged,
    VoiceLeft,
)
from mobium.errors import AudioUnavailable
from mobium_client.gui.models.calling import Calling, sound_words
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.pictures import RoomPictures
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.refresh import Refresh
from mobium_client.gui.models.screen_pane import ScreenPane
from mobium_client.gui.models.sound import Sound
from mobium_client.people import People
from mobium_client.plain import one_line

__all__ = ["Speaker", "VoiceBar", "VoiceState"]

Phase = Literal["out", "joining", "in"]

_IN_CALL: Final = "You are in a call; end it before you enter a voice room."
_ON_HOLD: Final = "On hold: nothing is heard or said here during the call."
_ONLY_LISTEN: Final = "You only listen: "


@dataclass(frozen=True, slots=True)
class Speaker:
    """Somebody in the room. `volume` is in per cent, 100 is as he comes; `screen` whether he shows one."""

    key: str
    name: str
    me: bool = False
    speaking: bool = False
    volume: int = 100
    screen: bool = False


@dataclass(frozen=True, slots=True)
class VoiceState:
    """`channel` is the id of the room in which one is, or is about to be; `rooms` how many are in which room,
    by the channel's id. `sharing` is the name of the preset in which one's own screen is shown.
    """

    phase: Phase = "out"
    channel: str = ""
    label: str = ""
    speakers: tuple[Speaker, ...] = ()
    muted: bool = False
    deafened: bool = False
    held: bool = False
    sharing: str = ""
    problem: str = ""
    said: str = ""
    rooms: tuple[tuple[str, int], ...] = ()

    def others_in(self, channel: str) -> int:
        """How many are in the room of a channel."""
        return dict(self.rooms).get(channel, 0)


class VoiceBar(Presenter[VoiceState]):
    """Enters and leaves voice rooms; `stage` is called with the pane of a screen to look at, or None."""

    def __init__(
        self, opened: Opened, sound: Sound, calling: Calling, stage: Callable[[ScreenPane | None], object]
    ) -> None:
        super().__init__(opened.context.bridge, VoiceState())
        self._opened = opened
        self._sound = sound
        self._calling = calling
        self._stage = stage
        self._voice: Voice | None = None
        self._volumes: dict[str, int] = {}
        self._tries = 0
        self._watched = ""
        self._offered: set[str] = set()
        """Whose screen was looked at by itself since it is shown: who has looked away does not look again."""
        self._refresh = Refresh(opened.context.later, self._read)
        self._until_closed(self._refresh.cancel)
        self._until_closed(calling.watch(self._hold))
        events = opened.context.events
        self._until_closed(events.on(VoiceChanged, self._on_people))
        self._until_closed(events.on(VoiceLeft, self._on_left))
        self._until_closed(events.on(SpeakingChanged, self._on_speaking))
        self._until_closed(events.on(ScreenChanged, self._on_screen))
        self._until_closed(events.on(SoundChanged, self._on_sound))

    # ------------------------------------------------------------ what a person does

    def enter(self, channel: str, label: str) -> None:
        """Enter the room of a channel (its id), and leave the one in which one is."""
        if self.state.channel == channel and self.state.phase != "out":
            return
        if self._calling.state.going:
            self._show(replace(self.state, channel=channel, label=label, problem=_IN_CALL))
            return
        self._look_away()
        self._tries += 1
        ours = self._tries
        before, self._voice = self._voice, None
        self._sound.voice = None
        self._show(VoiceState("joining", channel, label, rooms=self.state.rooms))

        def entered(found: tuple[Voice, str]) -> None:
            voice, said = found
            if ours != self._tries:  # left before he was in, or in another one
                self._run(voice.leave())
                return
            self._voice = self._sound.voice = voice
            self._offered.clear()
            self._show(replace(self.state, phase="in", said=said))
            self._hold()
            self._apply()  # what was chosen while the room was being entered
            self._refresh.now()

        def refused(problem: str) -> None:
            if ours == self._tries:
                self._show(replace(self.state, phase="out", problem=problem))

        self._run(self._enter(channel, before), entered, refused)

    def leave(self) -> None:
        """Leave the room."""
        self._look_away()
        self._tries += 1
        voice, self._voice = self._voice, None
        self._sound.voice = None
        self._show(VoiceState(rooms=self.state.rooms))
        if voice is not None:
            self._run(voice.leave())

    def mute(self) -> None:
        """Say nothing, or speak again; whoever speaks again hears again too."""
        muted = not self.state.muted
        self._show(replace(self.state, muted=muted, deafened=self.state.deafened and muted))
        self._apply()

    def deafen(self) -> None:
        """Hear nothing and say nothing, or hear again."""
        self._show(replace(self.state, deafened=not self.state.deafened))
        self._apply()

    def set_volume(self, key: str, percent: int) -> None:
        """How loud somebody is heard: 0 to 200."""
        self._volumes[key] = min(200, max(0, percent))
        speakers = tuple(
            replace(one, volume=self._volumes[key]) if one.key == key else one for one in self.state.speakers
        )
        self._show(replace(self.state, speakers=speakers))
        self._run(self._set_volume(key, self._volumes[key]))

    def share(self, preset: str) -> None:
        """Show one's own screen to everybody in the room."""
        voice = self._voice
        if voice is not None:
            self._show(replace(self.state, problem=""))
            self._run(
                voice.screens.share(SCREEN_PRESETS[preset]),
                lambda _: self._show(replace(self.state, sharing=preset)),
                lambda problem: self._show(replace(self.state, problem=problem)),
            )

    def stop_sharing(self) -> None:
        """Show it no more."""
        if self._voice is not None:
            self._run(self._voice.screens.stop(), lambda _: self._show(replace(self.state, sharing="")))

    def look(self, key: str) -> None:
        """Look at the screen that somebody shows."""
        speaker = next((one for one in self.state.speakers if one.key == key), None)
        if self._voice is not None and speaker is not None:
            self._watched = key
            feed = RoomPictures(self._voice, key)
            self._stage(ScreenPane(self._opened, feed, f"The screen of {speaker.name}", key, self.look_away))

    def look_away(self) -> None:
        """Look at no screen."""
        self._look_away()

    def forget(self) -> None:
        """What went wrong was read."""
        if self.state.phase == "out":
            self._show(VoiceState(rooms=self.state.rooms))
        else:
            self._show(replace(self.state, problem="", said=""))

    # ------------------------------------------------------------ in the background loop

    async def _enter(self, channel: str, before: Voice | None) -> tuple[Voice, str]:
        if before is not None:  # whatever becomes of the next one
            await before.leave()
        devices, microphone, speaker = await self._sound.ready()
        rooms, name, said = self._opened.engine.rooms, f"#{channel}", ""
        voice = await Voice.join(rooms, name, devices, speaker=speaker, listen_only=True)
        try:
            await self._set(voice, *self._silence)  # before there is a microphone
            voice.choose_microphone(microphone)
        except AudioUnavailable as error:
            said = _ONLY_LISTEN + str(error)
        except Exception:
            await voice.leave()  # nobody is in a room that is not shown
            raise
        return voice, said

    async def _set_volume(self, key: str, percent: int) -> None:
        if self._voice is not None:
            self._voice.set_volume(key, percent / 100)

    async def _set(self, voice: Voice, muted: bool, deafened: bool) -> None:
        voice.muted, voice.deafened = muted, deafened

    async def _people(self, channel: str, voice: Voice) -> tuple[Speaker, ...]:
        engine = self._opened.engine
        people = People(engine, f"#{channel}")
        await people.refresh()
        found = []
        for key in await engine.rooms.people(f"#{channel}"):
            me = key == engine.me
            screen = voice.screens.sharing if me else key in voice.screens.shown
            name = one_line(await people.name(key, "You"))
            found.append(Speaker(key, name, me, ("" if me else key) in voice.speaking, screen=screen))
        return tuple(sorted(found, key=lambda one: (not one.me, one.name.casefold())))

    # ------------------------------------------------------------ what is told

    def _read(self, finished: Callable[[], None]) -> None:
        channel, voice = self.state.channel, self._voice
        if voice is None:
            finished()
            return

        def shown(found: tuple[Speaker, ...]) -> None:
            if self._voice is voice:
                loud = tuple(replace(one, volume=self._volumes.get(one.key, 100)) for one in found)
                self._show(replace(self.state, speakers=loud))
                self._offer()
            finished()

        self._run(self._people(channel, voice), shown, lambda _: finished())

    def _on_people(self, event: VoiceChanged) -> None:
        rooms = {**dict(self.state.rooms), event.channel: len(event.people)}
        self._show(replace(self.state, rooms=tuple(sorted((k, n) for k, n in rooms.items() if n))))
        if event.channel == self.state.channel and self._voice is not None:
            self._refresh.soon()

    def _on_speaking(self, event: SpeakingChanged) -> None:
        if event.channel == self.state.channel:
            key = event.peer or self._opened.engine.me
            self._change_speaker(key, speaking=event.speaking)

    def _on_screen(self, event: ScreenChanged) -> None:
        if event.channel != self.state.channel:
            return
        if not event.peer:
            self._show(replace(self.state, sharing="", problem=one_line(event.reason)))
            return
        self._change_speaker(event.peer, screen=event.shown)
        if not event.shown and self._watched == event.peer:
            self._look_away()
        self._offer()  # whoever is not among the speakers yet is looked at once they are read

    def _offer(self) -> None:
        """Look at a screen that is new, unless one is looked at already."""
        showing = [one.key for one in self.state.speakers if one.screen and not one.me]
        self._offered.intersection_update(showing)
        if self._voice is not None and not self._watched:
            for key in showing:
                if key not in self._offered:
                    self.look(key)
                    break
        self._offered.update(showing)

    def _on_sound(self, event: SoundChanged) -> None:
        if self.state.phase == "in" and event.what != "ended":
            self._show(replace(self.state, said=sound_words(event)))

    def _on_left(self, event: VoiceLeft) -> None:
        if event.channel == self.state.channel and self._voice is not None:
            self._voice = self._sound.voice = None
            self._look_away()
            state = VoiceState(rooms=self.state.rooms)
            if event.reason:
                reason = f"You are not in the voice room any more: {one_line(event.reason)}"
                state = replace(state, channel=event.channel, label=self.state.label, problem=reason)
            self._show(state)

    def _hold(self) -> None:
        """A call begins or ends."""
        held = self._in_call
        if held != self.state.held and self.state.phase == "in":
            self._show(replace(self.state, held=held, said=_ON_HOLD if held else ""))
            self._apply()

    @property
    def _in_call(self) -> bool:
        return self._calling.state.going and self._calling.state.phase != "incoming"

    @property
    def _silence(self) -> tuple[bool, bool]:
        """Whether one says nothing, and whether one hears nothing."""
        deaf = self._in_call or self.state.deafened
        return deaf or self.state.muted, deaf

    def _apply(self) -> None:
        if self._voice is not None:
            self._run(self._set(self._voice, *self._silence))

    def _change_speaker(self, key: str, **changes: bool) -> None:
        speakers = tuple(
            replace(one, **changes) if one.key == key else one  # type: ignore[arg-type]
            for one in self.state.speakers
        )
        self._show(replace(self.state, speakers=speakers))

    def _look_away(self) -> None:
        if self._watched:
            self._watched = ""
            self._stage(None)
