"""Starts a server with one defence switched off by name: `python -m tests.support.patched_server NAME`.

A test that must catch a fault runs against such a server and has to fail there. Nothing of this is in the
product.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from mobium_server.__main__ import main
from mobium_server.delivery import PostOffice, accepted


def acknowledge_before_commit() -> None:
    """Senders are answered when their message enters a transaction, not when it is durable."""
    commit = PostOffice._commit

    def early(self: PostOffice) -> None:
        for envelope in self._waiting.values():
            for desk, rid in envelope.answers:
                desk.outlet.send(accepted(envelope.delivery, rid))
                self._release(desk, envelope.size)
            envelope.answers.clear()
        commit(self)

    PostOffice._commit = early  # type: ignore[method-assign]


PATCHES: dict[str, Callable[[], None]] = {"acknowledge_before_commit": acknowledge_before_commit}

if __name__ == "__main__":
    PATCHES[sys.argv[1]]()
    sys.exit(main([]))
