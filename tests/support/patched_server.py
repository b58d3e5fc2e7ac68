"""Starts a server with one defence switched off by name: `python -m tests.support.patched_server NAME`.

A test that must catch a fault runs against such a server and has to fail there. Nothing of this is in the
product.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from mobium_server.__main__ import main
from mobium_server.delivery import PostOffice, accepted


def early_commit(commit: Callable[[PostOffice], None]) -> Callable[[PostOffice], None]:
    """A `PostOffice._commit` that answers senders when their messages enter a transaction, not when it is
    durable.
    """

    def early(office: PostOffice) -> None:
        for envelope in office._waiting.values():
            for desk, rid in envelope.answers:
                if desk.open:
                    desk.outlet.send(accepted(envelope.delivery, rid))
                office._release(desk, envelope.size)
            envelope.answers.clear()
        commit(office)

    return early


def acknowledge_before_commit() -> None:
    """Senders are answered before the commit."""
    setattr(PostOffice, "_commit", early_commit(PostOffice._commit))  # noqa: B010 - a method is not assigned to


def never_commits() -> None:
    """Messages are forwarded and nothing is ever written: a server that is always just before its commit."""
    PostOffice._commit = lambda _office: None  # type: ignore[method-assign, assignment]


def answers_and_never_commits() -> None:
    """The same, and senders are answered."""
    never_commits()
    acknowledge_before_commit()


PATCHES: dict[str, Callable[[], None]] = {
    "acknowledge_before_commit": acknowledge_before_commit,
    "answers_and_never_commits": answers_and_never_commits,
    "never_commits": never_commits,
}

if __name__ == "__main__":
    PATCHES[sys.argv[1]]()
    sys.exit(main([]))
