"""`make demo` plays to its end, and tells when something is not as it should be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mobium_client.plain import harmless
from tests.support.terminal import Terminal
from tools import demo

DEMO = Path(demo.__file__)
PATIENCE = 240


@pytest.mark.serial
def test_the_demo_shows_that_everything_arrives() -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert harmless(done.stdout) == done.stdout, "on a pipe it is plain text"
    assert "Everything arrived once and in order" in done.stdout
    assert done.stdout.count(" ✓ ") == 6
    unanswered = re.search(r"(\d+) messages were acknowledged, (\d+) were not", done.stdout)
    assert unanswered is not None
    assert int(unanswered[2]) > 0, "the server was killed in the middle of traffic"
    assert "␛[31mto paint" in done.stdout, "what a peer sends is shown, not obeyed"


@pytest.mark.serial
def test_the_demo_keeps_to_the_screen() -> None:
    with Terminal([sys.executable, str(DEMO)], dict(os.environ), columns=80, rows=200) as terminal:
        assert terminal.wait(PATIENCE) == 0
    rows = [row for row in terminal.everything if row]
    assert rows[-1].startswith("Everything arrived")
    speakers = ("   anna │", "   bert │", " server │", "        │", "         ", " server  ", " ✓ ", " ")
    assert all(row.startswith(speakers) for row in rows[1:-1])


class _Server(demo.Server):
    """A server that has ended, with these files."""

    def __init__(self, folder: Path, files: dict[str, bytes]) -> None:
        self.folder = folder
        self._kept = files

    def rows(self) -> list[tuple[bytes, bytes, bytes]]:
        return []

    def files(self) -> dict[str, bytes]:
        return self._kept


def _people(stage: demo.Stage, folder: Path) -> tuple[demo.Person, demo.Person, demo.Person]:
    anna, bert, again = (demo.Person(name, folder, stage, key="00") for name in ("anna", "bert", "bert"))
    anna.wrote = ["the first message", "the second message", "after the recovery"]
    bert.shown, again.shown = anna.wrote[:2], anna.wrote[2:]
    bert.wrote = anna.shown = ["an answer of bert"]
    anna.words, bert.words = "words of anna", "words of bert"
    return anna, bert, again


def _verdict(folder: Path, data: bytes = b"", code: int = 0, **shown: list[str]) -> bool:
    stage = demo.Stage()
    anna, bert, again = _people(stage, folder)
    anna.shown = shown.get("anna", anna.shown)
    bert.shown = shown.get("bert", bert.shown)
    return demo.summary(stage, _Server(folder, {"server.db": data}), anna, bert, again, code)


def test_the_summary_believes_what_is_right(tmp_path: Path) -> None:
    assert _verdict(tmp_path)


@pytest.mark.parametrize(
    "bert",
    [
        ["the first message"],
        ["the second message", "the first message"],
        ["the first message", "the first message", "the second message"],
    ],
    ids=["lost", "out of order", "twice"],
)
def test_the_summary_notices_what_went_wrong(tmp_path: Path, bert: list[str]) -> None:
    assert not _verdict(tmp_path, bert=bert)
    assert not _verdict(tmp_path, anna=[])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_the_summary_notices_plaintext_at_the_server(tmp_path: Path, encoding: str) -> None:
    assert not _verdict(tmp_path, b"\x00" * 100 + "the second message".encode(encoding) + b"\x01")
    assert not _verdict(tmp_path, "words of bert".encode(encoding))


def test_the_summary_notices_a_server_that_broke(tmp_path: Path) -> None:
    assert not _verdict(tmp_path, code=1)
