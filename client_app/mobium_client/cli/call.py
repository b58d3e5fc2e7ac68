"""`call` and `answer`: to talk with a contact, with a microphone and a speaker, or files in their place.

Not its concern: sound itself, and what a call is (`mobium.client`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Final

from mobium.client import (
    CallChanged,
    CallMissed,
    CallScreenChanged,
    Engine,
    EventStream,
    SoundChanged,
    sound_devices,
)
from mobium.client.labels import is_channel
from mobium.errors import CallError, InvalidInput, NotConnected
from mobium_client.cli.session import Run, name_of, run_async
from mobium_client.cli.sound import Sound
from mobium_client.cli.voice import preset

__all__ = ["Talk", "answer", "call", "call_fields"]

_TAIL: Final = 1.0  # seconds until what was said last has reached the other side
_SAID: Final = {
    "calling": "calling {}; Ctrl-C hangs up",
    "ringing": "it rings at {}",
    "connecting": "connecting with {}",
    "active": "talking with {}; Ctrl-C hangs up",
    "reconnecting": "nothing is heard of {}; connecting again",
}


@dataclass(frozen=True, slots=True)
class Talk:
    """How one talks: files or devices, how long, and how it is shown."""

    said: Path | None
    record: Path | None
    microphone: str | None
    speaker: str | None
    seconds: float | None
    screen: str | None
    as_json: bool


def call(run: Run, peer: str, talk: Talk) -> None:
    """Call a contact, and talk until somebody hangs up, for some seconds, or until a file was said."""

    if is_channel(peer):
        raise InvalidInput(f"A call is between two; a channel has a voice room: mobium voice {quote(peer)}")

    async def work() -> None:
        async with _telephone(run, talk) as (engine, events):
            await engine.call(peer)
            await _talk(run, engine, events, talk)

    run_async(work())


def answer(run: Run, peer: str | None, talk: Talk) -> None:
    """Wait for a call, of one contact or of anybody, take it, and talk as `call` does."""

    async def work() -> None:
        async with _telephone(run, talk) as (engine, events):
            wanted = None if peer is None else (await engine.contacts.get(peer)).key
            if not talk.as_json:
                run.screen.remark("waiting for a call; Ctrl-C leaves")
            async for event in events:
                if isinstance(event, CallChanged) and event.state == "incoming":
                    await _show(run, engine, talk, event)
                    try:
                        if wanted in {None, event.peer}:
                            await engine.calls.accept(event.call)
                            break
                        await engine.calls.decline(event.call)
                    except CallError as error:
                        if error.code != "no_call":  # which was over before this program looked at it
                            raise
            await _talk(run, engine, events, talk)

    run_async(work())


async def call_fields(engine: Engine, event: CallChanged | CallMissed | CallScreenChanged) -> dict[str, Any]:
    """An event of a call as JSON. Names and values are stable; new fields may come."""
    fields: dict[str, Any] = {"call": event.call, "peer": event.peer}
    with suppress(InvalidInput):
        fields["nickname"] = (await engine.contacts.get(event.peer)).nickname
    if isinstance(event, CallMissed):
        return {"event": "call_missed", **fields}
    if isinstance(event, CallScreenChanged):
        screen = {"shown": event.shown, "reason": event.reason or None}
        return {"event": "call_screen", **fields, "peer": event.peer or None, **screen}
    state = {"state": event.state, "code": event.code or None, "reason": event.reason or None}
    return {"event": "call", **fields, **state}


@asynccontextmanager
async def _telephone(run: Run, talk: Talk) -> AsyncIterator[tuple[Engine, EventStream]]:
    """The engine, connected, with what it speaks and listens with, and its events from now on."""
    if talk.screen is not None:
        preset(talk.screen)
    with sound_devices(talk.said, talk.record) as devices:
        async with run.engine() as engine:
            await run.check_server(engine)
            engine.calls.use(devices, microphone=talk.microphone, speaker=talk.speaker)
            await run.connect(engine)
            yield engine, engine.events()


async def _talk(run: Run, engine: Engine, events: EventStream, talk: Talk) -> None:
    """Until the call has ended. Raises CallError for one that did not come about, or was lost."""
    talked, sound = False, Sound()
    async with asyncio.TaskGroup() as group:
        ending: list[asyncio.Task[None]] = []
        async for event in events:
            if isinstance(event, CallChanged | CallMissed | CallScreenChanged):
                await _show(run, engine, talk, event)
            if isinstance(event, CallChanged) and event.state == "active" and not talked:
                talked = True
                if talk.screen is not None:
                    with suppress(CallError):  # over meanwhile, as the next event says
                        await engine.calls.share(preset(talk.screen))
                if talk.seconds is not None:
                    ending.append(group.create_task(_end(engine, talk.seconds)))
            elif isinstance(event, SoundChanged):
                line = sound.told(event)
                if line and not talk.as_json:
                    run.screen.remark(line)
                if event.what == "ended" and talk.said is not None:
                    ending.append(group.create_task(_end(engine, _TAIL)))
            elif isinstance(event, CallChanged) and event.state == "ended":
                for task in ending:
                    task.cancel()
                if event.code == "lost" or not talked:
                    raise CallError(event.reason or "There was no call.", event.code)
                sound.check()
                return
    raise NotConnected("The profile was closed.")


async def _end(engine: Engine, seconds: float) -> None:
    await asyncio.sleep(seconds)
    with suppress(CallError):  # over by itself
        await engine.calls.hang_up()


async def _show(
    run: Run, engine: Engine, talk: Talk, event: CallChanged | CallMissed | CallScreenChanged
) -> None:
    if talk.as_json:
        run.screen.json(await call_fields(engine, event))
        return
    name = await name_of(engine, event.peer)
    if isinstance(event, CallMissed):
        run.screen.remark(f"{name} called meanwhile")
    elif isinstance(event, CallScreenChanged) and event.reason:
        run.screen.remark(f"your screen is not shown any more: {event.reason}")
    elif isinstance(event, CallScreenChanged):
        run.screen.remark(f"{name} {'shows a screen' if event.shown else 'shows no screen any more'}")
    elif event.state == "incoming":
        run.screen.remark(f"{name} calls")
    elif event.state in _SAID:
        run.screen.remark(_SAID[event.state].format(name))
    elif event.code == "hung_up":
        run.screen.remark("the call is over")
