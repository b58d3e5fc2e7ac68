"""Where profiles lie, and which addresses calls find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engines import fast_folder, fast_vault
from tests.support.links import ice_on_loopback


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory for profiles, which open without the password's costly derivation."""
    fast_vault(monkeypatch)
    with fast_folder() as made:
        yield made


@pytest.fixture
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls find each other on this machine."""
    ice_on_loopback(monkeypatch)
