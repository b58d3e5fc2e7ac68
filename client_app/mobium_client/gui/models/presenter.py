"""What all presenters have in common: a frozen state that is watched, work in the background, and an end.

Not its concern: threads (`mobium_client.gui.bridge`, behind the protocol `Bridge`) and what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, Generic, Protocol, TypeVar

from mobium.errors import MobiumError
from mobium_client.plain import sentence

__all__ = ["Bridge", "Cancel", "Later", "Presenter", "told"]

S = TypeVar("S")
T = TypeVar("T")

Cancel = Callable[[], None]
"""Takes back what was begun; calling it again, or too late, does nothing."""

_UNEXPECTED = "Something unexpected went wrong; the details are in the log file, which Settings can open."


class Bridge(Protocol):
    """Runs coroutines elsewhere; every answer comes back on the thread that asked."""

    def submit(
        self,
        work: Coroutine[Any, Any, T],
        done: Callable[[T], object] = ...,
        failed: Callable[[Exception], object] = ...,
        *,
        keep: bool = ...,
    ) -> Cancel:
        """Run `work`, then call `done` with its result or `failed` with what it raised; neither once it was
        cancelled. With `keep` it is run to its end, also when a profile is locked or the window closed.
        """

    async def settled(self) -> None:
        """Wait, where `work` runs, for what was submitted to be kept."""

    def tell(self, event: object) -> None:
        """Hand an event to the dispatcher, from whatever thread."""

    def note(self, error: BaseException) -> None:
        """Put something unexpected into the log file, without waiting for the disk."""


class Later(Protocol):
    """Calls something after a while, on the thread of the presenters."""

    def __call__(self, seconds: float, work: Callable[[], object]) -> Cancel:
        """Call `work` once after `seconds`."""


def told(error: Exception) -> str:
    """The sentence that is shown for an error: its own if mobium raised it, else where the details are."""
    return sentence(error) if isinstance(error, MobiumError) else _UNEXPECTED


class Presenter(Generic[S]):
    """A state, `watch`ed by views. Intents are methods of the classes derived from it; they never wait."""

    def __init__(self, bridge: Bridge, state: S) -> None:
        self.bridge = bridge
        self._state = state
        self._watchers: list[Callable[[], object]] = []
        self._endings: list[Cancel] = []
        self._closed = False

    @property
    def state(self) -> S:
        """What is shown now."""
        return self._state

    def watch(self, changed: Callable[[], object]) -> Cancel:
        """Call `changed` after every change of the state, until the returned function is called."""
        self._watchers.append(changed)

        def leave() -> None:
            if changed in self._watchers:
                self._watchers.remove(changed)

        return leave

    def close(self) -> None:
        """The end: nothing that is under way changes anything any more."""
        self._closed = True
        with ExitStack() as endings:  # each of them, whatever another raises
            endings.callback(self._watchers.clear)
            for ending in reversed(self._endings):
                endings.callback(ending)
            self._endings.clear()

    def _show(self, state: S) -> None:
        """Take another state, and say so if it differs."""
        if self._closed or state == self._state:
            return
        self._state = state
        for changed in tuple(self._watchers):
            if changed in self._watchers:  # and not gone for what one before it did
                changed()

    def _until_closed(self, cancel: Cancel) -> None:
        """Call `cancel` when this presenter ends."""
        self._endings.append(cancel)

    def _run(
        self,
        work: Coroutine[Any, Any, T],
        done: Callable[[T], object] = lambda _: None,
        failed: Callable[[str], object] = lambda _: None,
        *,
        keep: bool = False,
    ) -> None:
        """Run `work` in the background: its result goes to `done`, or a sentence to `failed`, unless this
        presenter has ended meanwhile. What nobody expected goes into the log file too. With `keep` it is run
        to its end, whatever is locked or closed meanwhile.
        """

        def fail(error: Exception) -> None:
            if not isinstance(error, MobiumError):
                self.bridge.note(error)
            if not self._closed:
                failed(told(error))

        def finish(result: T) -> None:
            if not self._closed:
                done(result)

        self.bridge.submit(work, finish, fail, keep=keep)
