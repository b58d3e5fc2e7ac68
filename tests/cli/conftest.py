"""Two people with profiles, made once a session and copied for each test, and a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mobium.client import Engine
from tests.cli.channels import inside, keep_key
from tests.support.commands import FAST, PASSWORD, Desk
from tests.support.engines import fast_vault
from tests.support.server import ServerProcess


@dataclass(frozen=True)
class Made:
    """A profile as it was created: never opened since."""

    folder: Path
    words: str
    key: str


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    fast_vault(monkeypatch)  # here too, for profiles that a `FAST` desk has made


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """The profiles `anna` and `bob`, for desks whose command is `FAST`."""
    desk = Desk(tmp_path_factory.mktemp("made"), command=FAST)
    found = {}
    for name in ("anna", "bob"):
        words = desk.run("profile", "create", name).out.strip()
        key = desk.run("whoami", "--profile", name).out.splitlines()[0]
        found[name] = Made(desk.profile(name), words, key)
    return found


@pytest.fixture
def desk_of(made: dict[str, Made], tmp_path: Path) -> Callable[[str], Desk]:
    """Makes the machine of anna or bob."""

    def make(name: str) -> Desk:
        desk = Desk(tmp_path / name, command=FAST)
        desk.take(made[name].folder, name)
        return desk

    return make


@pytest.fixture
def anna(desk_of: Callable[[str], Desk]) -> Desk:
    return desk_of("anna")


@pytest.fixture
def bob(desk_of: Callable[[str], Desk]) -> Desk:
    return desk_of("bob")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "server") as one:
        yield one


@pytest.fixture
def talking(
    anna: Desk, bob: Desk, made: dict[str, Made], server: ServerProcess
) -> tuple[Desk, Desk, ServerProcess]:
    """Anna and bob know each other and the server, and can be written to."""
    log_in(anna, server.url, made["bob"].key, "bob")
    log_in(bob, server.url, made["anna"].key, "anna")
    return anna, bob, server


def log_in(desk: Desk, url: str, contact: str | None = None, nickname: str | None = None) -> None:
    """Connect once, so that prekeys are published and the server is remembered; first add a contact."""

    async def work() -> None:
        [profile] = desk.profile("any").parent.iterdir()
        async with Engine.open(profile, PASSWORD) as engine:
            if contact is not None:
                await engine.contacts.add(contact, nickname)
            await engine.connect(url)

    asyncio.run(work())


@pytest.fixture(scope="module")
def channel_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    limits = {"SC_RATE_GENERAL": "0", "SC_RATE_ADDRESS_FACTOR": "0"}
    with ServerProcess(tmp_path_factory.mktemp("server"), limits) as one:
        yield one


@pytest.fixture
def person(tmp_path: Path) -> Callable[..., Desk]:
    """Makes somebody new, logged in once at a server if one is named."""

    def make(name: str, url: str | None = None) -> Desk:
        desk = Desk(tmp_path / name, command=FAST)
        folder = desk.profile(name)
        folder.mkdir(mode=0o700, parents=True)
        asyncio.run(Engine.create(folder, PASSWORD))
        if url is not None:
            log_in(desk, url)

        async def key(engine: Engine) -> str:
            return engine.me

        keep_key(desk, inside(desk, key, connect=False))
        return desk

    return make


@pytest.fixture
def garden(person: Callable[..., Desk], channel_server: ServerProcess) -> tuple[Desk, Desk, Desk]:
    """Anna owns #garden; bob and carl are in."""
    anna, bob, carl = (person(name, channel_server.url) for name in ("anna", "bob", "carl"))

    async def make(engine: Engine) -> str:
        await engine.create_channel("garden", topic="beans")
        return await engine.invite("#garden", uses=2)

    link = inside(anna, make)
    for desk in (bob, carl):
        inside(desk, lambda engine: engine.join(link))
    return anna, bob, carl
