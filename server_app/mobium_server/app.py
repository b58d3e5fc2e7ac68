"""Puts the server together, runs it, and takes it down in order. The only place that names a concrete
storage.

Not its concern: arguments and exit codes (`mobium_server.start`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mobium.errors import InvalidInput, StoreError
from mobium.protocol.codes import CloseCode
from mobium.protocol.connection import ServerConnection
from mobium.protocol.version import VERSIONS
from mobium.signing import SEED_SIZE, SigningKey
from mobium_server import __version__, stats
from mobium_server.board import Board
from mobium_server.clock import Clock
from mobium_server.config import Settings, database_path
from mobium_server.delivery import PostOffice
from mobium_server.door import Door
from mobium_server.envelope import Desk
from mobium_server.figures import all_figures
from mobium_server.files import Scarcity
from mobium_server.gateway import Wire
from mobium_server.handlers.common import CAPABILITIES, NAME
from mobium_server.health import Health
from mobium_server.holding import Holding
from mobium_server.hosts import accepts_host
from mobium_server.http import Routes
from mobium_server.hub import Hub
from mobium_server.listener import Listener
from mobium_server.pages import Pages
from mobium_server.reception import Reception
from mobium_server.rooms import Rooms
from mobium_server.signals import Signals
from mobium_server.space import Space, on_disk
from mobium_server.stats import Counters
from mobium_server.storage.base import SIGNING_KEY, Storage
from mobium_server.storage.sqlite import SqliteStorage
from mobium_server.storage.worker import Worker
from mobium_server.survey import Survey
from mobium_server.tls import Certificates
from mobium_server.upkeep import Upkeep
from mobium_server.voice import Voice

__all__ = ["Server", "running", "serve"]

log = logging.getLogger(__name__)

DRAIN_TIME = 10.0  # seconds that a stop gives the last commit
CLOSE_TIME = 3.0  # and the clients, to see why they are cut off


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    settings: Settings
    port: int
    public_key: bytes
    hub: Hub
    listener: Listener
    certificates: Certificates | None

    @property
    def url(self) -> str:
        """Where clients on this machine connect."""
        scheme = "ws" if self.certificates is None else "wss"
        host = self.settings.host
        if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            host = "::1" if host == "::" and not socket.has_dualstack_ipv6() else "127.0.0.1"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/ws"

    def reload_certificates(self) -> None:
        """Read certificate and key again; if they cannot be used the old ones stay, and the log says why."""
        if self.certificates is None:
            return
        try:
            self.certificates.reload()
        except InvalidInput as error:
            log.error("The certificate was not reloaded: %s", error)  # noqa: TRY400 - a sentence, no traceback
        else:
            log.info("The certificate was reloaded.")
            for sentence in self.doubts():
                log.warning("%s", sentence)

    def doubts(self) -> list[str]:
        """Sentences about what makes clients refuse the certificate."""
        if self.certificates is None:
            return []
        now = datetime.fromtimestamp(self.hub.clock.wall(), UTC)
        return self.certificates.doubts(self.settings.public_hosts, now)


@contextlib.asynccontextmanager
async def running(
    settings: Settings, *, storage: Storage | None = None, clock: Clock | None = None
) -> AsyncIterator[Server]:
    """Run a server until the block ends: then stop accepting, commit and answer what waits, close with 1001,
    close the database.

    Raises InvalidInput or StoreError with a sentence if it cannot start.
    """
    certificates = None
    if settings.tls_cert is not None and settings.tls_key is not None:
        certificates = Certificates(settings.tls_cert, settings.tls_key)
    if storage is None:
        storage = SqliteStorage(database_path(settings.database_url), settings.max_offline_messages)
    clock = clock or Clock()
    worker = Worker()
    try:
        await worker.run(storage.open)
        try:
            key = await worker.run(_signing_key, storage)
            await worker.run(clock.load, storage)
            try:
                async with _serving(settings, storage, clock, worker, key, certificates) as server:
                    yield server
            finally:  # and not before it was loaded, or it would begin anew
                await worker.run(_keep, storage, clock)
        finally:
            await worker.run(storage.close)
    finally:
        await worker.stop()


@contextlib.asynccontextmanager
async def _serving(
    settings: Settings,
    storage: Storage,
    clock: Clock,
    worker: Worker,
    key: SigningKey,
    certificates: Certificates | None,
) -> AsyncIterator[Server]:
    loop = asyncio.get_running_loop()
    counters = Counters()
    holding, health = Holding(), Health(clock.steady)
    space = Space(on_disk(database_path(settings.database_url).parent), clock.steady)

    def owes(desk: Desk) -> float:
        return hub.owes(desk)

    pages = Pages(worker, health, loop.call_later, owes)
    office = PostOffice(
        storage,
        worker,
        loop.call_later,
        now=clock.own,
        steady=clock.steady,
        holding=holding,
        health=health,
        space=space,
    )
    board = Board(
        storage,
        worker,
        loop.call_later,
        now=clock.own,
        steady=clock.steady,
        holding=holding,
        health=health,
        space=space,
    )
    rooms = Rooms(storage, worker, health)
    factor = settings.rate_address_factor
    voice = Voice(board, loop.call_later, clock.steady, counters, settings.rate_media, factor)
    hub = Hub(settings, storage, worker, office, board, rooms, pages, voice, space, clock, counters)
    door = Door(settings.max_connections, settings.max_connections_per_ip, counters)

    def own_name(name: str) -> bool:
        return accepts_host(
            settings.public_hosts, lambda: certificates.names if certificates is not None else (), name
        )

    def new_connection() -> ServerConnection:
        return ServerConnection(key, own_name, settings.max_message_size)

    survey = Survey(storage, worker, clock.steady)
    figures = all_figures(hub, door, health, survey, space, certificates, counters)

    def show() -> dict[str, Any]:
        survey.refresh()
        return {"version": __version__, **stats.as_dict(figures)}

    def metrics() -> bytes:
        survey.refresh()
        return stats.prometheus(figures, health.commits)

    routes = Routes(
        origins=settings.cors_origins,
        admin_token=settings.admin_token,
        own_name=own_name,
        info=lambda: _info(hub),
        stats=show,
        metrics=metrics,
    )
    reception = Reception(settings, routes, door, hub.admission, counters)
    listener = Listener(settings, hub, reception, certificates, new_connection, counters)
    try:
        port = await listener.listen(Wire)
    except OSError as error:
        where = f"SC_HOST={settings.host} SC_PORT={settings.port}"
        raise InvalidInput(f"The server cannot listen on {where}: {_obstacle(error)}.") from error
    upkeep = Upkeep(storage, clock, worker, office, board, settings.message_ttl, loop)
    try:
        yield Server(settings, port, key.public, hub, listener, certificates)
    finally:
        upkeep.stop()
        listener.stop_listening()
        drained = asyncio.Event()
        rooms.drain(lambda: board.drain(lambda: office.drain(drained.set)))
        try:
            await asyncio.wait_for(drained.wait(), DRAIN_TIME)
        except TimeoutError:
            log.exception("The last messages could not be stored in time; their senders were not answered.")
        await listener.close_all(CloseCode.SHUTTING_DOWN, CLOSE_TIME)


def _obstacle(error: OSError) -> str:
    """Why a port cannot be had, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return "another program has this port; end that one, or take another port"
    if error.errno == errno.EACCES:
        return "only root may have ports below 1024; take a higher one, or put a proxy in front"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    # asyncio puts a sentence of its own there
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)


