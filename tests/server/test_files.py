"""File descriptors: the soft limit is raised as far as needed and allowed."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import logging, resource, sys
from mobium_server.files import raise_file_limit
logging.basicConfig(format="%(message)s", stream=sys.stdout)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, int(sys.argv[1])))
raise_file_limit(int(sys.argv[2]))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
@pytest.mark.parametrize(
    ("hard", "connections", "said", "soft"),
    [(3_000, 20, False, "100"), (3_000, 500, False, "564"), (300, 500, True, "300"), (700, 0, False, "700")],
)
def test_the_soft_limit(hard: int, connections: int, said: bool, soft: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(hard), str(connections)],
        capture_output=True,
        text=True,
        check=True,
    )
    *warnings, last = ended.stdout.splitlines()
    assert last == soft
    assert [f"SC_MAX_CONNECTIONS={connections} needs" in line for line in warnings] == [True] * said
