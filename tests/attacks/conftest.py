"""What the rows share: the kernels of both back ends under the facade.

Not its concern: the hostile server (tests/support/hostile.py) and those who talk over it
(tests/attacks/people.py).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from mobium._pure import sender_key
from mobium._pure.ratchet import Ratchet
from tests.support.engines import fast_folder, fast_vault
from tests.support.needs import require_extension


@pytest.fixture(params=["pure", "native"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Ratchet]:
    """The ratchet of each back end in turn, which sessions and sender keys made in the test use too."""
    if request.param == "native":
        require_extension()
        native = importlib.import_module("mobium._native")
        return _use(monkeypatch, native.Ratchet, native)
    return _use(monkeypatch, Ratchet, sender_key)


@pytest.fixture
def pure_kernel(monkeypatch: pytest.MonkeyPatch) -> type[Ratchet]:
    """The pure kernels in use everywhere: their defences can be switched off."""
    return _use(monkeypatch, Ratchet, sender_key)


def _use(monkeypatch: pytest.MonkeyPatch, ratchet: type[Ratchet], chains: ModuleType) -> type[Ratchet]:
    for facade in ("mobium.crypto.session", "mobium.crypto.ratchet"):
        monkeypatch.setattr(f"{facade}.Ratchet", ratchet)
    for name in ("SenderChain", "ReceiverChain", "read_head"):
        monkeypatch.setattr(f"mobium.crypto.group.{name}", getattr(chains, name))
    return ratchet


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory for profiles, which open without the password's costly derivation."""
    fast_vault(monkeypatch)
    with fast_folder() as made:
        yield made
