"""Server names that no resolver can be asked for: a sentence, and the engine goes on."""

from __future__ import annotations

import pytest

from mobium.client.transport import dial
from mobium.errors import MobiumError
from tests.support.engines import World, online

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "url", ["ws://" + 64 * "x" + ".example", "ws://a..example", "ws://" + 130 * "a." + "b"]
)
async def test_a_name_that_cannot_be_looked_up_is_told_and_ends_nothing(world: World, url: str) -> None:
    async with world.opened("alice", connect=False, connector=dial) as alice:
        with pytest.raises(MobiumError):
            await alice.connect(url)
        assert await alice.contacts.list() == []
    async with world.opened("alice", connect=False, connector=dial) as alice:
        if await alice.server() is not None:
            await alice.connect(wait=False)
            with pytest.raises(MobiumError):
                await online(alice).first()
