"""`mobium-server install`: systemd takes the unit and finds it hardened; the steps name the same places."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mobium_server.care import unit as module
from mobium_server.care.unit import SETTINGS, STATE, USER, command_line, steps, unit
from tests.support.operator import operate

COMMAND = ["/opt/mobium/bin/mobium-server"]
MOST_EXPOSED = 20  # of 100, as `systemd-analyze security` counts; a service that says nothing has 96


def value(text: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def test_it_prints_the_unit_and_the_steps(tmp_path: Path) -> None:
    said = operate("install", database=tmp_path / "m.db")
    assert (said.code, said.err) == (0, "")
    assert unit(command_line()) in said.out
    assert steps(command_line()) in said.out
    assert not list(tmp_path.iterdir())


def test_the_unit_starts_this_installation_as_nobody_important() -> None:
    text = unit(COMMAND)
    # The settings are read by the server, not by systemd, to which `8443 # web` is no number.
    assert value(text, "ExecStart") == [f"{COMMAND[0]} --env-file {SETTINGS}"]
    assert "Environment" not in text
    assert value(text, "User") == value(text, "Group") == [USER]
    assert value(text, "CapabilityBoundingSet") == [""]
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "MemoryDenyWriteExecute"):
        assert value(text, name) == ["yes"]
    assert value(text, "ProtectSystem") == ["strict"]
    assert f"/var/lib/{value(text, 'StateDirectory')[0]}" == STATE == value(text, "WorkingDirectory")[0]
    # asyncio wakes itself up over a pair of local sockets
    assert "AF_UNIX" in value(text, "RestrictAddressFamilies")[0]
    # Started is what serves, so that nobody tells it to reload before; and an upgrade may take long.
    assert value(text, "Type") == ["notify"]
    assert value(text, "TimeoutStartSec") == ["infinity"]
    assert value(text, "RestartPreventExitStatus") == ["2"], "the exit code for settings that are wrong"


def test_the_steps_name_what_the_unit_names() -> None:
    text = steps(COMMAND, "/usr")
    for name in (USER, SETTINGS, STATE, COMMAND[0], f"SC_DATABASE_URL=sqlite://{STATE}/mobium.db"):
        assert name in text
    assert "cannot see" not in text
    home = "/" + "root"
    assert f"Its Python lies under {home}" in steps(COMMAND, f"{home}/.pyenv/versions/3.11.7")
    assert "This installation lies under /home" in steps(["/home/" + "anna/mobium/.venv/bin/mobium-server"])
    done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_starts_the_server(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    assert command_line(str(python)) == [str(python), "-m", "mobium_server"]
    (python.parent / "mobium-server").touch()
    assert command_line(str(python)) == [str(python.parent / "mobium-server")]
    odd = unit(["/opt/50% $off/bin/mobium-server"])
    assert value(odd, "ExecStart") == [f'"/opt/50%% $$off/bin/mobium-server" --env-file {SETTINGS}']


def test_it_writes_the_unit_and_overwrites_no_other(tmp_path: Path) -> None:
    target = tmp_path / module.NAME
    for _ in range(2):  # the same unit is no other one
        said = operate("install", "--write", tmp_path, database=tmp_path / "m.db")
        assert (said.code, said.err) == (0, "")
        assert str(target) in said.out
        assert target.read_text() == unit(command_line())
    target.write_text("mine")
    said = operate("install", "--write", tmp_path, database=tmp_path / "m.db")
    assert (said.code, said.sentence) == (
        2,
        f"{target} is there already and says something else; remove it first, or keep it.",
    )
    assert target.read_text() == "mine"
    said = operate("install", "--write", tmp_path / "none", database=tmp_path / "m.db")
    assert said.sentence == f"{tmp_path / 'none' / module.NAME} cannot be written: No such file or directory."


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    text = unit([sys.executable])  # the command must be there
    file = tmp_path / module.NAME
    file.write_text(text)

    def analyze(*arguments: str) -> str:
        done = subprocess.run(
            ["systemd-analyze", *arguments, str(file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    said = analyze("verify", "--recursive-errors=no", "--man=no")
    assert [line for line in said.splitlines() if module.NAME in line] == []
    analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}")
    file.write_text(text.replace("CapabilityBoundingSet=\n", "").replace("PrivateUsers=yes\n", ""))
    with pytest.raises(AssertionError):
        analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}")
