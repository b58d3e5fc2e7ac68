"""The real coturn, on loopback, with a secret of its own, and its own client to try credentials on it.

Not its concern: where the credentials come from.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.programs import Program, running, where

__all__ = ["attempt", "turn_server"]

EXAMPLE = Path(__file__).parents[2] / "deploy" / "coturn" / "turnserver.conf"
PLACE = "CHANGE-ME-CHANGE-ME"
ENDS = {
    "relayed": "tot_send_msgs=2, tot_recv_msgs=2",
    "no allocation": "Cannot complete Allocation",
    "forbidden peer": "channel bind: error 403",
}
PATIENCE = 30  # seconds; a relayed packet there and back takes the client five


@contextlib.contextmanager
def turn_server(folder: Path, secret: str, *, loopback: bool = True) -> Iterator[Program]:
    """A TURN server with the configuration that is shipped, but for its secret, ports and log, that takes
    time-limited credentials made with `secret`. With `loopback` it may relay to this machine.
    """
    text = EXAMPLE.read_text("utf-8").replace(PLACE, secret)
    assert secret in text
    lines = [line for line in text.splitlines() if not line.startswith(("listening-port=", "log-file="))]
    if loopback:
        lines = [line for line in lines if not line.startswith("denied-peer-ip=127.")]
        lines.append("allow-loopback-peers")
    lines += ["listening-ip=127.0.0.1", "relay-ip=127.0.0.1", "log-file=stdout"]
    lines += [f"pidfile={folder / 'turn.pid'}", f"userdb={folder / 'turndb'}"]

    def command(port: int) -> list[str]:
        conf = folder / "turnserver.conf"
        conf.write_text("\n".join([*lines, f"listening-port={port}", ""]), "utf-8")
        return ["turnserver", "-c", str(conf)]

    with running(command, folder) as program:
        yield program


def attempt(server: Program, username: str, credential: str) -> str:
    """What becomes of an allocation with these credentials, and of packets that are to be relayed by it."""
    ended = subprocess.run(
        [
            *(where("turnutils_uclient") or "turnutils_uclient", "-y", "-c", "-n", "1"),
            *("-u", username, "-w", credential, "-p", str(server.port), "127.0.0.1"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    said = ended.stdout + ended.stderr
    ends = [name for name, text in ENDS.items() if text in said]
    assert len(ends) == 1, said
    return ends[0]
