"""Whether everything that mobium is built from has a licence that deny.toml allows: python tools/licences.py

Looks at every crate of Cargo.lock and at every Python distribution that the extras install here, and believes
what they say of themselves; what they do not say was read in the licence files that they carry. Takes no
network, unless cargo has a crate still to fetch. Exit code 1 when one is not allowed. Not its concern:
advisories (`cargo deny check`, `pip-audit`), and what a wheel carries beside Python (docs/QUALITY.md).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterable, Iterator
from importlib import metadata
from pathlib import Path

from license_expression import ExpressionError, LicenseSymbol, Licensing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "deny.toml"

#: What people install, and what only builds, tests and packs it. Requirements with their extras.
SHIPPED = ("mobium[client,media]", "mobium-server", "mobium-client[desktop]")
TOOLS = ("mobium[dev,wheels]", "mobium-client[package]")

#: Allowed for what is not passed on.
TOOLS_ONLY = frozenset({"MPL-2.0"})

#: Allowed although deny.toml does not list their licence.
EXCEPTIONS = {
    "bidict": "MPL-2.0: passed on as it is, and its source is what it is",
    "python-bidi": "LGPL-3.0-or-later: a Python package of its own beside ours, which anybody can replace",
    "pyinstaller": "GPL-2.0-or-later with an exception for what it packs",
}

#: Licences of distributions whose metadata have none.
READ = {"sqlcipher3": "Zlib", "vodozemac": "MIT"}

#: What the classifiers mean. Where one does not tell the variant, all variants are allowed, or none is.
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

#: An expression, and not a sentence or a whole text, which the field `License` may hold as well.
_EXPRESSION = re.compile(r"[(\w.+-]+( (AND|OR|WITH) [()\w.+-]+)*")

_LICENSING = Licensing()


def allowed() -> frozenset[str]:
    """The licences that deny.toml allows."""
    return frozenset(tomllib.loads(RULES.read_text("utf-8"))["licenses"]["allow"])


def fits(expression: str, allowed: Collection[str]) -> bool:
    """Whether an SPDX expression can be satisfied with allowed licences; False for what is no expression."""
    try:
        parsed = _LICENSING.parse(expression.replace("/", " OR "))  # as old manifests of cargo have it
    except ExpressionError:
        return False
    if parsed is None:
        return False
    yes, no = _LICENSING.TRUE, _LICENSING.FALSE
    decided = {one: yes if one.render() in allowed else no for one in _symbols(parsed)}
    return bool(parsed.subs(decided, simplify=True) == yes)


def _symbols(parsed: object) -> Iterator[LicenseSymbol]:
    yield from _LICENSING.license_symbols(parsed, unique=True, decompose=False)


def crates() -> dict[str, str]:
    """Each crate of Cargo.lock that is not ours, and what it says its licence is."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--all-features", "--quiet"]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return {
        f"{package['name']} {package['version']}": package["license"] or ""
        for package in json.loads(done.stdout)["packages"]
        if package["source"] is not None
    }


def distributions(wanted: Iterable[str]) -> dict[str, metadata.Distribution]:
    """What is installed of these requirements and of all that they require in turn, by its plain name."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(one) for one in wanted]
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # of another platform, or of an extra that is not installed
        for line in found[name].requires or []:
            further = Requirement(line)
            if further.marker is None or any(
                further.marker.evaluate({"extra": extra}) for extra in extras or {""}
            ):
                waiting.append(further)
    return found


def licence(distribution: metadata.Distribution) -> str:
    """What a distribution says its licence is, as an expression; "" where it says nothing of use."""
    fields = distribution.metadata
    for said in [*(fields.get_all("License-Expression") or []), *(fields.get_all("License") or [])]:
        if _EXPRESSION.fullmatch(said):
            return str(said)
    classifiers = [line.split(" :: ")[-1] for line in fields.get_all("Classifier") or []]
    known = [CLASSIFIERS[line] for line in classifiers if line in CLASSIFIERS]
    return " AND ".join(known) or READ.get(canonicalize_name(fields["Name"]), "")


def refused() -> list[str]:
    """A sentence for each dependency whose licence is not allowed."""
    rules = allowed()
    sentences = []
    if shutil.which("cargo"):
        sentences += [_no("crate", name, said) for name, said in crates().items() if not fits(said, rules)]
    shipped = distributions(SHIPPED)
    for name, one in {**distributions(TOOLS), **shipped}.items():
        rule = rules if name in shipped else rules | TOOLS_ONLY
        said = licence(one)
        if name not in EXCEPTIONS and not fits(said, rule):
            sentences.append(_no("Python package", name, said))
    return sentences


def _no(kind: str, name: str, said: str) -> str:
    return (
        f"The {kind} {name} is licensed as {said or 'nothing that is said'}, which deny.toml does not allow."
    )


def main() -> int:
    sentences = refused()
    print("\n".join(sentences) or "Every licence is allowed.")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
