"""What people are told to type works: every fenced `sh` block of README and docs runs as it stands, in order,
beside a server of its own; or a line above it says why not.

That line is a comment of Markdown: `not run:` and the reason, `run while the server is stopped`, or `run as a
service`, by two users: whoever looks after the server, and the one as whom it runs (where the tests run as
root).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mobium_server.storage.sqlite import SqliteStorage
from tests.meta.tree import ROOT
from tests.support.server import ServerProcess

DOCUMENTS = sorted(
    file
    for pattern in ("*.md", "docs/*.md", "deploy/**/*.md", "benches/*.md", "examples/**/*.md")
    for file in ROOT.glob(pattern)
)
FENCE = re.compile(r"(?:^<!-- (?P<said>[^\n]*) -->\n)?^```sh\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_FENCE = re.compile(r"^[ \t>]*(?:```|~~~)[ \t]*(?:sh|bash|shell|zsh|console)\b.*$", re.MULTILINE)
NOT_RUN = "not run: "
STOPPED = "run while the server is stopped"
SERVICE = "run as a service"
COMMANDS = {"mobium-server": "mobium_server", "mobium": "mobium_client.cli"}


class Block(NamedTuple):
    """What is to be typed, and what is said above it."""

    said: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether it runs beside a server here. Raises ValueError for a line above it that means nothing."""
        if self.said in ("", STOPPED):
            return True
        if self.said == SERVICE:
            return False  # but by a test of its own, on a machine that has one
        if self.said.startswith(NOT_RUN) and " " in self.said.removeprefix(NOT_RUN):
            return False
        raise ValueError(f"above a block of sh stands {self.said!r}, which means nothing")


def blocks(text: str) -> list[Block]:
    """The blocks of a document. Raises ValueError for one that nobody would run."""
    for fence in ANY_FENCE.findall(text):
        if fence != "```sh":
            raise ValueError(f"a block of shell begins with {fence!r} and not with ```sh")
    return [Block(found["said"] or "", found["text"]) for found in FENCE.finditer(text)]


class Shell:
    """A folder in which a document is followed, with our commands on the PATH and a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "there"
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.folder.mkdir()
        for name, module in COMMANDS.items():
            (self.bin / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
            (self.bin / name).chmod(0o755)
        self.server = ServerProcess(self.folder, {"SC_DATABASE_URL": "sqlite://./data/mobium.db"})

    def follow(self, block: Block) -> None:
        """Type a block."""
        if block.said == STOPPED:
            assert self.server.stop() == 0
        settings = {**self.server.settings, "SC_PORT": str(self.server.port), "PYTHONPATH": str(ROOT)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SC_", "MOBIUM_"))}
        done = subprocess.run(
            ["sh", "-eu", "-c", block.text],
            cwd=self.folder,
            env={**kept, **settings, "PATH": f"{self.bin}:{kept['PATH']}", "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
        if block.said == STOPPED:
            self.server.start()


OPERATOR, SERVER = 12_345, 12_346

# What sudo does, with what a user has who is no root but may become another one. The server's user may read
# all, since the interpreter may lie in root's home; it may not write any more than others.
SUDO = f"""\
#!/bin/sh
as() {{ user=$1; caps=$2; shift 2
    exec setpriv --reuid 0 --regid 0 --clear-groups setpriv --reuid $user --regid $user --clear-groups \\
        --inh-caps=-all,$caps --ambient-caps=-all,$caps "$@"; }}
