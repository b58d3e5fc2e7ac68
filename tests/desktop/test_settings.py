"""Settings survive everything that may stand in their file."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from mobium_client.gui.settings import Settings, load, save, settings_file
from tests.support.seat import Seat


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "desktop.json"
    settings = Settings(appearance="light", text_scale=150, microphone="USB", idle_minutes=0)
    save(file, settings)
    assert load(file) == settings
    assert [path.name for path in file.parent.iterdir()] == ["desktop.json"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"text_scale": 7}', '{"text_scale": true}', '{"appearance": ["dark"]}', '{"width": -1}',
     '{"idle_minutes": 1e9}', '{"microphone": 7}', '{"unknown": 1}', "\x00", "[" * 60_000],
)  # fmt: skip
def test_nonsense_is_the_default(tmp_path: Path, text: str) -> None:
    file = tmp_path / "desktop.json"
    file.write_text(text)
    assert load(file) == Settings()


def test_what_makes_sense_is_kept_beside_what_does_not(tmp_path: Path) -> None:
    file = tmp_path / "desktop.json"
    file.write_text(json.dumps({"appearance": "dark", "text_scale": "huge"}))
    assert load(file) == Settings(appearance="dark")


def test_a_disk_that_refuses_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    save(tmp_path / "file" / "desktop.json", Settings())


def test_a_full_disk_leaves_what_was_there_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "desktop.json"
    save(file, Settings(appearance="dark"))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    save(file, Settings(appearance="light"))
    assert load(file) == Settings(appearance="dark")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_no_file_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for scale in (90, 100, 125):
        save(tmp_path / "desktop.json", Settings(text_scale=scale))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_they_lie_beside_the_profiles_where_somebody_chose_a_folder(tmp_path: Path) -> None:
    assert settings_file({"MOBIUM_DATA_DIR": str(tmp_path)}) == tmp_path / "desktop.json"
    assert settings_file({}).name == "desktop.json"


def test_the_last_of_many_changes_is_on_the_disk(folder: Path) -> None:
    with Seat(folder) as seat:
        for minutes in range(20):
            seat.context.preferences.change(idle_minutes=minutes)
        seat.until(lambda: load(folder / "desktop.json").idle_minutes == 19)
