"""Passwords and recovery words as they are typed, so that a mistake is told at once and not at the end.

Not its concern: what they open (`mobium.crypto.vault`, `mobium.crypto.mnemonic`).
"""

from __future__ import annotations

import unicodedata

from mobium.crypto.mnemonic import WORD_COUNT, check_words, nearest, numbered
from mobium.crypto.vault import PASSWORD_LENGTH, check_password
from mobium.errors import RecoveryError

__all__ = ["PASSWORD_LENGTH", "WORD_COUNT", "check_password", "check_word", "check_words", "numbered"]

_SUGGESTIONS = 3  # equally near words that are named, until all 24 are there and the checksum can choose


def check_word(position: int, word: str) -> str:
    """The recovery word that is meant by `word`, the `position`th one counted from 1.

    Raises RecoveryError, which names the word that was probably meant and never what was typed.
    """
    clean = unicodedata.normalize("NFKD", word).lower().strip()
    meant = nearest(clean)
    if clean not in meant:
        choice = " or ".join(f'"{other}"' for other in meant[:_SUGGESTIONS])
        raise RecoveryError(f"Word {position} is not one of the recovery words; did you mean {choice}?")
    return clean
