"""How the command ends: one sentence and an exit code for everything that can go wrong, never a traceback.

What nobody expected goes into the log file (`mobium_client.log`). Not its concern: what went wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any

from typer.exceptions import TyperException

from mobium.errors import (
    InvalidInput,
    MobiumError,
    NotConnected,
    RecoveryError,
    StoreError,
    WrongPassword,
)
from mobium_client.log import describe, note
from mobium_client.plain import harmless, sentence

__all__ = ["ExitCode", "StaysQueued", "exit_code", "guarded"]


class ExitCode(IntEnum):
    """What the exit code of `mobium` means; the same list stands in its help."""

    DONE = 0
    FAILED = 1  # refused or failed; the sentence says why
    USAGE = 2  # the command line is wrong, or names nothing
    NOT_YET = 3  # no connection, or it is queued or not delivered yet: it need not be sent again
    WRONG_SECRET = 4  # password or recovery words
    DATA = 5  # a profile's files cannot be read or written
    UNEXPECTED = 70  # a mistake in the program; the log file has the place
    INTERRUPTED = 130  # Ctrl-C
    BROKEN_PIPE = 141  # whoever read the output has gone


_PARSERS_OWN = "Value error, "  # before what is wrong with a choice; not for people


class StaysQueued(MobiumError):
    """What was to be sent goes out or arrives later by itself: to send it again would send it twice."""


_CODES: tuple[tuple[type[MobiumError], ExitCode], ...] = (
    (InvalidInput, ExitCode.USAGE),
    (NotConnected, ExitCode.NOT_YET),
    (StaysQueued, ExitCode.NOT_YET),
    (WrongPassword, ExitCode.WRONG_SECRET),
    (RecoveryError, ExitCode.WRONG_SECRET),
    (StoreError, ExitCode.DATA),
)


def exit_code(error: MobiumError) -> ExitCode:
    """The code that `error` ends the process with."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def guarded(command: Callable[[], Any]) -> int:
    """Run `command` and return its exit code (its result, if that is a number), whatever happens.

    Everything that is said goes to standard error.
    """
    try:
        result = command()
        sys.stdout.flush()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # what typer makes of it
            _forget_output()
            return ExitCode.BROKEN_PIPE
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as raised:  # noqa: BLE001 - the outermost edge
        return _ended_by(_first(raised))
    return result if isinstance(result, int) else ExitCode.DONE


def _ended_by(error: BaseException) -> int:
    match error:
        case BrokenPipeError():
            _forget_output()
            return ExitCode.BROKEN_PIPE
        case KeyboardInterrupt():
            _say("")
            return ExitCode.INTERRUPTED
        case MobiumError():
            _forget_output()  # where it cannot be written, which may be why
            _say(f"mobium: {sentence(error)}")
            return exit_code(error)
        case TyperException():
            message = " ".join(error.format_message().split()).replace(_PARSERS_OWN, "", 1)
            if message:  # none where the help was shown instead
                _say(f"mobium: {harmless(message)} (mobium --help)")
            return ExitCode.USAGE
        case ImportError(name=None):  # the choice of the kernels was refused, in a sentence
            _say(f"mobium: {harmless(str(error))}")
            return ExitCode.FAILED
    return _unexpected(error)


def _first(error: BaseException) -> BaseException:
    """What says most in a group: an interruption, then an error made on purpose, then the first one."""
    leaves = list(_leaves(error))
    for kind in (KeyboardInterrupt, BrokenPipeError, MobiumError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0] if leaves else error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        return


def _forget_output() -> None:
    """If nobody reads any more: let the interpreter's own flush at the end go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(nowhere, stream.fileno())


# ---------------------------------------------------------------- what nobody expected


def _unexpected(error: BaseException) -> ExitCode:
    try:
        where = note(describe(error))
    except (OSError, ImportError):  # an installation that is damaged has no engine to ask for the folder
        _say(
            f"mobium: Something unexpected went wrong ({type(error).__name__}), and no log could be written."
        )
    else:
        _say(f"mobium: Something unexpected went wrong ({type(error).__name__}); the details are in {where}")
    return ExitCode.UNEXPECTED
