"""What makes benches/RESULTS.md keeps what others wrote there, and the benches of TLS, growth and shares run
at all: a few people, real servers, no figure held to a mark.
"""

from pathlib import Path
from typing import Any

import psutil
import pytest

from benches.load import bench_call, bench_ear, bench_growth, bench_shares, bench_tls, bench_voice
from benches.load.harness import cpu
from benches.python import bench_audio, bench_floors, bench_screen
from benches.run import ROOT, page
from mobium.media.capture import Monitor
from mobium.media.pattern import PatternCapture
from mobium.media.screen import PRESETS

TOP: dict[str, Any] = {"id": "B1", "what": "a thing", "ours": 1.0, "unit": "us"}
TLS = {
    "id": "B8",
    "section": "With TLS",
    "about": "Of TLS.",
    "what": "it",
    "ours": 2,
    "peer": 1,
    "ratio": 2.0,
}
GROWTH: dict[str, Any] = {
    "id": "B11", "section": "Growth", "about": "Of growth.", "figures": {"people": "10", "ms": None},
}  # fmt: skip
HAND = "## By hand\n\nWords that somebody wrote.\n\n| a | table |\n|---|---|\n"


def test_a_page_has_the_first_table_and_a_section_for_each_subject() -> None:
    text = page([TOP, TLS, GROWTH], "")
    assert text.index("| B1 |") < text.index("## With TLS\n\nOf TLS. (mobium ") < text.index("## Growth\n")
    assert "| people | ms |\n|---|---:|\n| 10 |  |\n" in text
    assert text.count("| B8 |") == 1
    assert "Every mark was met." in text


def test_what_was_measured_is_replaced_and_what_was_written_stays() -> None:
    old = page([TOP, TLS, GROWTH], "").replace("## Growth", HAND + "\n## Growth")
    new = page([{**TLS, "ours": 7}], old)
    assert new == old.replace("| 2  |", "| 7  |")
    assert "| 7  |" in new
    again = page([{**TOP, "met": False}], new)
    assert "Missed: B1." in again
    assert again.partition("\n## ")[2] == new.partition("\n## ")[2]


def test_writing_the_same_again_changes_nothing() -> None:
    rows = [TOP, TLS, GROWTH]
    once = page(rows, HAND)
    assert HAND in once
    assert page(rows, once) == once


def test_the_page_that_stands_is_one_that_can_be_written_again() -> None:
    text = (ROOT / "benches" / "RESULTS.md").read_text("utf-8")
    assert page([], text) == text


def test_the_page_that_stands_has_a_place_for_each_section() -> None:
    text = (ROOT / "benches" / "RESULTS.md").read_text("utf-8")
    for bench in (
        bench_tls,
        bench_shares,
        bench_growth,
        bench_voice,
        bench_audio,
        bench_screen,
        bench_floors,
    ):
        assert text.count(f"\n## {bench.SECTION}\n") == 1


def test_the_parts_of_the_server_are_files_that_are_there() -> None:
    ours = [name for name in bench_shares.PARTS if name.startswith("mobium")]
    missing = [
        name for name in ours if not any((ROOT / top / name).exists() for top in ("python", "server_app"))
    ]
    assert len(ours) > 5
    assert missing == []


def test_cpu_time_of_a_process_is_finer_than_a_tick() -> None:
    process = psutil.Process()
    began = before = cpu(process)
    while cpu(process) == before:
        pass
    assert 0 < cpu(process) - began < 0.01


def test_the_growth_is_measured_with_and_without_tls(tmp_path: Path) -> None:
    rows = bench_growth.measure(tmp_path, (4,), 0.2)
    figures: list[dict[str, Any]] = [row["figures"] for row in rows]
    assert [(one["people"], one["TLS"]) for one in figures] == [("4", "off"), ("4", "on")]
    for one in figures:
        assert one["a connection, KiB"] is None
        measured = {name: value for name, value in one.items() if isinstance(value, float)}
        assert len(measured) == 6
        assert all(value > 0 for value in measured.values()), measured
        assert one["a DM, p50 ms"] <= one["a DM, p99 ms"]


def test_the_load_is_carried_with_and_without_tls(tmp_path: Path) -> None:
    rows = bench_tls.measure(tmp_path, bench_tls.Size(rounds=1, each=2, offline=100, queued=5), "pure")
    assert [row["id"] for row in rows] == ["B8", "B8", "B10", "B10", "B12"]
    assert all(row["ours"] > 0 and row["peer"] > 0 for row in rows)


def test_voice_is_carried_with_and_without_tls(tmp_path: Path) -> None:
    rows = bench_voice.measure(tmp_path, bench_voice.Size(rounds=1, frames=10, seconds=0.2))
    assert {row["id"] for row in rows} == {"B9"}
    assert len(rows) == 2 * len(bench_voice.LOADS) + 4
    assert all(row["ours"] > 0 for row in rows)


@pytest.mark.needs("libopus")
@pytest.mark.serial
def test_a_voice_is_followed_from_mouth_to_ear() -> None:
    rows = bench_ear.rows(quick=True)
    assert {row["id"] for row in rows} == {"B14"}
    assert len(rows) == 8
    assert all(row["ours"] > 0 for row in rows if row["unit"] == "ms")


@pytest.mark.serial
@pytest.mark.long
def test_a_call_is_set_up_and_measured_with_a_screen_and_without() -> None:
    rows = bench_call.rows(quick=True)
    assert {row["id"] for row in rows} == {"B20"}
    assert len(rows) == 8
    assert all(row["ours"] > 0 for row in rows)


def test_a_voice_is_measured_in_all_its_parts() -> None:
    figures = [row["figures"] for row in bench_audio.rows(repeats=10)]
    used = {one["what"]: one["us for 20 ms"] for one in figures}
    assert len(used) == len(figures) == 13
    assert all(one > 0 for one in used.values())


def test_a_screen_is_measured_in_all_its_parts() -> None:
    drawn = PatternCapture([Monitor("drawn", *bench_screen.SCREEN, default=True)])
    of = {"360p": bench_screen.measured(PRESETS["360p"], drawn, 33)}
    figures = list(bench_screen.figures(of, "drawn"))
    assert len({one["what"] for one in figures}) == len(figures) == 12
    assert all(one["360p"] > 0 for one in figures)


def test_a_message_is_looked_into_with_and_without_tls(tmp_path: Path) -> None:
    figures = [row["figures"] for row in bench_shares.measure(tmp_path, 60)]
    parts = {one["part"]: one for one in figures}
    assert len(parts) == len(figures)
    for tls in ("us a DM", "with TLS"):
        whole = sum(one[tls] for one in figures)
        assert whole > 1
        assert parts[bench_shares.SYSTEM_CALLS][tls] > 0
        assert parts.get("other", {}).get(tls, 0) < whole / 4
    assert "Selector" in parts[bench_shares.SYSTEM_CALLS]["most of it, with TLS"]
