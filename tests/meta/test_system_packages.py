"""The mechanism that installs system packages, on a PATH of stand-ins: no test installs anything."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.tree import ROOT

SCRIPT = ROOT / "tools" / "system_packages.sh"


class Machine:
    """A PATH with a package manager that only writes down what it is told, and puts a `make` there."""

    def __init__(self, folder: Path, manager: str = "apt-get") -> None:
        self.folder = folder
        self.calls = folder / "calls"
        self.policy = folder / "policy-rc.d"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in ("sh", "env", "tee", "chmod", "rm", "tr", "cat", "dirname", "ls"):
            (self.bin / tool).symlink_to(self.where(tool))
        self.put("id", "echo 0")
        # what is installed from here on is there: `make` comes with the package
        brings = f'printf "#!/bin/sh\\n" > {self.bin}/make; chmod 755 {self.bin}/make'
        seen = f"echo {manager} $* policy=$(cat {self.policy} 2>/dev/null | tr '\\n' ' ') >> {self.calls}"
        self.put(manager, f'{seen}\ncase "$*" in *install*|-S*) {brings} ;; esac')

    @staticmethod
    def where(tool: str) -> str:
        return subprocess.run(
            ["sh", "-c", f"command -v {tool}"], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    def put(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def environment(self) -> dict[str, str]:
        return {"PATH": str(self.bin), "MOBIUM_POLICY_RC_D": str(self.policy)}

    def run(self, *wants: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(SCRIPT), *wants],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def run_at_a_terminal(self, answer: str, *wants: str) -> tuple[int, str]:
        """Runs the script as if somebody sat there who types `answer`; exit code and screen."""
        terminal, seat = pty.openpty()
        command = ["/bin/sh", str(SCRIPT), *wants]
        process = subprocess.Popen(command, env=self.environment(), stdin=seat, stdout=seat, stderr=seat)
        os.close(seat)
        os.write(terminal, f"{answer}\n".encode())
        screen = b""
        while True:
            try:
                block = os.read(terminal, 4096)
            except OSError:  # Linux says so when the other end is closed
                break
            if not block:
                break
            screen += block
        os.close(terminal)
        return process.wait(60), screen.decode()

    def called(self) -> str:
        return self.calls.read_text() if self.calls.exists() else ""


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.put("make", "")
    assert machine.run("make").returncode == 0
    assert machine.called() == ""


def test_without_a_terminal_it_installs_and_starts_no_service(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    done = machine.run("make")
    assert done.returncode == 0, done.stderr
    update, install = machine.called().splitlines()
    assert update.startswith("apt-get update")
    assert install.startswith("apt-get install -y --no-install-recommends make")
    assert "exit 101" in install, "while it installs, policy-rc.d forbids the start of services"
    assert not machine.policy.exists(), "and afterwards it is gone"


def test_a_policy_of_the_machine_itself_stays(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.policy.write_text("theirs")
    assert machine.run("make").returncode == 0
    assert machine.policy.read_text() == "theirs"


def test_the_policy_goes_when_the_installation_fails(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.put("apt-get", f"ls {machine.policy} >> {machine.calls} 2>/dev/null; exit 100")
    done = machine.run("make")
    assert done.returncode == 1
    assert "Still missing: make." in done.stderr
    assert machine.called().strip() == str(machine.policy)
    assert not machine.policy.exists()


def test_a_package_that_nobody_has_keeps_no_other_away(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    usual = (machine.bin / "apt-get").read_text().removeprefix("#!/bin/sh\n")
    machine.put("apt-get", f'case "$*" in *unheard-of*) exit 100 ;; esac\n{usual}')
    done = machine.run("unheard-of", "make")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("Still missing: unheard-of.")
    assert (machine.bin / "make").exists()
    assert not machine.policy.exists()


@pytest.mark.parametrize(("manager", "told"), [("dnf", "install -y"), ("pacman", "-S"), ("brew", "install")])
def test_the_other_package_managers(tmp_path: Path, manager: str, told: str) -> None:
    machine = Machine(tmp_path, manager)
    assert machine.run("make").returncode == 0
    assert machine.called().startswith(f"{manager} {told}")
    assert " make " in machine.called()


def test_without_any_package_manager_it_says_what_is_missing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (machine.bin / "apt-get").unlink()
    done = machine.run("make", "git")
    assert done.returncode == 1
    assert "Missing: make git." in done.stderr


@pytest.mark.parametrize(("answer", "installed"), [("y", True), ("", True), ("n", False), ("what?", False)])
def test_at_a_terminal_it_asks(tmp_path: Path, answer: str, installed: bool) -> None:
    machine = Machine(tmp_path)
    code, screen = machine.run_at_a_terminal(answer, "make")
    assert "Missing: make. Install it with apt-get? [Y/n]" in screen
    assert code == (0 if installed else 1)
    assert ("install" in machine.called()) == installed


def test_everybody_who_needs_a_command_has_it_in_the_list() -> None:
    listed = re.search(r'^TESTS="([^"]*)"$', SCRIPT.read_text("utf-8"), re.MULTILINE)
    assert listed is not None
    needed = {
        name
        for file in (ROOT / "tests").rglob("*.py")
        for call in re.findall(r"\bmark\.needs\(([^)]*)\)", file.read_text("utf-8"))
        for name in re.findall(r'"([\w-]+)"', call)
    }
    # cargo is no package: distributions have one that is too old, and people have theirs from elsewhere
    assert needed - {"cargo"} == set(listed[1].split())


NOBODY_HAS = "a-command-that-nobody-has"
SAMPLE = f"""
import pytest

@pytest.mark.needs("{NOBODY_HAS}")
def test_sample() -> None:
    raise AssertionError("never run")

def test_other() -> None:
    pass
"""


@pytest.mark.parametrize("ci", [False, True])
def test_a_test_whose_command_is_missing_is_named_and_fails_in_ci(tmp_path: Path, ci: bool) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    tally = tmp_path / "tally.json"
    environment = {**os.environ, "MOBIUM_TEST_TALLY": str(tally), "CI": "true" if ci else ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == (1 if ci else 0), done.stdout + done.stderr
    assert "test_sample.py::test_sample" in done.stdout
    assert NOBODY_HAS in done.stdout
    assert f'"passed": 1, "failed": {int(ci)}' in tally.read_text()
    assert ("test_sample.py::test_sample" in tally.read_text()) == (not ci)
