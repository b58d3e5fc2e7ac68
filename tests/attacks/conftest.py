"""What the rows share: the kernels of both back ends under the facade.

Not its concern: the hostile server (tests/support/hostile.py) and those who talk over it
(tests/attacks/people.py).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mobium._pure.ratchet import Ratchet
from tests.support.engines import fast_folder, fast_vault
from tests.support.needs import require_extension


@pytest.fixture(params=["pure", "native"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Ratchet]:
    """The ratchet of each back end in turn, which sessions made in the test use too."""
    if request.param == "native":
        require_extension()
    name = "mobium._pure.ratchet" if request.param == "pure" else "mobium._native"
    ratchet: type[Ratchet] = importlib.import_module(name).Ratchet
    for facade in ("mobium.crypto.session", "mobium.crypto.ratchet"):
        monkeypatch.setattr(f"{facade}.Ratchet", ratchet)
    return ratchet


@pytest.fixture
def pure_kernel(monkeypatch: pytest.MonkeyPatch) -> type[Ratchet]:
    """The pure ratchet in use everywhere: its defences can be switched off."""
    for facade in ("mobium.crypto.session", "mobium.crypto.ratchet"):
        monkeypatch.setattr(f"{facade}.Ratchet", Ratchet)
    return Ratchet


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory for profiles, which open without the password's costly derivation."""
    fast_vault(monkeypatch)
    with fast_folder() as made:
        yield made
