"""The first lines of the command `mobium-server`. Not its concern: all the others (`mobium_server.start`)."""

from __future__ import annotations

import sys

from mobium_server.signals import Signals

__all__ = ["main"]


def main() -> int:
    """Run the server, or a subcommand, as the arguments of this process say; returns the exit code."""
    signals = Signals()
    signals.note()
    # All the rest is imported only now: on a small machine that takes a second, in which a service that is
    # told to reload would be ended.
    from mobium_server.start import run

    return run(sys.argv[1:], signals)


if __name__ == "__main__":
    sys.exit(main())
