"""A database as a server leaves it: mail that waits, a channel with a past, an invite.

    python -m tests.support.old_database FILE.gz

writes the one of this version, which tests/server/test_upgrade.py upgrades from then on. The file of an older
version is made by that version's server, with this module in its tree. Not its concern: the tests.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import tempfile
from pathlib import Path

from mobium.protocol.roster import Kind
from mobium.signing import SigningKey
from tests.support.channels import append, gather, invite, tell
from tests.support.server import Person, client, server

__all__ = ["MAIL", "SAID", "person"]

MAIL = [b"the first that waits", b"the second", b"the third"]
SAID = [b"carl hears this", b"and nobody but anna and ben this"]


def person(name: str) -> Person:
    """anna owns the channel, ben is in it and away, carl was in it."""
    return Person(SigningKey.from_seed(name.ljust(32).encode()), name.rjust(32).encode())


async def make(folder: Path) -> bytes:
    """Run a server, and what people do with it; the database that it leaves."""
    async with server(folder) as one, client(one.url, person("anna")) as anna:
        async with client(one.url, person("ben")) as ben, client(one.url, person("carl")) as carl:
            room = await gather(anna, ben, carl)
            await tell(anna, room, SAID[0])
            await append(carl, room, room.make(carl.person, Kind.LEAVE))
            await tell(ben, room, SAID[1])
        for text in MAIL:
            await anna.post_and_wait_any(ben.public, text)
        await invite(anna, room, uses=5)
    return (folder / "mobium.db").read_bytes()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        Path(sys.argv[1]).write_bytes(gzip.compress(asyncio.run(make(Path(name))), mtime=0))
