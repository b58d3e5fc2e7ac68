"""`make demo` plays to its end, and tells when something is not as it should be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mobium_client.plain import harmless
from tests.support.terminal import Terminal
from tools import demo
from tools.demo_cast import Person, Server, Stage, Talk

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "tools.demo"]
PATIENCE = 240


@pytest.mark.once
def test_the_demo_shows_that_everything_arrives() -> None:
    done = subprocess.run(
        DEMO,
        cwd=ROOT,
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
    assert done.stdout.count(" ✓ ") == 8
    unanswered = re.search(r"(\d+) messages were acknowledged, (\d+) were not", done.stdout)
    assert unanswered is not None
    assert int(unanswered[2]) > 0, "the server was killed in the middle of traffic"
    assert "␛[31mto paint" in done.stdout, "what a peer sends is shown, not obeyed"
    channel = done.stdout.partition("A channel:")[2].partition("Bert's machine")[0]
    assert f"cora │ is in #{demo.CHANNEL}, as one of 3" in channel
    assert channel.count(demo.IN_CHANNEL[0][1]) == 3, "written by one, seen by two"
    assert channel.count(demo.AFTER_REMOVAL[0][1]) == 2, "written by one, seen by one"
    assert "wants to answer: You were removed from this channel." in channel


@pytest.mark.once
def test_the_demo_keeps_to_the_screen() -> None:
    with Terminal(DEMO, dict(os.environ), columns=80, rows=200) as terminal:
        assert terminal.wait(PATIENCE) == 0
    rows = [row for row in terminal.everything if row]
    assert rows[-1].startswith("Everything arrived")
    speakers = (
        "   anna │",
        "   bert │",
        "   cora │",
        " server │",
        "        │",
        "         ",
        " server  ",
        " ✓ ",
        " ",
    )
    assert all(row.startswith(speakers) for row in rows[1:-1])


class _Server(Server):
    """A server that has ended, with these files."""

    def __init__(self, folder: Path, files: dict[str, bytes]) -> None:
        self.folder = folder
        self._kept = files

    def rows(self) -> list[tuple[bytes, bytes, bytes]]:
        return []

    def files(self) -> dict[str, bytes]:
        return self._kept


def _people(stage: Stage, folder: Path) -> tuple[list[Person], Person]:
    names = ("anna", "bert", "cora", "bert")
    anna, bert, cora, again = (Person(name, folder, stage, key="00") for name in names)
    anna.wrote = ["the first message", "the second message", "after the recovery"]
    bert.shown, again.shown = anna.wrote[:2], anna.wrote[2:]
    bert.wrote = anna.shown = ["an answer of bert"]
    anna.words, bert.words = "words of anna", "words of bert"
    return [anna, bert, cora], again


def _talk() -> Talk:
    talk = Talk(before=["good morning all"], after=["now without bert"], refused=True)
    both = talk.before + talk.after
    talk.seen = {"anna": both, "cora": list(both), "bert": list(talk.before)}
    return talk


def _verdict(
    folder: Path, data: bytes = b"", code: int = 0, talk: Talk | None = None, **shown: list[str]
) -> bool:
    stage = Stage()
    people, again = _people(stage, folder)
    for person in people[:2]:
        person.shown = shown.get(person.name, person.shown)
    server = _Server(folder, {"server.db": data})
    return demo.summary(stage, server, people, again, talk or _talk(), code)


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


def test_the_summary_notices_a_channel_that_went_wrong(tmp_path: Path) -> None:
    for name, seen in (
        ("bert", ["good morning all", "now without bert"]),
        ("bert", []),
        ("cora", ["now without bert", "good morning all"]),
        ("anna", ["good morning all"]),
    ):
        talk = _talk()
        talk.seen[name] = seen
        assert not _verdict(tmp_path, talk=talk), (name, seen)
    assert not _verdict(tmp_path, talk=replace(_talk(), refused=False))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_the_summary_notices_plaintext_at_the_server(tmp_path: Path, encoding: str) -> None:
    assert not _verdict(tmp_path, b"\x00" * 100 + "the second message".encode(encoding) + b"\x01")
    assert not _verdict(tmp_path, "words of bert".encode(encoding))
    for text in (demo.CHANNEL, demo.TOPIC, "good morning all", "now without bert"):
        assert not _verdict(tmp_path, text.encode(encoding))


def test_the_summary_notices_a_server_that_broke(tmp_path: Path) -> None:
    assert not _verdict(tmp_path, code=1)
