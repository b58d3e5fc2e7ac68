"""What a scene plays on: a data folder, a server if it wants one, and the window.

Not its concern: which scenes there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mobium.client import Engine
from mobium.client.names import nickname_key
from mobium.client.store import messages, peers
from mobium.client.store.database import Tx
from mobium.crypto import vault
from mobium_client.gui.settings import Settings
from tests.support.desktop import Pilot, window
from tests.support.engines import tx
from tests.support.quick import derive
from tests.support.server import ServerProcess

__all__ = ["PASSWORD", "SCENES", "Said", "Stage", "quick_passwords", "scene"]

PASSWORD = "correct horse battery"  # of nobody
SCENES: dict[str, Callable[[Stage], object]] = {}

Said = tuple[bool, str, float]
"""Whether it is one's own, the text, and how many minutes ago."""


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


def key_of(name: str) -> str:
    """A key for somebody who is never talked to."""
    return hashlib.sha256(name.encode()).hexdigest()


async def say(
    engine: Engine, name: str, said: Sequence[Said], *, read: bool = True, contact: bool = True
) -> str:
    """Put a conversation into the store, as if it had taken place. Returns the peer's key."""
    await tx(engine, _say, name, said, read, contact)
    return key_of(name)


def _say(tx: Tx, name: str, said: Sequence[Said], read: bool, contact: bool) -> None:
    now = time.time()
    ed = bytes.fromhex(key_of(name))
    peer = peers.by_key(tx, ed) or peers.add(tx, ed, "contact" if contact else "request", int(now))
    if contact:
        peers.update(tx, peer, nickname=name, nickname_key=nickname_key(name))
    for own, text, ago in said:
        at = int((now - ago * 60) * 1000)
        content = os.urandom(16)
        if own:
            position = messages.add_outgoing(tx, peer.id, content, text, at)
            messages.set_state(tx, position, "delivered")
        else:
            messages.add_incoming(tx, peer.id, content, "text", text, at, at)
    if read:
        found = peers.by_key(tx, ed)
        assert found is not None
        peers.update(tx, found, read_to=messages.last_position(tx, peer.id))
