"""The command `mobium` as people run it, but that its passwords are stretched by one hash, and that calls are
possible on a machine without a network: for tests that are not about them.

With `--forks N` it is a process that has everything imported; a child of it becomes such a command for each
order that comes over the socket of descriptor N: to start Python anew takes most of a short command's time.
`Forks` is the other end.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mobium_client.cli
from mobium.crypto import vault
from mobium_client.cli.__main__ import main
from tests.support.quick import derive

__all__ = ["Forks"]

ORDER = 1 << 16  # bytes of one order, at most
ROOT = Path(__file__).resolve().parents[2]


class Forks:
    """Runs commands as children of a process that has everything imported, which ends with this one."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fast_command", "--forks", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
        )
        theirs.close()

    def run(
        self,
        arguments: Sequence[str],
        given: bytes,
        environment: dict[str, str],
        descriptors: Sequence[int],
        patience: float,
    ) -> tuple[int, bytes, bytes]:
        """The exit code, the output and the errors of one command, which sees these descriptors under their
        numbers. Raises TimeoutError when it takes longer than so many seconds; then it was ended.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        pipes = [os.pipe() for _ in range(3)]
        order = {
            "argv": ["mobium", *arguments],
            "env": environment,
            "cwd": str(Path.cwd()),
            "as": [*descriptors],
        }
        there = [theirs.fileno(), pipes[0][0], pipes[1][1], pipes[2][1]]
        with (
            ours,
            os.fdopen(pipes[0][1], "wb") as stdin,
            os.fdopen(pipes[1][0], "rb") as stdout,
            os.fdopen(pipes[2][0], "rb") as stderr,
        ):
            socket.send_fds(self._channel, [json.dumps(order).encode()], [*there, *descriptors])
            theirs.close()
            for descriptor in there[1:]:
                os.close(descriptor)
            found = [b"", b""]

            def read(index: int) -> None:
                found[index] = (stdout, stderr)[index].read()

            readers = [threading.Thread(target=read, args=(index,), daemon=True) for index in range(2)]
            for reader in readers:
                reader.start()
            try:
                stdin.write(given)
                stdin.close()
            except BrokenPipeError:
                pass  # it ended without reading, as a command may
            ours.settimeout(patience)
            child, code = ours.makefile("r"), ""
            group = int(child.readline())
            try:
                code = child.readline()
            except TimeoutError:
                os.killpg(group, signal.SIGKILL)
                raise
            for reader in readers:
                reader.join(patience)
            return int(code), found[0], found[1]


def become_ordered(channel: socket.socket) -> None:
    """Returns in a forked child that is to be the command of one order; never in the process that forks."""
    commands = pkgutil.iter_modules(mobium_client.cli.__path__, "mobium_client.cli.")
    for name in ("mobium.client", "mobium.media.share", "zoneinfo", *(module.name for module in commands)):
        importlib.import_module(name)
    gc.freeze()  # so that no child looks through what was imported, and all of them share it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for commands
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, ORDER, 32)
        if not data:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            command = os.fork()
            if command == 0:
                channel.close()
                os.close(descriptors[0])
                _become(json.loads(data), descriptors[1:])
                return
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            with socket.socket(fileno=descriptors[0]) as asker:
                asker.sendall(f"{command}\n".encode())
                _, status = os.waitpid(command, 0)
                asker.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def _become(order: dict[str, Any], descriptors: list[int]) -> None:
    """Take on an order's arguments, environment, folder, standard streams and descriptors."""
    os.setsid()
    above = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 512) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for descriptor, number in zip(above, [0, 1, 2, *order["as"]], strict=True):
        os.dup2(descriptor, number, inheritable=number < 3)
        os.close(descriptor)
    # made anew, since what they know of the old ones (that they can be sought in, say) holds no more
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv[:] = order["argv"]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--forks"]:
        become_ordered(socket.socket(fileno=int(sys.argv[2])))
    setattr(vault, "_derive", derive)  # noqa: B010 - a function is not assigned to
    if {"call", "answer"} & set(sys.argv):
        from aioice import ice

        setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])  # noqa: B010
    main()
