"""Typing or pasting 24 recovery words: how many are there, and which of them cannot be right.

Words with their numbers, as they stand on paper, are understood. Not its concern: what the words open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mobium.client.checks import WORD_COUNT, check_word, check_words, numbered
from mobium.errors import RecoveryError
from mobium_client.gui.models.presenter import Bridge, Presenter, told

__all__ = ["RecoverWords", "RecoverWordsState"]

_LONGEST: Final = 4_096  # characters that are looked at; 24 words with their numbers take some 300


@dataclass(frozen=True, slots=True)
class RecoverWordsState:
    """`count` words are there; `problem` is a sentence about the first that cannot be right; `ready` says
    that all 24 exist and belong together.
    """

    count: int = 0
    problem: str = ""
    ready: bool = False


class RecoverWords(Presenter[RecoverWordsState]):
    """Judges what is typed; it keeps no word itself."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge, RecoverWordsState())

    def type(self, text: str) -> None:
        """The field holds this now. The word that is being typed at the end is not judged yet."""
        found = numbered(text[:_LONGEST])
        typing = not text.endswith((" ", "\n", "\t")) and len(found) < WORD_COUNT
        problem = ""
        for place, (number, word) in enumerate(found[: len(found) - typing], start=1):
            problem = _problem(number or place, word)
            if problem:
                break
        ready = False
        if not problem and len(found) >= WORD_COUNT:
            problem, ready = _together(text)
        self._show(RecoverWordsState(len(found), problem, ready))

    def take(self, text: str) -> str | None:
        """The 24 words in order, or None where `problem` says what to do."""
        try:
            words = check_words(text[:_LONGEST])
        except RecoveryError as error:
            self._show(RecoverWordsState(len(numbered(text[:_LONGEST])), told(error)))
            return None
        self._show(RecoverWordsState(WORD_COUNT, ready=True))
        return words


def _problem(place: int, word: str) -> str:
    try:
        check_word(place, word)
    except RecoveryError as error:
        return told(error)
    return ""


def _together(text: str) -> tuple[str, bool]:
    try:
        check_words(text[:_LONGEST])
    except RecoveryError as error:
        return told(error), False
    return "", True
