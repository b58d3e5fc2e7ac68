"""The first lines of the command `mobium-server`. Not its concern: all the others (`mobium_server.start`)."""

from __future__ import annotations

import os
import sys

from mobium_server.signals import Signals

__all__ = ["main"]


def main() -> int:
    """Run the server, or a subcommand, as the arguments of this process say; returns the exit code."""
    signals = Signals()
    signals.note()
    _open_streams()
    # All the rest is imported only now: on a small machine that takes a second, in which a service that is
    # told to reload would be ended.
    from mobium_server.start import run

    return run(sys.argv[1:], signals)


def _open_streams() -> None:
    """Whoever closed the standard streams gets none of our words, but neither does a socket or the database,
    which would take their numbers.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    sys.exit(main())
