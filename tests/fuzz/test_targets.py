"""Each fuzz target takes its seeds, and each has some."""

from __future__ import annotations

import pytest

from tests.fuzz.targets import HERE, SHARED, TARGETS, seeds


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_its_seeds(name: str) -> None:
    found = seeds(name)
    assert found
    for data in (b"", *found):
        assert len(data) <= 4_096
        TARGETS[name](data)
        TARGETS[name](data[: len(data) // 2])


def test_each_folder_of_seeds_belongs_to_a_target() -> None:
    assert {folder.name for folder in (HERE / "seeds").iterdir()} | SHARED.keys() == TARGETS.keys()
