"""Whether what is installed works: run by the Python of an environment into which wheels were installed.

    python smoke.py native|pure            the kernels and a session, on that back end
    python smoke.py native|pure serve      the same, and a server starts, is healthy and ends
    python smoke.py native|pure talk       the same, and two people talk through it
    python smoke.py native|pure talk URL   the same, through a server that runs already
    python smoke.py native|pure window     the desktop client opens its window, on a display of its own (Xvfb)

Takes nothing of the source tree. Exit code 0 when all went well, 1 and a sentence when not.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT = 90.0  # seconds for one step; an emulated machine is slow
PASSWORD = "a password for a smoke test"
READY = "mobium-server listening on "


class SmokeError(Exception):
    """Something does not work, and the sentence says what."""


def kernels(backend: str) -> None:
    """Every kernel once, on the back end that was installed."""
    from mobium import _backend
    from mobium.crypto import MediaKey, MediaKind, Prekeys, ReceiverKey, SenderKey, Session, media_metadata
    from mobium.crypto.identity import Identity
    from mobium.errors import Invalid

    if backend != _backend.NAME:
        raise SmokeError(f"The back end is {_backend.NAME}, not {backend}.")
    alice, bob = (Identity.from_seed(os.urandom(64)) for _ in "ab")
    prekeys = Prekeys.generate(bob, one_time=1, kem_one_time=1)
    payload, ours = Session.initiate(alice, prekeys.bundle()).encrypt(b"hello")
    text, theirs, _ = Session.accept(bob, prekeys, payload)
    answer, theirs = theirs.encrypt(text + text)
    sender = SenderKey.create(bytes(32), alice.public)
    reader = ReceiverKey.from_distribution(sender.distribution(), sender=alice.public)
    place = media_metadata(MediaKind.VOICE, bytes(32), alice.public)
    key = MediaKey.create(MediaKind.VOICE, bytes(32), alice.public)
    frame = key.sealer().seal(b"sound", place)
    done = (
        ours.decrypt(answer)[0],
        reader.decrypt(sender.encrypt(b"all")[0])[0],
        key.opener().open(frame, place),
    )
    if done != (b"hellohello", b"all", b"sound"):
        raise SmokeError(f"What was encrypted is not what was decrypted: {done}.")
    try:
        key.opener().open(frame[:-1] + bytes((frame[-1] ^ 1,)), place)
    except Invalid:
        return
    raise SmokeError("A frame that was changed was opened.")


def program(name: str) -> str:
    """A command that was installed."""
    return str(Path(sysconfig.get_path("scripts")) / name)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The URL of a server that was started by its command; it has to end well."""
    settings = {"SC_HOST": "127.0.0.1", "SC_PORT": "0", "SC_REQUIRE_TLS": "false"}
    process = subprocess.Popen(
        [program("mobium-server")],
        cwd=folder,
        env={**os.environ, **settings, "SC_DATABASE_URL": f"sqlite://{folder}/server.db"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith(READY)), "")
        if not line:
            raise SmokeError(f"The server did not start: {process.communicate(timeout=WAIT)[1]}")
        yield line.removeprefix(READY).strip()
    finally:
        process.terminate()
        _, said = process.communicate(timeout=WAIT)
    if process.returncode != 0:
        raise SmokeError(f"The server ended with exit code {process.returncode}: {said}")


async def talk(folder: Path, url: str) -> None:
    """A direct message there and one back."""
    from mobium.client import Engine

    for name in ("alice", "bob"):
        await Engine.create(folder / name, PASSWORD)
    async with (
        asyncio.timeout(WAIT),
        Engine.open(folder / "alice", PASSWORD) as alice,
        Engine.open(folder / "bob", PASSWORD) as bob,
    ):
        for engine in (alice, bob):
            await engine.connect(url)
        there, back = bob.events(), alice.events()
        sent = [(alice, await alice.send(bob.me, "there"))]
        await heard(there, alice.me, "there")
        sent.append((bob, await bob.send(alice.me, "and back")))  # which accepts her: only now is she told
        await heard(back, bob.me, "and back")
        for writer, message in sent:
            await writer.wait(message, "delivered", WAIT)


async def heard(events: AsyncIterator[object], peer: str, text: str) -> None:
    """Wait for the next message, which has to be this one."""
    from mobium.client import MessageReceived

    async for event in events:
        if isinstance(event, MessageReceived):
            if (event.peer, event.text) != (peer, text):
                raise SmokeError(f"{text!r} was sent, and {event.text!r} was received.")
            return
    raise SmokeError("The engine has ended.")


@contextmanager
def display(folder: Path) -> Iterator[str]:
    """The name of a display of its own."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1000x700x24", "-nolisten", "tcp"]
    with (folder / "xvfb.log").open("wb") as said:
        process = subprocess.Popen(command, pass_fds=[writing], stdout=said, stderr=said)
    os.close(writing)
    try:
        with os.fdopen(reading) as names:
            yield f":{names.readline().strip()}"
    finally:
        process.terminate()
        process.wait(WAIT)


def window(folder: Path) -> None:
    """The desktop client, started by its command, shows a window and stays."""
    home = {"HOME": str(folder), "MOBIUM_DATA_DIR": str(folder / "data")}
    with display(folder) as name:
        environ = {**os.environ, **home, "DISPLAY": name}
        process = subprocess.Popen(
            [program("mobium-desktop")], cwd=folder, env=environ, stderr=subprocess.PIPE, text=True
        )
        try:
            command = ["xdotool", "search", "--onlyvisible", "--class", "Mobium"]
            until = time.monotonic() + WAIT
            while process.poll() is None and time.monotonic() < until:
                if subprocess.run(command, env=environ, capture_output=True, check=False).returncode == 0:
                    return
                time.sleep(0.2)
            raise SmokeError("The desktop client shows no window.")
        finally:
            ended = process.poll()
            process.terminate()
            said = process.communicate(timeout=WAIT)[1]
            if ended is not None or "Traceback" in said:
                raise SmokeError(f"The desktop client had an error (exit code {ended}): {said}")


def main(arguments: list[str]) -> int:
    backend, *rest = arguments
    try:
        kernels(backend)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if rest[1:]:
                asyncio.run(talk(folder, rest[1]))
            elif rest == ["window"]:
                window(folder)
            elif rest:
                with server(folder) as url:
                    if rest[0] == "talk":
                        asyncio.run(talk(folder, url))
    except (SmokeError, ImportError, TimeoutError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"{' '.join(arguments[:2])}: well, on Python {sys.version.split()[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
