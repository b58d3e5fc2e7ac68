"""What a scene plays on: a data folder, a server if it wants one, and the window.

Not its concern: which scenes there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mobium.client import Engine
from mobium.crypto import vault
from mobium_client.gui.settings import Settings
from tests.support import said
from tests.support.desktop import Pilot, window
from tests.support.engines import tx
from tests.support.quick import derive
from tests.support.said import Said
from tests.support.server import ServerProcess

__all__ = ["PASSWORD", "SCENES", "Stage", "quick_passwords", "say", "scene"]

PASSWORD = "correct horse battery"  # of nobody
SCENES: dict[str, Callable[[Stage], object]] = {}


def scene(name: str) -> Callable[[Callable[[Stage], object]], Callable[[Stage], object]]:
    """Register a scene; its name is the beginning of its files' names."""

    def register(play: Callable[[Stage], object]) -> Callable[[Stage], object]:
        SCENES[name] = play
        return play

    return register


def quick_passwords() -> None:
    """Stretch passwords by one hash: a picture is not about their cost."""
    setattr(vault, "_derive", derive)  # noqa: B010 - a function is not assigned to


class Stage:
    """The surroundings of one scene."""

    def __init__(self, stack: contextlib.ExitStack, data: Path, width: int, height: int, look: str) -> None:
        self._stack = stack
        self.data = data
        self.settings: dict[str, Any] = {"appearance": look, "width": width, "height": height}
        self.pilot: Pilot

    @property
    def folder(self) -> Path:
        """The profile's folder."""
        return self.data / "profiles" / "Anna"

    def server(self) -> str:
        """A server process; its address."""
        server = ServerProcess(self.data / "server")
        self._stack.enter_context(server)
        return server.url

    def profile(self, fill: Callable[[Engine], Awaitable[object]] | None = None) -> None:
        """Make the profile of Anna; `fill` puts something in."""

        async def make() -> None:
            self.folder.mkdir(parents=True)
            await Engine.create(self.folder, PASSWORD)
            if fill is not None:
                async with Engine.open(self.folder, PASSWORD) as engine:
                    await fill(engine)

        asyncio.run(make())

    def open(self, profile: str | None = None, **settings: Any) -> Pilot:
        """Show the window."""
        os.environ["MOBIUM_DATA_DIR"] = str(self.data)
        shown = Settings(**(self.settings | settings))
        self.pilot = self._stack.enter_context(window(self.data, shown, profile))
        self.pilot.app.geometry("+0+0")
        self.pilot.app.focus_force()
        self.pilot.rest(0.1)
        return self.pilot

    def main(self, **settings: Any) -> Pilot:
        """Show the window and unlock the profile."""
        pilot = self.open(**settings)
        pilot.unlock(PASSWORD)
        return pilot

    def picture(self) -> Image.Image:
        """What is on the screen, once it is still."""
        self.pilot.rest(0.5)
        return self.pilot.shot()


async def say(
    engine: Engine, name: str, conversation: Sequence[Said], *, read: bool = True, contact: bool = True
) -> None:
    """Put a conversation into the store, as if it had taken place."""
    await tx(engine, said.say, name, conversation, read, contact)
