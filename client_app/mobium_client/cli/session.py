"""What a command works with: the chosen profile, open for the time of an `async with`, and its connection.

Not its concern: what the commands do with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from mobium.client import Channel, Engine, address
from mobium.client.links import check_server
from mobium.client.profile import Profile, Profiles
from mobium.errors import InvalidInput, MobiumError, NotConnected, ServerKeyChanged, StoreError
from mobium_client.cli.screen import Screen
from mobium_client.cli.secrets import Secrets

__all__ = ["Run", "ended", "name_of", "run_async"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command, with the options that all commands share."""

    screen: Screen
    secrets: Secrets
    profile: str | None
    server: str | None

    def chosen(self) -> Profile:
        """The profile that is meant. Raises InvalidInput."""
        return Profiles().choose(self.profile)

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """The chosen profile, opened with its password; locked at the end."""
        folder = self.chosen().folder
        async with Engine.open(folder, self.secrets.password()) as engine:
            if engine.began_anew:
                self.screen.remark(
                    "The database was missing: contacts and messages begin anew, as after a recovery."
                )
            yield engine

    async def check_server(self, engine: Engine) -> None:
        """Make sure that there is a server to connect to, before anything is queued. Raises InvalidInput."""
        if self.server is not None:
            check_server(self.server)
        elif await engine.server() is None:
            raise InvalidInput("There is no server yet; name it once with --server ADDRESS.")

    async def check_home(self, engine: Engine, channel: Channel) -> None:
        """Make sure that the server to connect to is the one that keeps a channel. Raises InvalidInput."""
        await self.check_server(engine)
        known = await engine.server()
        used = "" if known is None else known.host
        if self.server is not None:
            used = address.parse(self.server).host
        if used != channel.host:
            raise InvalidInput(
                f"The channel {channel.label} is on the server {channel.host}, and you are using {used}; "
                f"to go there, add --server {channel.host}."
            )

    async def connect(self, engine: Engine) -> None:
        """Log in at the server. Raises NotConnected, ServerRefused, InvalidInput."""
        await self.check_server(engine)
        try:
            await engine.connect(self.server)
        except ServerKeyChanged as error:
            raise NotConnected(f"{error} (mobium trust-server)") from error


def ended(engine: Engine, reason: str) -> MobiumError:
    """What a command ends with whose connection only a person can bring back: the engine's own error where
    the profile's files are to blame.
    """
    return engine.failure if isinstance(engine.failure, StoreError) else NotConnected(reason)


async def name_of(engine: Engine, key: str) -> str:
    """What the user calls the identity `key` (hex): its nickname, or the beginning of the key."""
    try:
        return (await engine.contacts.get(key)).name
    except InvalidInput:
        return key[:16]


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end; Ctrl-C cancels it and comes back as KeyboardInterrupt."""
    return asyncio.run(work)
