"""A session bus of its own, and somebody on it who takes notifications as a desktop does, in a process of its
own: what comes is remembered, and can be clicked on.

    with session_bus(folder) as bus: ...    `bus.address` goes into DBUS_SESSION_BUS_ADDRESS

Not its concern: what is told (mobium_client.gui.models.notifications).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import ROOT
from tests.support.programs import where

__all__ = ["BUS", "SessionBus", "session_bus"]

BUS = [pytest.mark.needs("dbus-daemon")]
"""The marks of a test that uses `session_bus`."""

WAIT = 20.0  # seconds
NAME, PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
CAPABILITIES = ["actions", "body", "body-markup"]
CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""
INTROSPECTION = f"""<node><interface name="{NAME}">
  <method name="GetCapabilities"><arg type="as" direction="out"/></method>
  <method name="GetServerInformation">
    <arg type="s" direction="out"/><arg type="s" direction="out"/><arg type="s" direction="out"/>
    <arg type="s" direction="out"/>
  </method>
  <method name="Notify">
    <arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/>
    <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="as" direction="in"/>
    <arg type="a{{sv}}" direction="in"/><arg type="i" direction="in"/><arg type="u" direction="out"/>
  </method>
  <method name="CloseNotification"><arg type="u" direction="in"/></method>
  <signal name="NotificationClosed"><arg type="u"/><arg type="u"/></signal>
  <signal name="ActionInvoked"><arg type="u"/><arg type="s"/></signal>
</interface></node>"""


@dataclass
class SessionBus:
    """A running bus. `shown` are the notifications that came, (title, text), `closed` how many of them were
    taken back.
    """

    address: str
    shown: list[tuple[str, str]] = field(default_factory=list)
    closed: int = 0
    _service: subprocess.Popen[str] | None = None

    def click(self) -> None:
        """Click on the last one."""
        assert self._service is not None
        assert self._service.stdin is not None
        self._service.stdin.write("click\n")
        self._service.stdin.flush()

    def _read(self) -> None:
        assert self._service is not None
        assert self._service.stdout is not None
        for line in self._service.stdout:
            said = json.loads(line)
            if said is None:
                self.closed += 1
            else:
                self.shown.append((said[0], said[1]))


@contextlib.contextmanager
def session_bus(folder: Path, *, service: bool = True) -> Iterator[SessionBus]:
    """A bus, until the block ends; with `service` somebody on it takes notifications."""
    place = folder / "bus"
    place.mkdir()
    (place / "conf").write_text(CONFIGURATION.format(socket=place / "socket"), "utf-8")
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as said, contextlib.ExitStack() as stack:
        daemon = subprocess.Popen(
            [
                *(where("dbus-daemon") or "dbus-daemon", f"--config-file={place / 'conf'}", "--nofork"),
                f"--print-address={writing}",
            ],
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
        )
        stack.callback(_end, daemon)
        os.close(writing)
        ready, _, _ = select.select([said], [], [], WAIT)
        bus = SessionBus((said.readline() if ready else b"").decode().strip())
        assert bus.address, "the bus does not start"
        if service:
            process = bus._service = subprocess.Popen(
                [sys.executable, "-m", "tests.support.session_bus"],
                env={**os.environ, "PYTHONPATH": str(ROOT), "DBUS_SESSION_BUS_ADDRESS": bus.address},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(_end, process)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            reader = threading.Thread(target=bus._read, daemon=True)
            reader.start()
            stack.callback(reader.join, WAIT)
            stack.callback(process.terminate)
        yield bus


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    process.wait(WAIT)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


async def main() -> None:
    """Take notifications, and say on standard output what comes."""
    from dbus_fast import Message, MessageType
    from dbus_fast.aio import MessageBus

    bus = await MessageBus().connect()
    count = 0

    def answered(message: Message) -> Message | bool:
        nonlocal count
        if message.message_type is not MessageType.METHOD_CALL or message.path != PATH:
            return False
        match message.member:
            case "Introspect":
                return Message.new_method_return(message, "s", [INTROSPECTION])
            case "GetCapabilities":
                return Message.new_method_return(message, "as", [CAPABILITIES])
            case "GetServerInformation":
                return Message.new_method_return(message, "ssss", ["of a test", "nobody", "1", "1.2"])
            case "Notify":
                count += 1
                print(json.dumps(message.body[3:5]), flush=True)
                return Message.new_method_return(message, "u", [count])
            case "CloseNotification":
                print("null", flush=True)
                return Message.new_method_return(message)
        return False

    bus.add_message_handler(answered)
    await bus.request_name(NAME)
    print("ready", flush=True)
    clicks = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(clicks), sys.stdin
    )
    while await clicks.readline():
        await bus.send(Message.new_signal(PATH, NAME, "ActionInvoked", "us", [count, "default"]))


if __name__ == "__main__":
    asyncio.run(main())
