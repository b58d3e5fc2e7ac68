"""Writing a message: the text until it is sent, and what keeps it from being sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter

__all__ = ["Composer", "ComposerState"]


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
        self._target = target
        self._sent = sent

    def type(self, text: str) -> None:
        """The text is now another one."""
        self._show(replace(self.state, text=text, problem=""))

    def send(self) -> None:
        """Queue the text. If that is refused, it comes back with the reason."""
        text = self.state.text.strip()
        if not text:
            return
        self._show(ComposerState("", self.state.version + 1))

        def refused(problem: str) -> None:
            again = f"{text}\n{self.state.text}" if self.state.text else text
            self._show(ComposerState(again, self.state.version + 1, problem))

        self._run(self._engine.send(self._target, text), lambda _: self._sent(), refused)
