"""Fixtures that run a test on each back end, and on each pair of them."""

from __future__ import annotations

import pytest

from tests.kernels.kernels import BOTH, SIDES, Entropy, Kernels, Sides


@pytest.fixture(params=BOTH, ids=lambda kernels: kernels.name)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    """One back end."""
    chosen: Kernels = request.param
    return chosen


@pytest.fixture(params=SIDES, ids=lambda sides: f"{sides[0].name}-{sides[1].name}")
def sides(request: pytest.FixtureRequest) -> Sides:
    """The back ends of initiator and responder."""
    chosen: Sides = request.param
    return chosen


@pytest.fixture
def entropy(request: pytest.FixtureRequest, seed: int) -> Entropy:
    """Entropy of the session's seed, other in each test."""
    return Entropy(f"{seed} {request.node.nodeid}")
