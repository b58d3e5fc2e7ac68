"""Plays a sound file into the voice room of a channel: python voice_bot.py FILE CHANNEL [SERVER]

It waits in the room until somebody is there, plays the file (WAV, or whatever else FFmpeg reads), and leaves.
It uses no sound card. Takes mobium's extra `media`.
"""

from __future__ import annotations

import asyncio
import os
import sys

from mobium.client import Engine, SoundChanged, Voice, sound_devices

TAIL = 1.0  # seconds until the last words have reached everybody


async def main(file: str, channel: str, server: str) -> None:
    """Say the file to whoever is there."""
    with sound_devices(said=file) as devices:
        async with Engine.open("bot", os.environ["MOBIUM_PASSWORD"]) as engine:
            await engine.connect(server)
            events = engine.events()
            voice = await Voice.join(engine.rooms, channel, devices, listen_only=True)
            print(f"in the voice room of {channel}", flush=True)
            while not voice.people:
                await anext(events)  # whoever comes or goes is told
            voice.choose_microphone(None)  # the file begins here
            async for event in events:
                if isinstance(event, SoundChanged) and event.what == "ended":
                    break
            await asyncio.sleep(TAIL)
            await voice.leave()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python voice_bot.py FILE CHANNEL [SERVER]")
    asyncio.run(main(sys.argv[1], sys.argv[2], (sys.argv[3:] or ["localhost"])[0]))
