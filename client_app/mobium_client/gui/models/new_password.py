"""A new password: long enough, typed twice, and how hard it would be to guess.

The strength is what zxcvbn estimates, in the background, a moment after the last key. Not its concern: what
the password is for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from mobium.client.checks import PASSWORD_LENGTH, check_password
from mobium.errors import InvalidInput
from mobium_client.gui.models.presenter import Bridge, Cancel, Later, Presenter, told

__all__ = ["STRENGTHS", "NewPassword", "NewPasswordState", "strength"]

STRENGTHS: Final = (
    "Guessed at once",
    "Very easy to guess",
    "Easy to guess",
    "Hard to guess",
    "Very hard to guess",
)
_SETTLED: Final = 0.2  # seconds without a key, so that a quick writer is estimated once
_ESTIMATED: Final = 72  # characters; zxcvbn's time grows with the square, and what is longer is strong
_HARD: Final = 3


@dataclass(frozen=True, slots=True)
class NewPasswordState:
    """`score` is 0 to 4, None while nothing is typed; `words` say it; `problem` is a sentence."""

    score: int | None = None
    words: str = ""
    problem: str = ""


class NewPassword(Presenter[NewPasswordState]):
    """Judges what is typed; it keeps no password itself."""

    def __init__(self, bridge: Bridge, later: Later) -> None:
        super().__init__(bridge, NewPasswordState())
        self._later = later
        self._waiting: Cancel | None = None
        self._asked = 0
        self._until_closed(self._forget)

    def type(self, password: str) -> None:
        """The first field holds this now."""
        self._forget()
        self._asked += 1
        if not password:
            self._show(NewPasswordState())
            return
        missing = PASSWORD_LENGTH - len(password)
        if missing > 0:
            few = "1 more character is needed" if missing == 1 else f"{missing} more characters are needed"
            self._show(NewPasswordState(0, few))
            return
        self._waiting = self._later(_SETTLED, lambda: self._estimate(password, self._asked))

    def take(self, first: str, second: str) -> bool:
        """Whether both are the same good password; else `problem` says what to do."""
        try:
            check_password(first)
        except InvalidInput as error:
            self._problem(told(error))
            return False
        if not second:
            self._problem("Type the same password once more below, so that no slip locks you out.")
            return False
        if first != second:
            self._problem("These are not the same; type both again.")
            return False
        self._problem("")
        return True

    def _estimate(self, password: str, asked: int) -> None:
        self._waiting = None

        def known(score: int) -> None:
            if asked == self._asked:
                self._show(NewPasswordState(score, _advice(score)))

        self._run(asyncio.to_thread(strength, password), known)

    def _problem(self, sentence: str) -> None:
        self._show(replace(self.state, problem=sentence))

    def _forget(self) -> None:
        if self._waiting is not None:
            self._waiting()
            self._waiting = None


def strength(password: str) -> int:
    """0 to 4: how hard a password is to guess, as zxcvbn estimates it."""
    from zxcvbn import zxcvbn

    return int(zxcvbn(password[:_ESTIMATED])["score"])


def _advice(score: int) -> str:
    words = STRENGTHS[score]
    return words if score >= _HARD else f"{words}: several words that do not belong together are better"
