"""`voice`: to be in the voice room of a channel, with a microphone and a speaker, or files in their place.

Not its concern: sound itself, and what a room is (`mobium.client`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from mobium.client import (
    SCREEN_PRESETS,
    Engine,
    Event,
    EventStream,
    ScreenChanged,
    ScreenPreset,
    SoundChanged,
    SpeakingChanged,
    Voice,
    VoiceChanged,
    sound_devices,
)
from mobium.errors import InvalidInput, MobiumError
from mobium_client.cli.partners import InChannel
from mobium_client.cli.session import Run, run_async
from mobium_client.cli.sound import Sound

__all__ = ["preset", "voice"]

_TAIL: Final = 1.0  # seconds until what was said last has reached everybody


def voice(
    run: Run,
    channel: str,
    said: Path | None,
    record: Path | None,
    microphone: str | None,
    speaker: str | None,
    seconds: float | None,
    screen: str | None,
    as_json: bool,
) -> None:
    """Be in the voice room of a channel until interrupted, for some seconds, or until a file was said to
    whoever is there.
    """

    size = None if screen is None else preset(screen)

    async def work() -> None:
        with sound_devices(said, record) as devices:
            async with run.engine() as engine:
                await run.check_server(engine)
                events = engine.events()
                await engine.connect(run.server)
                joined = await Voice.join(
                    engine.rooms, channel, devices, microphone=microphone, speaker=speaker,
                    listen_only=said is not None,
                )  # fmt: skip
                try:
                    found = await engine.channels.get(channel)
                    shown = _Shown(run, engine, InChannel(engine, found), found.id, as_json)
                    await shown.people()
                    if size is not None:
                        await joined.screens.share(size)
                    await _stay(joined, shown, events, said, seconds)
                    shown.sound.check()
                finally:
                    await joined.leave()

    run_async(work())


async def _stay(
    joined: Voice, shown: _Shown, events: EventStream, said: Path | None, seconds: float | None
) -> None:
    """Until there is no reason to stay. Raises MobiumError if the room was left for a reason, and whatever
    kept an event from being shown: without them nobody would ever be found there.
    """

    async def say() -> None:
        await shown.somebody.wait()
        joined.choose_microphone(None)
        await shown.ended.wait()
        await asyncio.sleep(_TAIL)

    async def over() -> None:
        reason = await joined.over()
        if reason:
            raise MobiumError(reason)

    waits = [asyncio.create_task(over()), asyncio.create_task(_show(events, shown))]
    beside = [] if said is None else [asyncio.create_task(say())]
    if seconds is not None:
        waits.append(asyncio.create_task(asyncio.sleep(seconds)))
    else:
        waits += beside
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*waits, *beside):
            task.cancel()
        ends = await asyncio.gather(*waits, *beside, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


class _Shown:
    """What a person sees of the room."""

    def __init__(self, run: Run, engine: Engine, channel: InChannel, key: str, as_json: bool) -> None:
        self._run = run
        self._engine = engine
        self._channel = channel
        self._key = key
        self._json = as_json
        self._there: set[str] | None = None
        self.sound = Sound()
        self.somebody = asyncio.Event()
        """Set while somebody else is in the room."""
        self.ended = asyncio.Event()
        """Whether the file was said."""

    async def event(self, event: Event) -> None:
        """Show one."""
        if isinstance(event, VoiceChanged) and event.channel == self._key:
            await self.people()
        elif isinstance(event, SpeakingChanged):
            await self._speaking(event)
        elif isinstance(event, SoundChanged):
            self._sound(event)
        elif isinstance(event, ScreenChanged):
            await self._screen(event)

    async def people(self) -> None:
        """Show who is in the room, if that has changed."""
        keys = set(await self._engine.rooms.people(f"#{self._key}")) - {self._engine.me}
        (self.somebody.set if keys else self.somebody.clear)()
        before, self._there = self._there, keys
        if self._json:
            if keys != before:
                self._run.screen.json({"event": "people", "people": sorted(keys)})
            return
        for key in sorted(keys - (before or set())):
            self._run.screen.remark(f"{await self._channel.name(key)} is in the voice room")
        for key in sorted((before or set()) - keys):
            self._run.screen.remark(f"{await self._channel.name(key)} has left the voice room")
        if not keys and before is None:
            self._run.screen.remark("nobody else is in the voice room yet")

    async def _speaking(self, event: SpeakingChanged) -> None:
        if self._json:
            fields: dict[str, Any] = {
                "event": "speaking",
                "peer": event.peer or None,
                "speaking": event.speaking,
            }
            self._run.screen.json(fields)
        elif event.peer and event.speaking:
            self._run.screen.remark(f"{await self._channel.name(event.peer)} speaks")

    async def _screen(self, event: ScreenChanged) -> None:
        if self._json:
            fields = {"event": "screen", "peer": event.peer or None, "shown": event.shown}
            self._run.screen.json(fields | {"reason": event.reason or None})
        elif not event.peer:
            self._run.screen.remark(f"your screen is not shown any more: {event.reason}")
        else:
            what = "shows a screen" if event.shown else "shows no screen any more"
            self._run.screen.remark(f"{await self._channel.name(event.peer)} {what}")

    def _sound(self, event: SoundChanged) -> None:
        if event.what == "ended":
            self.ended.set()
        elif line := self.sound.told(event):
            self._run.screen.remark(line)


def preset(name: str) -> ScreenPreset:
    """What `--screen` means. Raises InvalidInput."""
    found = SCREEN_PRESETS.get(name)
    if found is None:
        raise InvalidInput(f"--screen takes {', '.join(SCREEN_PRESETS)}.")
    return found


async def _show(events: EventStream, shown: _Shown) -> None:
    async for event in events:
        await shown.event(event)
