"""Writing a message: the text until it is sent, kept as a draft, and what keeps it from being sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Cancel, Presenter

__all__ = ["Composer", "ComposerState"]

_PAUSE = 0.7  # seconds without a key after which a draft is kept


@dataclass(frozen=True, slots=True)
class ComposerState:
    """`version` counts the changes of `text` that were not typed, so that a view takes those alone over."""

    text: str = ""
    version: int = 0
    problem: str = ""


class Composer(Presenter[ComposerState]):
    """The text that is being written to one conversation; `sent` is called once it is queued.

    What was written is in the composer, in the draft or on its way, also if the profile is locked or the
    window closed just then.
    """

    def __init__(self, opened: Opened, target: str, sent: Callable[[], object]) -> None:
        super().__init__(opened.context.bridge, ComposerState())
        self._engine = opened.engine
        self._later = opened.context.later
        self._target = target
        self._sent = sent
        self._kept: str | None = ""  # None: a disk that did not take it
        self._under_way = 0  # texts that are not answered yet
        self._taken_back = 0  # refused texts that are in the composer again
        self._returned = ""  # those of them that were not sent again, with which the text begins
        self._restored = False  # whether it is known what is kept: until then nothing takes its place
        self._pause: Cancel | None = None
        self._one = asyncio.Lock()  # of the background loop: a draft is what the texts before it have left
        self._refused: list[str] = []  # of the background loop too
        self._run(self._drafts(), self._restore, self._not_restored)

    def type(self, text: str) -> None:
        """The text is now another one."""
        if text != self.state.text:
            self._show(replace(self.state, text=text, problem=""))
            self._keep_soon()

    def send(self) -> None:
        """Queue the text. If that is refused, it comes back with the reason."""
        text = self.state.text.strip()
        if not text:
            return
        self._under_way += 1
        self._returned = ""
        self._show(ComposerState("", self.state.version + 1))

        def refused(problem: str) -> None:
            self._under_way -= 1
            self._taken_back += 1
            written = self.state.text
            before = self._returned if written.startswith(self._returned) else ""
            behind = written[len(before) :].removeprefix("\n")
            self._returned = _joined(before, text)
            self._show(ComposerState(_joined(self._returned, behind), self.state.version + 1, problem))
            self._keep_soon()

        def queued(_: object) -> None:
            self._under_way -= 1
            self._keep()
            self._sent()

        self._run(self._queue(text), queued, refused, keep=True)

    def close(self) -> None:
        """The end; what was written is kept."""
        if not self._closed:
            self._keep(last=True)
        super().close()

    # ------------------------------------------------------------ in the background loop

    async def _drafts(self) -> dict[str, str]:
        """What is kept, once a composer of the same conversation that has just gone has left its own."""
        await self.bridge.settled()
        return await self._engine.drafts.all()

    async def _queue(self, text: str) -> None:
        async with self._one:
            try:
                await self._engine.send(self._target, text)
            except BaseException:
                self._refused.append(text)
                raise

    async def _put(self, text: str, taken_back: int, *, behind: bool) -> None:
        """Keep a draft, `behind` the one that is kept or in its place."""
        async with self._one:
            drafts = self._engine.drafts
            kept = (await drafts.all()).get(self._target, "") if behind else ""
            await drafts.put(self._target, _joined(kept, *self._refused[taken_back:], text))

    # ------------------------------------------------------------ drafts

    def _restore(self, drafts: dict[str, str]) -> None:
        self._restored = True
        self._kept = kept = drafts.get(self._target, "")
        if kept:
            typed = self.state.text  # before it was read
            self._show(ComposerState(_joined(kept, typed), self.state.version + 1, self.state.problem))
            if typed:
                self._keep_soon()

    def _not_restored(self, problem: str) -> None:
        self._restored = True  # as far as that goes
        self._show(replace(self.state, problem=problem))

    def _keep_soon(self) -> None:
        if self._pause is not None:
            self._pause()
        self._pause = self._later(_PAUSE, self._keep)

    def _keep(self, *, last: bool = False) -> None:
        if self._pause is not None:
            self._pause()
            self._pause = None
        if not self._restored and not last:
            self._keep_soon()
            return
        text = self.state.text.strip()
        if text != self._kept or self._under_way:
            self._kept = text
            work = self._put(text, self._taken_back, behind=not self._restored)
            self._run(work, failed=self._not_kept, keep=True)

    def _not_kept(self, problem: str) -> None:
        self._kept = None
        self._show(replace(self.state, problem=f"This draft is not kept: {problem}"))


def _joined(*texts: str) -> str:
    """Texts, a line each, but for empty ones."""
    return "\n".join(text for text in texts if text)
