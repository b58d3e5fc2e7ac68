"""Profiles: where a person's data lies, one folder for each identity, and which folder is meant.

    <data folder>/profiles/<name>/vault, mobium.db, ...

The folder's name is the profile's label, and the only thing about it that is readable while it is locked. Not
its concern: what is in the folder (`mobium.crypto.vault`, `mobium.client.store`), and who may open it.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from mobium.errors import InvalidInput, StoreError

__all__ = ["DEFAULT_NAME", "Profile", "Profiles", "backend_name", "check_name", "data_folder"]

DEFAULT_NAME = "default"

_APP = "Mobium"
_VAULT = "vault"
_LONGEST_NAME = 64  # code points: a label that still fits into a window's title
_LONGEST_FILE_NAME = 200  # bytes: file systems take 255, temporary copies add a suffix
_NOT_IN_FILE_NAMES = frozenset('/\\:*?"<>|')
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{device}{number}" for device in ("com", "lpt") for number in "123456789¹²³"}
)
# Control, format (bidi overrides, zero-width), surrogate, private and unassigned characters; line and
# paragraph separators. A name made of those looks like another one, or like nothing.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})


def backend_name() -> str:
    """The kernels in use, `native` or `pure`, for `--version` and the first line of a log."""
    from mobium import _backend

    return _backend.NAME


def data_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The folder that holds everything of this person on this machine.

    `MOBIUM_DATA_DIR` if it is set, else `%APPDATA%/Mobium`, `~/Library/Application Support/Mobium` or
    `~/.local/share/Mobium`. It need not exist.
    """
    chosen = (os.environ if environment is None else environment).get("MOBIUM_DATA_DIR", "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(platformdirs.user_data_dir(_APP, appauthor=False, roaming=True))


def check_name(name: str) -> str:
    """The profile name that is meant by `name`, which is a safe name of a folder on every system.

    Raises InvalidInput with a sentence that says what is wrong.
    """
    clean = unicodedata.normalize("NFC", name)
    if not clean.strip():
        raise InvalidInput("A profile's name must not be empty.")
    if any(unicodedata.category(c) in _UNSEEN for c in clean):
        raise InvalidInput(
            "A profile's name must not contain control characters or characters that cannot be seen."
        )
    if any(c in _NOT_IN_FILE_NAMES for c in clean):
        raise InvalidInput("A profile's name must not contain any of / \\ : * ? \" < > |")
    if clean[0] in ".-" or clean[-1] == "." or clean != clean.strip():
        raise InvalidInput(
            "A profile's name must not begin with a dot, a dash or a blank, or end with a dot or a blank."
        )
    if any(c.isspace() and c != " " for c in clean) or "  " in clean:
        raise InvalidInput("A profile's name may contain single spaces, no other blanks.")
    if unicodedata.category(clean[0]) in _MARKS:
        raise InvalidInput("A profile's name must begin with a letter, a digit or a sign of its own.")
    if len(clean) > _LONGEST_NAME or len(clean.encode()) > _LONGEST_FILE_NAME:
        raise InvalidInput(f"A profile's name has at most {_LONGEST_NAME} characters.")
    if clean.split(".")[0].strip().casefold() in _RESERVED:
        raise InvalidInput("That name is reserved by Windows; choose another one for the profile.")
    return clean


def _key(name: str) -> str:
    """Names with the same key are the same folder on some file system."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile's label and the folder of its data."""

    name: str
    folder: Path

    @property
    def exists(self) -> bool:
        """Whether an identity was created in the folder."""
        return (self.folder / _VAULT).is_file()


class Profiles:
    """The profiles in a data folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = data_folder() if root is None else root

    @property
    def log_file(self) -> Path:
        """Where a program notes an unexpected failure; it is made with mode 0600 and holds no secret."""
        return self.root / "log" / "mobium.log"

    def all(self) -> list[Profile]:
        """Every profile that has an identity, by name.

        Folders with other names or contents are left out. Raises StoreError.
        """
        try:
            folders = [entry for entry in self._folder.iterdir() if entry.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"The data folder {self._folder} cannot be read ({_reason(error)}).") from error
        found = [Profile(folder.name, folder) for folder in folders if _is_name(folder.name)]
        return sorted(
            (profile for profile in found if profile.exists), key=lambda profile: _key(profile.name)
        )

    def choose(self, name: str | None = None) -> Profile:
        """The profile called `name`, or the only one there is.

        Raises InvalidInput if there is none, or if there are several and no name.
        """
        there = self.all()
        if name is not None:
            wanted = _key(check_name(name))
            for profile in there:
                if _key(profile.name) == wanted:
                    return profile
            raise InvalidInput(f"There is no profile called {check_name(name)}. {_list(there)}")
        if not there:
            raise InvalidInput("There is no profile yet; make one with: mobium profile create")
        if len(there) > 1:
            raise InvalidInput(f"There are several profiles; say which with --profile NAME. {_list(there)}")
        return there[0]

    def new(self, name: str = DEFAULT_NAME) -> Profile:
        """A profile that does not exist yet.

        Its folder is made, with mode 0700 (on Windows as private as the person's own data folder). Raises
        InvalidInput, StoreError.
        """
        clean = check_name(name)
        if any(_key(profile.name) == _key(clean) for profile in self.all()):
            raise InvalidInput(
                f"There is a profile called {clean} already; choose another name with --profile."
            )
        profile = Profile(clean, self._folder / clean)
        try:
            for folder in (self.root, self._folder, profile.folder):
                folder.mkdir(mode=0o700, parents=folder is self.root, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The folder {profile.folder} cannot be made ({_reason(error)}).") from error
        return profile

    def discard(self, profile: Profile) -> None:
        """Remove the folder that `new` made, if nothing came into it."""
        try:
            profile.folder.rmdir()
        except OSError:
            return

    @property
    def _folder(self) -> Path:
        return self.root / "profiles"


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except InvalidInput:
        return False
    return True


def _list(there: list[Profile]) -> str:
    if not there:
        return "There is none yet; make one with: mobium profile create"
    return f"There {'are' if len(there) > 1 else 'is'}: " + ", ".join(profile.name for profile in there)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
