"""The command `mobium` as people run it, but that its passwords are stretched by one hash, and that calls are
possible on a machine without a network: for tests that are not about them.
"""

from __future__ import annotations

import sys

from mobium.crypto import vault
from mobium_client.cli.__main__ import main
from tests.support.quick import derive

if __name__ == "__main__":
    setattr(vault, "_derive", derive)  # noqa: B010 - a function is not assigned to
    if {"call", "answer"} & set(sys.argv):
        from aioice import ice

        setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])  # noqa: B010
    main()
