"""Runs every bench and writes benches/RESULTS.md: what was measured, against whom, and which marks were
missed.

A bench is a module in benches/python or benches/load with `rows(quick) -> list[dict]`; each runs in a
process of its own, so that none warms another's caches. `--quick` finishes in three minutes and writes
nothing; `--only B8` runs the benches that have that row, and with `--write` replaces the sections that they
make. Rows that name no section are the first table, which only a full run replaces. What RESULTS.md has under
a heading that no bench makes was written by hand, and stays. Each table has its picture in benches/plots.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))
from benches import plots  # noqa: E402

RESULTS = HERE / "RESULTS.md"
PEERS = ("cryptography", "vodozemac", "DoubleRatchet", "websockets")
TIME_LIMIT = 1_800  # seconds for one bench; the longest, 2,000 connections, takes two minutes

Row = dict[str, Any]


def benches() -> list[Path]:
    """The bench modules, kernels first."""
    return [*sorted((HERE / "python").glob("bench_*.py")), *sorted((HERE / "load").glob("bench_*.py"))]


def run_one(path: Path, quick: bool) -> list[Row]:
    """The rows of one bench, measured in a fresh process."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    code = f"import json, sys; from {module} import rows; json.dump(rows({quick}), open(sys.argv[1], 'w'))"
    out = ROOT / "build" / f"{path.stem}.json"
    out.parent.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT, check=True, timeout=TIME_LIMIT)
    rows: list[Row] = json.loads(out.read_text())
    return rows


def number(value: Any) -> str:
    """A figure with three significant digits."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| # | what | ours | against | theirs | ratio | mark | |",
        "|---|---|---:|---|---:|---:|---|---|",
    ]
    for row in rows:
        met = {True: "met", False: "**missed**", None: ""}[row.get("met")]
        unit = row.get("unit", "")
        peer = "" if row.get("peer") is None else f"{number(row['peer'])} {unit}"
        ours, name, mark = f"{number(row['ours'])} {unit}", row.get("peer_name") or "", row.get("mark") or ""
        cells = (row["id"], row["what"], ours, name, peer, number(row.get("ratio")), mark, met)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def processor() -> str:
    """The processor's own name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found.group(1) if found else platform.processor() or platform.machine()


def machine() -> str:
    """What the figures were measured on."""
    versions = []
    for name in PEERS:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} absent")
    return (
        f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"CPython {platform.python_version()}; {', '.join(versions)}."
    )


def wide(rows: list[Row]) -> str:
    """Rows of named figures as a Markdown table with a column for each."""
    names = list(rows[0]["figures"])
    texts = [name for name in names if isinstance(rows[0]["figures"][name], str)]
    lines = [
        f"| {' | '.join(names)} |",
        f"|{'|'.join('---' if name in texts else '---:' for name in names)}|",
    ]
    lines += [f"| {' | '.join(number(row['figures'][name]) for name in names)} |" for row in rows]
    return "\n".join(lines)


def when() -> str:
    """What was measured, when and where."""
    from mobium import __version__

    return f"mobium {__version__}, {dt.datetime.now(dt.UTC):%Y-%m-%d}"


def first(rows: list[Row]) -> str:
    """RESULTS.md up to its first section."""
    missed = [row["id"] for row in rows if row.get("met") is False]
    return "\n".join(
        (
            "# What was measured",
            "",
            f"{when()}, by `make bench`. {machine()}",
            "",
            "Each row ran both sides in one run; the ratio is what carries over to another machine.",
            "",
            table(rows),
            "",
            plots.link("What was measured"),
            "",
            f"Missed: {', '.join(dict.fromkeys(missed))}." if missed else "Every mark was met.",
            "",
        )
    )


def section(title: str, rows: list[Row]) -> str:
    """One section of RESULTS.md."""
    shown = wide(rows) if "figures" in rows[0] else table(rows)
    about = f"{rows[0]['about']} ({when()})"
    return "\n".join((f"## {title}", "", about, "", shown, "", plots.link(title), ""))


def page(rows: list[Row], old: str) -> str:
    """RESULTS.md anew: what was measured replaces what `old` has of it, all else stays, and a new section
    comes after the last.
    """
    parts = re.split(r"^(?=## )", old, flags=re.MULTILINE)
    kept = {part.partition("\n")[0].removeprefix("## "): part for part in parts[1:]}
    top = [row for row in rows if "section" not in row]
    made = {row["section"]: row for row in rows if "section" in row}
    for title in made:
        kept[title] = section(title, [row for row in rows if row.get("section") == title])
    return "\n".join(part.rstrip("\n") + "\n" for part in (first(top) if top else parts[0], *kept.values()))


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions; writes nothing")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a row's id, or a part of a file's name"
    )
    parser.add_argument(
        "--write", action="store_true", help="with --only: replace the sections that were measured"
    )
    options = parser.parse_args()
    rows: list[Row] = []
    for path in benches():
        text = path.read_text(encoding="utf-8")
        if options.only and not any(name in path.stem or f'"{name}' in text for name in options.only):
            continue
        print(f"{path.relative_to(ROOT)} ...", flush=True)
        rows += run_one(path, options.quick)
    if not rows:
        print("No bench has such a row.", file=sys.stderr)
        return 1
    rows.sort(key=lambda row: (int(re.sub(r"\D", "", row["id"]) or 0), row["id"]))
    print(page(rows, ""))
    if not options.quick and (options.write or not options.only):
        old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
        measured = [row for row in rows if "section" in row] if options.only else rows
        RESULTS.write_text(page(measured, old), encoding="utf-8")
        plots.write(RESULTS.read_text(encoding="utf-8"))
        print(f"written to {RESULTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
