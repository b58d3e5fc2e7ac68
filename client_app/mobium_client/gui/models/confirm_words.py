"""The recovery words of a new identity: shown, then three of them asked back.

Until they were answered right they are shown again at each start; then the profile forgets them. Not its
concern: where they are kept until then (`mobium.client.recovery`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from mobium.client import Engine
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter

__all__ = ["ASKED", "ConfirmWords", "ConfirmWordsState"]

ASKED: Final = 3
"""How many words are asked back."""

Choose = Callable[[int, int], Sequence[int]]
"""`(count, n)`: n different places below count, at random."""


@dataclass(frozen=True, slots=True)
class ConfirmWordsState:
    """`step` is "show" (all words) or "ask" (those at `places`, counted from 0). `problem` is a sentence."""

    step: Literal["show", "ask"] = "show"
    words: tuple[str, ...] = field(default=(), repr=False)
    places: tuple[int, ...] = ()
    problem: str = ""
    busy: bool = False


def _at_random(count: int, n: int) -> Sequence[int]:
    return random.SystemRandom().sample(range(count), n)


class ConfirmWords(Presenter[ConfirmWordsState]):
    """Shows the words and asks for some; `done` is called once they are confirmed, or put off."""

    def __init__(
        self, opened: Opened, words: str, done: Callable[[], object], choose: Choose = _at_random
    ) -> None:
        super().__init__(opened.context.bridge, ConfirmWordsState(words=tuple(words.split())))
        self._engine: Engine = opened.engine
        self._done = done
        self._choose = choose

    def ask(self) -> None:
        """They are written down, it is said: ask for some."""
        words = self.state.words
        places = tuple(sorted(self._choose(len(words), ASKED)))
        self._show(replace(self.state, step="ask", places=places, problem=""))

    def show(self) -> None:
        """Show all words again."""
        self._show(replace(self.state, step="show", problem=""))

    def answer(self, typed: Sequence[str]) -> None:
        """These are the words at `places`. A missing one is asked for, a wrong one leads back to all."""
        state = self.state
        if state.busy or state.step != "ask":
            return
        if not all(word.strip() for word in typed):
            self._show(replace(state, problem=f"Type all {len(state.places)} words."))
            return
        wrong = [
            place + 1
            for place, word in zip(state.places, typed, strict=True)
            if word.strip().lower() != state.words[place]
        ]
        if wrong:
            self._show(replace(state, step="show", problem=_sentence(wrong)))
            return
        self._show(replace(state, busy=True, problem=""))

        def failed(problem: str) -> None:
            self._show(replace(self.state, busy=False, problem=problem))

        self._run(self._engine.recovery.confirmed(), lambda _: self._done(), failed)

    def later(self) -> None:
        """Go on without; they are shown again at the next start."""
        self._done()

    def close(self) -> None:
        """The end; the words are let go."""
        self._show(ConfirmWordsState())
        super().close()


def _sentence(wrong: list[int]) -> str:
    if len(wrong) == 1:
        return f"Word {wrong[0]} is another one than you typed. Compare it with your paper."
    numbers = f"{', '.join(map(str, wrong[:-1]))} and {wrong[-1]}"
    return f"Words {numbers} are others than you typed. Compare them with your paper."
