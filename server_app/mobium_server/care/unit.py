"""What `mobium-server install` writes and says: a hardened unit for systemd, and the steps around it.

Not its concern: other supervisors, and containers (Dockerfile).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mobium.errors import InvalidInput

__all__ = ["NAME", "SETTINGS", "STATE", "USER", "command_line", "steps", "unit", "write"]

NAME = "mobium-server.service"
USER = "mobium"
STATE = "/var/lib/mobium"
SETTINGS = "/etc/mobium/mobium.env"
OPEN_FILES = 65_536  # beyond any SC_MAX_CONNECTIONS of a small machine; a hard limit, raised as far as needed
# Folders of the machine that the unit hides from the service.
HIDDEN = tuple(Path("/", name) for name in ("home", "root", "tmp", "var/tmp"))

_UNIT = """\
# Made by `mobium-server install`. Change it with `systemctl edit mobium-server`; an update may replace it.
[Unit]
Description=mobium server
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=5min
StartLimitBurst=10

[Service]
# started means that people can connect, and not before is it told to reload; an upgrade takes its time
Type=notify
TimeoutStartSec=infinity
User={user}
Group={user}
ExecStart={command} --env-file {settings}
# a new certificate
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=5s
# wrong settings do not become right by trying again
RestartPreventExitStatus=2
# what waits is committed and answered before it ends, which takes 13 seconds at most
TimeoutStopSec=30s
LimitNOFILE={open_files}

StateDirectory=mobium
StateDirectoryMode=0700
WorkingDirectory={state}
UMask=0077

# It needs the network, its folder, and nothing else of the machine.
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

_STEPS = """\
# A user of its own, without password and shell, and a folder for the settings that only it and root can read.
sudo useradd --system --home-dir {state} --shell /usr/sbin/nologin {user}
sudo install -d -m 750 -o root -g {user} {folder}

# The settings. This is the least; .env.example explains all of them, README.md has the table.
sudo tee {settings} <<END
SC_DATABASE_URL=sqlite://{state}/mobium.db
END
sudo chown root:{user} {settings} && sudo chmod 640 {settings}

# The unit, and the start, now and whenever the machine starts.
sudo {command} install --write /etc/systemd/system
sudo systemctl daemon-reload
sudo systemctl enable --now mobium-server

# What it says, and whether all is well. Its log is in the journal, which rotates by itself.
journalctl --unit mobium-server --lines 20
sudo -u {user} {command} --env-file {settings} check
"""


def command_line(executable: str = sys.executable) -> list[str]:
    """How this installation's server is started, with absolute paths."""
    script = Path(executable).absolute().with_name("mobium-server")
    return [str(script)] if script.is_file() else [str(Path(executable).absolute()), "-m", "mobium_server"]


def unit(command: Sequence[str]) -> str:
    """The unit that starts `command`."""
    return _UNIT.format(
        user=USER,
        settings=SETTINGS,
        state=STATE,
        open_files=OPEN_FILES,
        command=" ".join(_quoted(part) for part in command),
    )


def steps(command: Sequence[str], python: str = sys.base_prefix) -> str:
    """What is typed, once, to have the server run from now on. `python` is where the interpreter lies, which
    an environment made by tools such as pyenv and uv only refers to.
    """
    warning = ""
    if _hidden(command[0]):
        warning = (
            f"# This installation lies under {_hidden(command[0])}, which the service cannot see. Install it"
            " elsewhere:\n"
            "#   sudo python3 -m venv /opt/mobium && sudo /opt/mobium/bin/pip install . ./server_app\n\n"
        )
    elif _hidden(python):
        warning = (
            f"# Its Python lies under {_hidden(python)}, which the service cannot see. Install it with the"
            " system's:\n"
            "#   sudo /usr/bin/python3 -m venv --clear /opt/mobium\n"
            "#   sudo /opt/mobium/bin/pip install . ./server_app\n\n"
        )
    return warning + _STEPS.format(
        user=USER,
        settings=SETTINGS,
        folder=Path(SETTINGS).parent,
        state=STATE,
        command=" ".join(_quoted(part) for part in command),
    )


def _hidden(path: str) -> Path | None:
    """The folder that hides a path from the service."""
    return next((one for one in HIDDEN if Path(path).is_relative_to(one)), None)


def write(folder: Path, text: str) -> Path:
    """Write the unit into `folder`. Raises InvalidInput if another one is there or it cannot be written."""
    target = folder / NAME
    try:
        if target.exists():
            if target.read_text("utf-8") == text:
                return target
            raise InvalidInput(
                f"{target} is there already and says something else; remove it first, or keep it."
            )
        target.write_text(text, "utf-8")
        target.chmod(0o644)
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror}.") from error
    return target


def _quoted(part: str) -> str:
    """A word of ExecStart, where % and $ mean something."""
    escaped = part.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if " " in part or escaped != part else part
