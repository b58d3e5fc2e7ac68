"""Passwords and recovery words: from a prompt, a file descriptor or the environment, never an argument.

Nothing read here is ever part of an error. Not its concern: which passwords are good enough (the vault says
so).
"""

from __future__ import annotations

import getpass
import os
import random
import sys
from collections.abc import Container
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from mobium.client.checks import (
    PASSWORD_LENGTH,
    WORD_COUNT,
    check_password,
    check_word,
    check_words,
    numbered,
)
from mobium.errors import InvalidInput, RecoveryError
from mobium_client.cli.keys import has_terminal
from mobium_client.cli.screen import Screen, interruptible

__all__ = ["Secrets"]

_VARIABLE = "MOBIUM_PASSWORD"
_NEW_VARIABLE = "MOBIUM_NEW_PASSWORD"
_LONGEST = 65_536  # bytes of one line; a password manager's longest is far below
_TRIES = 3
_ASKED_BACK = 3
_COLUMNS = 4
_WORD_CELLS = 14  # the number, eight letters and what stands between columns
_WARNING = (
    "Write these 24 words down on paper, in this order. They are shown this once, and they are the only way "
    "back to your identity if you lose this machine or your password. Whoever has them can write as you: "
    "keep them as you would keep money, and never in a photograph or a file."
)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where secrets come from in this run of the command."""

    screen: Screen
    password_fd: int | None = None

    def password(self) -> str:
        """The profile's password. Raises InvalidInput if there is nowhere to ask for it."""
        if self.password_fd is not None:
            return _line(self.password_fd, "password")
        if _VARIABLE in os.environ:
            return os.environ[_VARIABLE]
        return _prompt("Password: ", _VARIABLE)

    def new_password(self) -> str:
        """The password of a profile that is about to be made; a person types it twice."""
        if self.password_fd is not None or _VARIABLE in os.environ:
            return self.password()
        return self._twice(_VARIABLE)

    def next_password(self) -> str:
        """The password that is to replace the present one.

        The second line of the descriptor, if one is used.
        """
        if self.password_fd is not None:
            return _line(self.password_fd, "new password")
        if _NEW_VARIABLE in os.environ:
            return os.environ[_NEW_VARIABLE]
        return self._twice(_NEW_VARIABLE)

    def words(self, descriptor: int | None) -> str:
        """The 24 recovery words, which exist and belong together. Raises RecoveryError, InvalidInput."""
        if descriptor is not None:
            if descriptor == self.password_fd:
                raise InvalidInput("The password and the words need a file descriptor each.")
            return check_words(_rest(descriptor))
        if not sys.stdin.isatty():
            raise InvalidInput("There is no terminal to ask for the recovery words; use --words-fd N.")
        self.screen.remark(f"Type your {WORD_COUNT} recovery words, as many in a line as you like.")
        while True:
            found: dict[int, str] = {}
            while len(found) < WORD_COUNT:
                self._take_words(found, self.screen.ask(f"From word {_missing(found)} on: "))
            try:
                return check_words(" ".join(word for _, word in sorted(found.items())))
            except RecoveryError as error:
                self.screen.remark(f"{error} Type them again, or stop with Ctrl-C.")

    def show_words(self, words: str, *, ask_back: bool) -> None:
        """Show new recovery words once, and have three of them typed back."""
        listed = words.split()
        self._print_words(listed)
        if not ask_back or not sys.stdin.isatty() or not self.screen.is_terminal:
            return
        self.screen.remark("Once they are written down, type three of them. (Enter alone shows them again.)")
        for place in sorted(random.SystemRandom().sample(range(len(listed)), _ASKED_BACK)):
            while (typed := self.screen.ask(f"Word {place + 1}: ").strip().lower()) != listed[place]:
                if typed:
                    self.screen.remark("That is another word than the one shown; look it up on your paper.")
                else:
                    self._print_words(listed)
        self.screen.remark("Good. Clear this window now, so that nobody reads them over your shoulder.")

    def _print_words(self, listed: list[str]) -> None:
        self.screen.remark(_WARNING, style="bold")
        if not self.screen.is_terminal:
            self.screen.write(" ".join(listed) + "\n")
            return
        columns = max(1, min(_COLUMNS, (self.screen.width or 80) // _WORD_CELLS))
        rows = -(-len(listed) // columns)
        table = Table.grid(padding=(0, 2))
        for row in range(rows):
            places = range(row, len(listed), rows)
            table.add_row(*(Text.assemble((f"{n + 1:2}. ", "dim"), (listed[n], "bold")) for n in places))
        self.screen.show(table, space=True)

    def _take_words(self, found: dict[int, str], line: str) -> None:
        """Each word in the place of its number, as in a table that was copied, or in the next free one."""
        for number, word in numbered(line):
            if len(found) == WORD_COUNT:
                return
            place = number if 0 < number <= WORD_COUNT and number not in found else _missing(found)
            try:
                found[place] = check_word(place, word)
            except RecoveryError as error:
                self.screen.remark(f"{error} Go on with this word.")
                return

    def _twice(self, variable: str) -> str:
        for _ in range(_TRIES):
            first = _prompt(f"New password ({PASSWORD_LENGTH} characters or more): ", variable)
            try:
                check_password(first)
            except InvalidInput as error:
                self.screen.remark(str(error))
                continue
            if first == _prompt("The same again: ", variable):
                return first
            self.screen.remark("These were not the same.")
        raise InvalidInput("No new password was chosen; nothing was changed.")


def _missing(found: Container[int]) -> int:
    return next(place for place in range(1, WORD_COUNT + 1) if place not in found)


def _prompt(prompt: str, variable: str) -> str:
    if not has_terminal():
        raise InvalidInput(
            f"There is no terminal to ask for the password; use --password-fd N or {variable}."
        )
    try:
        with interruptible():
            return getpass.getpass(prompt)
    except EOFError:
        raise InvalidInput("No password was given.") from None


def _line(descriptor: int, what: str) -> str:
    """One line of a descriptor, byte by byte, so that the next reader finds the next line."""
    line = bytearray()
    while len(line) < _LONGEST:
        byte = _read(descriptor, 1, what)
        if byte in {b"", b"\n"}:
            break
        line += byte
    if not line:
        raise InvalidInput(f"File descriptor {descriptor} holds no {what}.")
    return _text(bytes(line).removesuffix(b"\r"), what)


def _rest(descriptor: int) -> str:
    data = b""
    while len(data) < _LONGEST and (more := _read(descriptor, _LONGEST, "recovery words")):
        data += more
    return _text(data, "recovery words")


def _read(descriptor: int, size: int, what: str) -> bytes:
    try:
        return os.read(descriptor, size)
    except OSError:
        raise InvalidInput(f"No {what} can be read from file descriptor {descriptor}.") from None


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"The {what} is not UTF-8 text.") from None
