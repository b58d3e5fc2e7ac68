"""What is asked before it is done."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Ask"]


@dataclass(frozen=True, slots=True)
class Ask:
    """The sentence, and the words of the button that does it."""

    question: str
    word: str
