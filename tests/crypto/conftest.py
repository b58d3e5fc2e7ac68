"""Two identities, their first steps together, and the back ends under a session.

A session steps with the `Ratchet` of the back end in use; here a test chooses one. Where the extension is not
installed only the pure twin is run: `MOBIUM_BACKEND=native` makes its absence an error of the whole run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from mobium.crypto import Identity, Prekeys, Session, session
from tests.crypto.pair import NOW, Pair

RATCHETS: dict[str, Any] = {"pure": import_module("mobium._pure.ratchet").Ratchet}
if find_spec("mobium._native") is not None:
    RATCHETS["native"] = import_module("mobium._native").Ratchet
BACKENDS = sorted(RATCHETS)


@contextmanager
def stepping(backend: str) -> Iterator[None]:
    """Sessions made or loaded inside step with this back end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "Ratchet", RATCHETS[backend])
        yield


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with stepping(request.param):
        yield request.param


@pytest.fixture(scope="session")
def alice() -> Identity:
    return Identity.from_seed(bytes(range(64)))


@pytest.fixture(scope="session")
def bob() -> Identity:
    return Identity.from_seed(bytes(range(64, 128)))


@pytest.fixture(scope="session")
def mallory() -> Identity:
    return Identity.from_seed(bytes(range(128, 192)))


@pytest.fixture
def prekeys(bob: Identity) -> Prekeys:
    return Prekeys.generate(bob, NOW, one_time=2, kem_one_time=2)


@pytest.fixture
def begun(alice: Identity, bob: Identity, prekeys: Prekeys) -> Pair:
    """One message went from alice to bob; no answer yet."""
    payload, a = Session.initiate(alice, prekeys.bundle(), now=NOW).encrypt(b"first")
    _, b, _ = Session.accept(bob, prekeys, payload, now=NOW)
    return Pair(a, b, prekeys)


@pytest.fixture
def answered(begun: Pair) -> Pair:
    payload, pair = begun.b_says(b"answer")
    return pair.to_a(payload)[1]
