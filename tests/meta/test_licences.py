"""What a licence must be is read as deny.toml says it, and whoever depends on something else is told."""

from __future__ import annotations

from email.message import Message
from importlib import metadata
from types import SimpleNamespace
from typing import cast

import pytest

from tools import licences

RULES = licences.allowed()


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ("MIT", True),
        ("MIT/Apache-2.0", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("MIT OR GPL-3.0-only", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-2.0-only WITH LLVM-exception", False),
        ("LGPL-3.0-or-later", False),
        ("MPL-2.0", False),
        ("mit and so on", False),
        ("", False),
    ],
)
def test_an_expression_fits_if_allowed_licences_satisfy_it(expression: str, fits: bool) -> None:
    assert licences.fits(expression, RULES) is fits


def said(**fields: str) -> metadata.Distribution:
    """A distribution that says this of itself."""
    message = Message()
    for name, value in {"Name": "some-thing", **fields}.items():
        message[name.replace("_", "-")] = value
    return cast("metadata.Distribution", SimpleNamespace(metadata=message))


def test_a_distribution_says_it_in_one_of_three_places_or_its_file_was_read() -> None:
    mit = "License :: OSI Approved :: MIT License"
    assert licences.licence(said(License_Expression="MIT", License="BSD")) == "MIT"
    assert licences.licence(said(License="Apache-2.0 OR BSD-3-Clause")) == "Apache-2.0 OR BSD-3-Clause"
    assert licences.licence(said(License="The licence is: do what you like", Classifier=mit)) == "MIT"
    assert licences.licence(said(Name="sqlcipher3")) == "Zlib"
    assert licences.licence(said()) == ""


def test_all_that_is_shipped_is_looked_at_and_what_is_not_allowed_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shipped = licences.distributions(licences.SHIPPED)
    assert {"cryptography", "websockets", "prometheus-client", "typer", "mobium"} <= shipped.keys()
    assert "pytest" not in shipped
    monkeypatch.setattr(licences, "crates", lambda: {"good 1.0.0": "MIT", "bad 2.0.0": "GPL-3.0-only"})
    monkeypatch.setattr("shutil.which", lambda _name: "cargo")
    monkeypatch.setattr(licences, "EXCEPTIONS", {**licences.EXCEPTIONS, "typer": "for this test"})
    monkeypatch.setattr(
        licences, "licence", lambda one: "MPL-2.0" if one.name in {"typer", "pytest", "msgpack"} else "MIT"
    )
    assert licences.refused() == [
        "The crate bad 2.0.0 is licensed as GPL-3.0-only, which deny.toml does not allow.",
        "The Python package msgpack is licensed as MPL-2.0, which deny.toml does not allow.",
    ]