[ "$1" != -u ] || {{ shift 2; as {SERVER} +dac_read_search "$@"; }}
exec setpriv --reuid 0 --regid 0 --clear-groups "$@"
"""


class Service:
    """The folders of a machine on which the server is a service, in a folder that everybody can reach."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        for name in ("opt/mobium/bin", "etc/mobium", "etc/cron.daily", "var/lib", "bin"):
            (folder / name).mkdir(parents=True)
        self.state, self.home = folder / "var/lib/mobium", folder / "home"
        for own, user in ((self.state, SERVER), (self.home, OPERATOR)):
            own.mkdir(mode=0o700)
            os.chown(own, user, user)
        (folder / "etc/mobium/mobium.env").write_text(
            f"SC_DATABASE_URL=sqlite://{self.state}/mobium.db\nSC_HOST=127.0.0.1\n"
            "SC_REQUIRE_TLS=false # until there is a certificate\n"
        )
        for name, text in (
            ("opt/mobium/bin/mobium-server", f'#!/bin/sh\nexec {sys.executable} -m mobium_server "$@"\n'),
            ("bin/sudo", SUDO),
            ("bin/systemctl", f'#!/bin/sh\necho "$@" >> {folder}/systemctl.log\n'),
        ):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def type(self, text: str) -> subprocess.CompletedProcess[str]:
        """Type lines as whoever looks after the server."""
        for name in ("/opt/mobium", "/etc/mobium", "/etc/cron.daily", "/var/lib/mobium"):
            text = text.replace(name, f"{self.folder}{name}")
        return subprocess.run(
            ["setpriv", f"--reuid={OPERATOR}", f"--regid={OPERATOR}", "--clear-groups"]
            + [f"--{kind}-caps=-all,+setuid,+setgid" for kind in ("inh", "ambient")]
            + ["sh", "-eu", "-c", text],
            cwd=self.home,
            env={"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def service() -> Iterator[Service]:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can be two users")
    with tempfile.TemporaryDirectory() as folder:
        yield Service(Path(folder))


def test_what_is_typed_for_a_service_works_for_two_users(service: Service) -> None:
    found = [
        block for file in DOCUMENTS for block in blocks(file.read_text("utf-8")) if block.said == SERVICE
    ]
    database = service.state / "mobium.db"
    make = SqliteStorage(database, 1_000)
    make.open()
    make.put("signing key", b"k" * 32)
    make.close()
    for file in (database, Path(f"{database}.lock")):
        os.chown(file, SERVER, SERVER)
    for block in found:
        done = service.type(block.text)
        assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
    assert len(list((service.state / "backups").glob("mobium-*.db"))) == 1
    assert len(list(service.state.glob("mobium.db.replaced-*"))) == 1
    assert {one.stat().st_uid for one in service.state.rglob("*")} == {SERVER}
    assert (service.folder / "systemctl.log").read_text().split("\n")[:2] == [
        "stop mobium-server",
        "start mobium-server",
    ]


@pytest.mark.parametrize(
    "text", ["ls /var/lib/mobium", "mkdir /var/lib/mobium/mine", "sudo -u mobium touch /etc/mobium/mine"]
)
def test_the_two_users_are_two(service: Service, text: str) -> None:
    done = service.type(text)
    assert done.returncode != 0
    assert "Permission denied" in done.stderr


def runnable(file: Path) -> list[Block]:
    return [block for block in blocks(file.read_text("utf-8")) if block.runs]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_stands_there_works(file: Path, tmp_path: Path) -> None:
    wanted = runnable(file)
    if wanted:
        shell = Shell(tmp_path)
        with shell.server:
            for block in wanted:
                shell.follow(block)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_is_not_run_is_at_least_shell(file: Path) -> None:
    for block in blocks(file.read_text("utf-8")):
        text = re.sub(r"<[a-z][^<>\n]*>", "word", block.text)  # what the reader puts in
        done = subprocess.run(
            ["sh", "-n"], input=text, capture_output=True, text=True, timeout=20, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), block.text


def test_there_is_something_to_run() -> None:
    assert len(runnable(ROOT / "docs" / "OPERATIONS.md")) >= 4
    assert ROOT / "README.md" in DOCUMENTS


def test_a_block_that_fails_is_found(tmp_path: Path) -> None:
    [block] = blocks("# A\n\n```sh\nmobium-server backup b.db\nmobium-server nonsense\n```\n")
    shell = Shell(tmp_path)
    with shell.server, pytest.raises(AssertionError, match="nonsense"):
        shell.follow(block)


@pytest.mark.parametrize(
    "text",
    [
        "<!-- not run -->\n```sh\nls\n```\n",
        "<!-- not run: no -->\n```sh\nls\n```\n",
        "<!-- soon -->\n```sh\nls\n```\n",
    ],
)
def test_a_reason_must_be_given(text: str) -> None:
    [block] = blocks(text)
    with pytest.raises(ValueError, match="means nothing"):
        assert block.runs


@pytest.mark.parametrize(
    "fence", ["```bash", "```shell", "``` sh", "```console", "  ```sh", "> ```sh", "~~~sh"]
)
def test_other_fences_are_found(fence: str) -> None:
    with pytest.raises(ValueError, match="and not with"):
        blocks(f"text\n\n{fence}\nls\n")
