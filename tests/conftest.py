"""What holds for every test session: the back end in use, the seed, the long tests, the system's commands.

Not its concern: fixtures of one subject, which stand beside their tests or in tests/support.
"""

import gc
import json
import os
import random
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from mobium import _backend
from tests.support.needs import COMMANDS, require_commands

settings.register_profile(
    "default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", settings.get_profile("default"), max_examples=2000)
settings.register_profile("few", settings.get_profile("default"), max_examples=20)  # tools/cover.py
settings.register_profile(  # tools/mutants.py asks whether a test fails, not of what least input
    "mutants", settings.get_profile("few"), phases=(Phase.explicit, Phase.generate), database=None
)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked `long` as well")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    asked = os.environ.get("MOBIUM_BACKEND", "auto")
    if asked in ("native", "pure") and asked != _backend.NAME:
        pytest.exit(f"MOBIUM_BACKEND asks for {asked}, but mobium runs on {_backend.NAME}.", returncode=3)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what runs in the background so, and every program under test would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # The workers of xdist inherit the environment, so that all of them draw from the one seed printed above.
    seed = os.environ.setdefault("MOBIUM_TEST_SEED", str(random.SystemRandom().randrange(2**32)))
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = seed


def pytest_report_header() -> str:
    return (
        f"mobium back end: {_backend.NAME} (kernel version {_backend.KERNEL_VERSION}), "
        f"MOBIUM_TEST_SEED={os.environ['MOBIUM_TEST_SEED']}"
    )


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("serial"):
            # One at a time in each group. Windows mostly wait, so they run beside sound and load.
            item.add_marker(pytest.mark.xdist_group("windows" if "desktop" in item.path.parts else "alone"))
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


def pytest_collection_finish() -> None:
    # Every engine collects garbage when it is locked, and what was imported until now is none: looking at all
    # of it took a third of the time of tests that open many engines.
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        require_commands(*mark.args)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    stats = terminalreporter.stats
    missing = [
        f"{report.nodeid}: {report.longrepr[2].removeprefix('Skipped: ')}"
        for report in stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and COMMANDS in report.longrepr[2]
    ]
    if missing:
        terminalreporter.section("not run: commands of the system are missing")
        for line in missing:
            terminalreporter.write_line(line)
    if tally := os.environ.get("MOBIUM_TEST_TALLY"):
        counts = {
            "passed": len(stats.get("passed", [])) + len(stats.get("xfailed", [])),
            "failed": len(stats.get("failed", [])) + len(stats.get("error", [])),
            "skipped": len(stats.get("skipped", [])),
            "missing": missing,
        }
        Path(tally).write_text(json.dumps(counts), "utf-8")


@pytest.fixture
def seed() -> int:
    """The session's seed: MOBIUM_TEST_SEED, or one drawn at the start; printed in the header."""
    return int(os.environ["MOBIUM_TEST_SEED"])
