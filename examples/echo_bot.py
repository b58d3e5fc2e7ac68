"""Answers whoever writes to it. The program of the README, which examples/README.md says how to start."""

import asyncio
import os
from mobium.client import Engine, MessageReceived

async def main() -> None:
    async with Engine.open("bot", os.environ["MOBIUM_PASSWORD"]) as engine:   # made once with Engine.create
        await engine.connect("localhost")
        async for event in engine.events():
            if isinstance(event, MessageReceived):
                await engine.send(event.peer, f"You said: {event.text}")

asyncio.run(main())
