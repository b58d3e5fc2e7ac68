"""The subcommands of `mobium-server`: their arguments, what they print, what they ask, and their exit codes.

Not its concern: what they do (the other modules here), and serving (`mobium_server.start`).
"""

# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mobium.errors import InvalidInput, MobiumError
from mobium_server.care.backup import backup, restore
from mobium_server.care.check import Grade, check
from mobium_server.care.probe import probe
from mobium_server.care.purge import Purge, stopped
from mobium_server.care.unit import command_line, steps, unit, write
from mobium_server.config import Settings, database_path
from mobium_server.storage.database import InUse

__all__ = ["add_commands", "run_command"]

KEY_DIGITS = 64  # of an identity's public key, in hex


def add_commands(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add every subcommand; each takes what `common` has too."""
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="to look after it (without one, it serves)"
    )

    def add(name: str, run: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=about, description=about, parents=[common])
        one.set_defaults(run=run)
        return one

    add(
        "check",
        _check,
        "Look at the settings, the database, the certificate and the disk; 1 if one is wrong.",
    )
    add("health", _health, "Ask the server of these settings on this machine whether it is up.")
    one = add(
        "backup", _backup, "Copy the database to a new file, while the server runs or not, and check it."
    )
    one.add_argument("file", metavar="FILE")
    one = add(
        "restore", _restore, "Put a backup in the place of the database, which is kept; not while it runs."
    )
    one.add_argument("file", metavar="FILE")
    one = add("purge", _purge, "Delete by hand and make the file smaller; not while the server runs.")
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--identity",
        type=_key,
        metavar="HEX",
        help="the mail that waits for this public key, and its prekeys; not what it wrote to others, and not"
        " its place in channels",
    )
    what.add_argument(
        "--expired", action="store_true", help="what a running server would have deleted by now"
    )
    one.add_argument("--yes", action="store_true", help="do not ask")
    one = add("install", _install, "Print a unit for systemd and the steps to install it.")
    one.add_argument(
        "--write", type=Path, metavar="DIR", help="write the unit there, such as /etc/systemd/system"
    )


def run_command(asked: argparse.Namespace) -> int:
    """Run the subcommand; the exit code. Raises MobiumError with a sentence."""
    run: Callable[[argparse.Namespace], int] = asked.run
    try:
        return run(asked)
    except InUse as error:
        raise InUse(f"{error} Stop it first.") from error
    except BrokenPipeError:  # whoever reads has read enough, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the rest is tried at the exit
        return 1
    except OSError as error:  # most often a folder that is closed to this user
        raise MobiumError(f"{error.filename or 'A file'} cannot be used: {error.strerror}.") from error


def _settings(asked: argparse.Namespace) -> Settings:
    return Settings.from_env(os.environ, asked.env_file)


def _path(asked: argparse.Namespace) -> Path:
    return database_path(_settings(asked).database_url)


def _file(asked: argparse.Namespace) -> Path:
    """The file that was named. A script that found none names it empty, which would be this folder."""
    if not asked.file:
        raise InvalidInput(
            f"The name of the file is empty; say which one: mobium-server {asked.command} FILE."
        )
    return Path(asked.file)


def _check(asked: argparse.Namespace) -> int:
    grades = set()
    for finding in check(os.environ, asked.env_file, datetime.now(UTC)):
        print(finding, flush=True)
        grades.add(finding.grade)
    return int(Grade.WRONG in grades)


def _health(asked: argparse.Namespace) -> int:
    wrong = probe(_settings(asked))
    if wrong is not None:
        raise MobiumError(wrong)
    print("OK")
    return 0


def _backup(asked: argparse.Namespace) -> int:
    file = _file(asked)
    contents = backup(_path(asked), file)
    print(f"{file} holds the server's key and {contents}, and was checked. Keep it secret.")
    return 0


def _restore(asked: argparse.Namespace) -> int:
    file = _file(asked)
    done = restore(file, _path(asked), datetime.now(UTC))
    print(f"{_path(asked)} is now what {file} holds: {done.contents}.")
    if done.aside is not None:
        print(f"What was there before is {done.aside}; delete it when you need it no more.")
    return 0


def _purge(asked: argparse.Namespace) -> int:
    with stopped(_settings(asked)) as purge:
        if asked.identity is None:
            return _purge_expired(purge, asked)
        held = purge.held(asked.identity)
        if held is None:
            raise InvalidInput("The server holds nothing for this key.")
        if not _agreed(
            asked, f"Delete what waits for it ({_number(held.messages, 'message')}) and its prekeys?"
        ):
            return 1
        purge.forget(asked.identity)
        print(f"Deleted: {_number(held.messages, 'message')} and {_number(held.prekeys, 'prekey')}.")
        _compact(purge)
    return 0


def _purge_expired(purge: Purge, asked: argparse.Namespace) -> int:
    if not _agreed(asked, "Delete what has expired and make the database smaller?"):
        return 1
    gone = purge.expired()
    print(
        f"Deleted: {_number(gone.messages, 'message')}, {_number(gone.posts, 'channel message')}, and the"
        f" prekeys of {_number(gone.identities, 'person', 'people')} away for 90 days."
    )
    _compact(purge)
    return 0


def _compact(purge: Purge) -> None:
    print(f"The database is {purge.compact() / (1 << 20):.1f} MiB smaller.")


def _number(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _agreed(asked: argparse.Namespace, question: str) -> bool:
    if asked.yes:
        return True
    if not sys.stdin.isatty():
        raise InvalidInput("Nobody can be asked here, so nothing was deleted; say --yes.")
    try:
        answer = input(f"{question} [y/N] ")
    except (EOFError, KeyboardInterrupt):
        print()
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return True
    print("Nothing was deleted.")
    return False


def _install(asked: argparse.Namespace) -> int:
    command = command_line()
    if asked.write is None:
        print(unit(command))
        print("# ---------------------------------------------------------------- the steps\n")
        print(steps(command), end="")
        return 0
    target = write(asked.write, unit(command))
    print(f"{target} is written. Next: systemctl daemon-reload && systemctl enable --now mobium-server")
    return 0


def _key(text: str) -> bytes:
    """A public key as people copy it. Raises argparse's error."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) * 2 != KEY_DIGITS:
        raise argparse.ArgumentTypeError(f"a public key has {KEY_DIGITS} hexadecimal digits")
    return key