def _signing_key(storage: Storage) -> SigningKey:
    seed = storage.get(SIGNING_KEY)
    if seed is None:
        key = SigningKey.generate()
        storage.put(SIGNING_KEY, key.seed)
        storage.checkpoint()  # a copy of the file holds the key from now on
        return key
    if len(seed) != SEED_SIZE:
        raise StoreError(
            "The server's key in the database is damaged; restore a backup (docs/OPERATIONS.md)."
        )
    return SigningKey.from_seed(seed)


def _keep(storage: Storage, clock: Clock) -> None:
    try:
        clock.keep(storage)
    except StoreError as error:  # a full disk must not keep the database from being closed
        log.warning("The server's clock could not be kept: %s", error)


def _info(hub: Hub) -> dict[str, object]:
    limits = hub.limits
    return {
        "name": NAME,
        "version": __version__,
        "versions": list(VERSIONS),
        "capabilities": list(CAPABILITIES),
        "limits": {name: getattr(limits, name) for name in limits.__struct_fields__},
    }


async def serve(settings: Settings, signals: Signals, ready: Callable[[Server], None]) -> None:
    """Run until a signal ends it. `ready` is called once clients can connect."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals.end_with(loop, stop.set)
    async with running(settings) as server:
        loop.set_exception_handler(Scarcity(loop.time).handle)
        reload = server.reload_certificates if server.certificates is not None else None
        signals.hang_up_with(loop, stop.set, reload)
        # What is there by now stays as long as the server: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        if not stop.is_set():
            ready(server)
        await stop.wait()
