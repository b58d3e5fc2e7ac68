"""The command `mobium`, and `python -m mobium_client.cli`.

Not its concern: the commands (`mobium_client.cli.app`) and how failures are told
(`mobium_client.cli.failures`).
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and end it with the exit code that its help lists."""
    from mobium_client.cli.ending import orderly
    from mobium_client.cli.failures import guarded
    from mobium_client.log import keep_log

    def command() -> object:
        # imported inside: what an import refuses is told in a sentence too
        from mobium_client.cli.app import run

        return run(sys.argv[1:])

    with orderly(), keep_log():
        code = guarded(command)
    sys.exit(code)


if __name__ == "__main__":
    main()
