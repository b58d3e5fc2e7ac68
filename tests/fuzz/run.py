"""Runs one fuzz target under atheris: python -m tests.fuzz.run TARGET [FOLDER...] [-OPTION=...]

Folders and options are libFuzzer's. Started by tools/fuzz.py, which knows where inputs are kept.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["mobium", "mobium_server", "ipaddress", "urllib"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name, *rest = sys.argv[1:]
    atheris.Setup([sys.argv[0], *rest], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
