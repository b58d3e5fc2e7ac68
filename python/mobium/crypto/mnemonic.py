"""Recovery words: BIP39 in English, 24 words for 32 bytes of entropy (docs/CRYPTO.md section 1).

The list, the checksum and the seed are those of the package `mnemonic`, which is imported at first use and
belongs to the extra `client`. What is here is what a person who typed a word wrong needs: which word, and
what it should probably have been. Not its concern: the keys that come out of the seed (`identity`). A
sentence about a word never repeats what was typed, since errors end up in logs.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from mobium.errors import InvalidInput, RecoveryError

if TYPE_CHECKING:
    from mnemonic import Mnemonic

__all__ = ["WORD_COUNT", "check_words", "nearest", "numbered", "seed_from_words", "words_from_entropy"]

WORD_COUNT = 24
_ENTROPY_SIZE = 32
_NUMBER = re.compile(r"\W*(\d{1,2})\W*(\D*)")  # no word of the list has a digit


@lru_cache(maxsize=1)
def _english() -> Mnemonic:
    try:
        from mnemonic import Mnemonic
    except ImportError as error:
        raise RecoveryError(
            "Recovery words need the package mnemonic, which is not installed: pip install 'mobium[client]'."
        ) from error
    return Mnemonic("english")


@lru_cache(maxsize=1)
def _positions() -> dict[str, int]:
    return {word: index for index, word in enumerate(_english().wordlist)}


def words_from_entropy(entropy: bytes) -> str:
    """The 24 words for 32 bytes of entropy, separated by single spaces.

    Raises InvalidInput for another length, RecoveryError if the package `mnemonic` is not installed.
    """
    if len(entropy) != _ENTROPY_SIZE:
        raise InvalidInput(
            f"Recovery words are made from {_ENTROPY_SIZE} bytes of entropy, not {len(entropy)}."
        )
    return _english().to_mnemonic(bytes(entropy))


def numbered(words: str) -> list[tuple[int, str]]:
    """The words in lower case as they come, each with the number in front of it, as in “1. circle”; with 0
    if there is none.
    """
    found = []
    number = 0
    for token in unicodedata.normalize("NFKD", words).lower().split():
        match = _NUMBER.fullmatch(token)
        number, word = (int(match[1]), match[2]) if match else (number, token)
        if word:
            found.append((number, word))
            number = 0
    return found


def _in_order(words: str) -> list[str]:
    """By their numbers, if those are 1 to 24: what was copied from columns comes row by row."""
    found = numbered(words)
    if sorted(number for number, _ in found) == list(range(1, WORD_COUNT + 1)):
        found.sort()
    return [word for _, word in found]


def check_words(words: str) -> str:
    """The 24 words in lower case with single spaces between them, if they can be right. Numbers in front of
    them may stay.

    Raises RecoveryError, whose sentence says which word is unknown and which one is nearest to it, or that
    the count is wrong, or that words which all exist do not belong together.
    """
    given = _in_order(words)
    known = _positions()
    unknown = [index for index, word in enumerate(given) if word not in known]
    problems = [
        f'Word {index + 1} is not one of the recovery words; did you mean "{_suggestion(given, index)}"?'
        for index in unknown[:WORD_COUNT]
    ]
    if len(given) != WORD_COUNT:
        problems.append(f"There must be {WORD_COUNT} recovery words, and here are {len(given)}.")
    if problems:
        raise RecoveryError(" ".join(problems))
    normalised = " ".join(given)
    if not _english().check(normalised):
        raise RecoveryError(
            "Each of these words exists, but together they are not a set that was ever given out: "
            "one of them is another word than the one written down, or two have changed places."
        )
    return normalised


def seed_from_words(words: str, passphrase: str = "") -> bytes:
    """The 64-byte BIP39 seed of 24 words and an optional passphrase (both NFKD).

    Raises RecoveryError as `check_words` does.
    """
    return _english().to_seed(check_words(words), passphrase)


def nearest(word: str) -> list[str]:
    """The words of the list that `word` could have been meant to be, the likeliest first.

    A beginning of four letters or more names its word, since the list is made so that four letters tell all
    words apart. Otherwise they are the words at the smallest edit distance (swapped neighbours count once),
    longest common beginning first, then in the order of the alphabet.
    """
    wordlist = _english().wordlist
    if len(word) >= 4:
        completed = [candidate for candidate in wordlist if candidate.startswith(word)]
        if len(completed) == 1:
            return completed
    typed = word[:16]  # a word of the list has at most 8 letters; a pasted page costs no more than a slip
    distances = {candidate: _distance(typed, candidate) for candidate in wordlist}
    least = min(distances.values())
    found = [candidate for candidate, distance in distances.items() if distance == least]
    return sorted(found, key=lambda candidate: -_common_beginning(typed, candidate))


def _suggestion(given: list[str], index: int) -> str:
    """The likeliest word in that place; among equally near ones, one with which the checksum fits."""
    candidates = nearest(given[index])
    fitting = (
        word for word in candidates if _english().check(" ".join([*given[:index], word, *given[index + 1 :]]))
    )
    return next(fitting, candidates[0])


def _common_beginning(a: str, b: str) -> int:
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count


def _distance(a: str, b: str) -> int:
    """Optimal string alignment: insertions, deletions, replacements and swaps of neighbours."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, before, row = before, row, [i]
        for j, y in enumerate(b, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]
