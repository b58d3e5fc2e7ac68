"""Running the parts of something together until the first of them fails. Not its concern: what they do, and
what becomes of an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from mobium.errors import MobiumError

__all__ = ["first_leaf", "together"]


async def together(parts: Iterable[Coroutine[Any, Any, object]]) -> list[object]:
    """Run every part until one ends with an error, then cancel the others; returns how each ended."""
    # No TaskGroup: one that fails forgets that it was cancelled at the same moment (before Python 3.13).
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ends: list[object] = await asyncio.gather(*tasks, return_exceptions=True)
    return ends


def first_leaf(group: BaseExceptionGroup[MobiumError]) -> MobiumError:
    """The first error of a group, however deep it lies."""
    error = group.exceptions[0]
    return first_leaf(error) if isinstance(error, BaseExceptionGroup) else error
