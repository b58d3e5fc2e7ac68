"""The frozen vectors of the kernels, made again by each back end; cargo test follows them by itself."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.kernels.kernels import Kernels
from tests.vectors import kernels_make


@pytest.mark.parametrize("name", list(kernels_make.FILES))
def test_each_back_end_makes_the_frozen_file(kernels: Kernels, name: str) -> None:
    frozen = (kernels_make.HERE / name).read_text()
    assert kernels_make.text_of(kernels_make.FILES[name](kernels)) == frozen


def test_the_vectors_show_every_outcome() -> None:
    made = json.loads((kernels_make.HERE / "ratchet.json").read_text())
    steps = [step for story in made["conversations"] for step in story["steps"]]
    outcomes = Counter(step.get("error", "opens") for step in steps if step["do"] == "decrypt")
    assert set(outcomes) == {"opens", "Duplicate", "TooFar", "Invalid"}
    assert min(outcomes.values()) >= 4
    made = json.loads((kernels_make.HERE / "padding.json").read_text())
    assert len(made["pad"]) == 3 + 2 * 14 - 1
    assert len(made["unpad_refuses"]) == 8
