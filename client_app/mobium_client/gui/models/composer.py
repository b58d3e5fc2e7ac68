"""Writing a message: the text until it is sent, kept as a draft, and what keeps it from being sent."""

from __future__ import annotations

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
    """The text that is being written to one conversation; `sent` is called once it is queued."""

    def __init__(self, opened: Opened, target: str, sent: Callable[[], object]) -> None:
        super().__init__(opened.context.bridge, ComposerState())
        self._engine = opened.engine
        self._later = opened.context.later
        self._target = target
        self._sent = sent
        self._kept = ""
        self._pause: Cancel | None = None
        self._run(self._engine.drafts.all(), self._restore)

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
        self._show(ComposerState("", self.state.version + 1))

        def refused(problem: str) -> None:
            again = f"{text}\n{self.state.text}" if self.state.text else text
            self._show(ComposerState(again, self.state.version + 1, problem))
            self._keep_soon()

        def queued(_: object) -> None:
            self._keep()
            self._sent()

        self._run(self._engine.send(self._target, text), queued, refused)

    def close(self) -> None:
        """The end; what was written is kept."""
        if not self._closed:
            self._keep()
        super().close()

    def _restore(self, drafts: dict[str, str]) -> None:
        self._kept = drafts.get(self._target, "")
        if self._kept and not self.state.text:
            self._show(ComposerState(self._kept, self.state.version + 1))

    def _keep_soon(self) -> None:
        if self._pause is not None:
            self._pause()
        self._pause = self._later(_PAUSE, self._keep)

    def _keep(self) -> None:
        if self._pause is not None:
            self._pause()
            self._pause = None
        if self.state.text.strip() != self._kept:
            self._kept = self.state.text.strip()
            self._run(self._engine.drafts.put(self._target, self._kept))
