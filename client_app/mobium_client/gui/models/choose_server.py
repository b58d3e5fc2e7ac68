"""The server of a new profile: its address, the first connection, and the key that is pinned by it.

Not its concern: changing the server later (`mobium_client.gui.models.connection`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from mobium.client import Engine, ServerInfo
from mobium.errors import NotConnected
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.server_keys import grouped

__all__ = ["ChooseServer", "ChooseServerState"]


@dataclass(frozen=True, slots=True)
class ChooseServerState:
    """`step` is "address", "connecting" or "shown": then `host` was reached, and `key` is its key in groups
    of eight digits.
    """

    step: Literal["address", "connecting", "shown"] = "address"
    address: str = ""
    host: str = ""
    key: tuple[str, ...] = ()
    problem: str = ""


class ChooseServer(Presenter[ChooseServerState]):
    """Asks for the server; `done` is called once it is known, or put off."""

    def __init__(self, opened: Opened, done: Callable[[], object], address: str = "") -> None:
        super().__init__(opened.context.bridge, ChooseServerState(address=address))
        self._engine = opened.engine
        self._done = done
        self._tries = 0

    def connect(self, address: str) -> None:
        """Connect to the server at this address."""
        if self.state.step == "connecting":
            return
        address = address.strip()
        if not address:
            self._show(replace(self.state, problem="Type the address that the server's operator gave you."))
            return
        self._show(ChooseServerState("connecting", address))
        self._tries += 1
        ours = self._tries

        def reached(server: ServerInfo) -> None:
            if ours == self._tries:
                self._show(ChooseServerState("shown", address, server.host, grouped(server.key)))

        def failed(problem: str) -> None:
            if ours == self._tries:
                self._show(ChooseServerState("address", address, problem=problem))

        self._run(_first_connection(self._engine, address), reached, failed)

    def cancel(self) -> None:
        """Stop trying, to type another address."""
        if self.state.step == "connecting":
            self._tries += 1
            self._run(self._engine.disconnect())
            self._show(ChooseServerState("address", self.state.address))

    def finish(self) -> None:
        """Go on, whether a server is known or not."""
        if self.state.step == "connecting":
            self.cancel()
        self._done()


async def _first_connection(engine: Engine, address: str) -> ServerInfo:
    """Connect, and say to whom; a first try that fails is not repeated, since the address may be wrong."""
    try:
        await engine.connect(address)
        server = await engine.server()
    except BaseException:
        await engine.disconnect()
        raise
    if server is None:
        raise NotConnected("The server has not answered.")
    return server
