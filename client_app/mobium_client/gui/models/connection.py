"""The dialog about the connection: which server, how it is, its key, and what can be done.

A key that has changed is believed by two steps that nobody takes by mistake: looking at both keys, and saying
that the operator has confirmed the new one. Not its concern: the words in the side column
(`mobium_client.gui.models.status`, which this follows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mobium.client import Engine, ServerInfo
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.server_keys import grouped
from mobium_client.gui.models.status import Status

__all__ = ["ConnectionDialog", "ConnectionState"]


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """`key` is the pinned key in groups of eight digits, `offered` another one that the server shows now, and
    `comparing` says that both are before the eyes. `wanted`: a connection is there or is being made.
    """

    address: str = ""
    host: str = ""
    key: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    comparing: bool = False
    wanted: bool = False
    busy: bool = False
    problem: str = ""
    loaded: bool = False


class ConnectionDialog(Presenter[ConnectionState]):
    """Shows and changes the connection; `close_dialog` takes it away."""

    def __init__(self, opened: Opened, status: Status) -> None:
        super().__init__(opened.context.bridge, ConnectionState(wanted=status.state.tone != "off"))
        self._opened = opened
        self._engine = opened.engine
        self.status = status
        self._until_closed(status.watch(self._followed))
        self._read()

    def dismiss(self) -> None:
        """Take the dialog away."""
        self._opened.context.overlays.dismiss(self)

    def connect(self, address: str) -> None:
        """Be connected to the server at this address from now on."""
        address = address.strip()
        if not address:
            self._show(replace(self.state, problem="Type the address that the server's operator gave you."))
            return
        self._begin()
        self._run(self._engine.connect(address, wait=False), lambda _: self._ended(), self._failed)

    def disconnect(self) -> None:
        """Close the connection and make no other; what is written waits."""
        self._begin()
        self._run(self._engine.disconnect(), lambda _: self._ended(), self._failed)

    def compare(self) -> None:
        """Show the known key and the one that the server shows now."""
        self._show(replace(self.state, comparing=bool(self.state.offered), problem=""))

    def refuse(self) -> None:
        """Leave everything as it is."""
        self._show(replace(self.state, comparing=False, problem=""))

    def accept(self, *, confirmed: bool) -> None:
        """Believe the new key, which the operator has `confirmed`, and connect."""
        if not (self.state.comparing and self.state.offered):
            return
        if not confirmed:
            problem = "Ask the server's operator first, on another way than this one, and say so above."
            self._show(replace(self.state, problem=problem))
            return
        key = "".join(self.state.offered)
        self._begin()
        self._run(_accept(self._engine, key), lambda _: self._ended(), self._failed)

    # ------------------------------------------------------------ inside

    def _begin(self) -> None:
        self._show(replace(self.state, busy=True, problem=""))

    def _ended(self) -> None:
        self._show(replace(self.state, busy=False, comparing=False))
        self._read()

    def _failed(self, problem: str) -> None:
        self._show(replace(self.state, busy=False, problem=problem))

    def _followed(self) -> None:
        self._show(replace(self.state, wanted=self.status.state.tone != "off"))
        self._read()

    def _read(self) -> None:
        def known(server: ServerInfo | None) -> None:
            if server is None:
                self._show(replace(self.state, loaded=True))
                return
            offered = grouped(server.offered_key)
            self._show(
                replace(
                    self.state,
                    address=server.url,
                    host=server.host,
                    key=grouped(server.key),
                    offered=offered,
                    comparing=self.state.comparing and bool(offered),
                    loaded=True,
                )
            )

        self._run(self._engine.server(), known, self._failed)


async def _accept(engine: Engine, key: str) -> None:
    await engine.accept_server_key(key)
    await engine.connect(wait=False)
