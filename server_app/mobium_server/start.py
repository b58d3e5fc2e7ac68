"""The command `mobium-server`: arguments, log, exit codes, and what a person reads at the start. Not its
concern: the server (`mobium_server.app`), the subcommands (`mobium_server.care.command`) and the first moment
(`mobium_server.__main__`).
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import os
import sys
from pathlib import Path

from mobium.errors import InvalidInput, MobiumError
from mobium_server import __version__
from mobium_server.app import Server, serve
from mobium_server.care.command import add_commands, run_command
from mobium_server.config import Settings, unknown_variables
from mobium_server.files import raise_file_limit
from mobium_server.signals import Signals
from mobium_server.supervisor import tell_ready

__all__ = ["run"]

EXIT_FAILED = 1
EXIT_SETTINGS = 2


def run(arguments: list[str], signals: Signals) -> int:
    """Run the server, or a subcommand; returns the exit code."""
    # Nothing is set where nothing is said, so that these can stand before the subcommand or behind it.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--env-file", type=Path, help="file with SC_* variables (default: .env)")
    common.add_argument("--verbose", action="store_true", help="log more; still no keys and no payloads")
    parser = argparse.ArgumentParser(
        prog="mobium-server",
        parents=[common],
        description="Relays and keeps ciphertext for people it cannot read."
        " Settings are SC_* variables; see .env.example.",
    )
    parser.add_argument("--version", action="version", version=f"mobium-server {__version__}")
    add_commands(parser, common)
    asked = parser.parse_args(arguments, argparse.Namespace(env_file=None, verbose=False))
    if asked.env_file is None:
        asked.env_file = Path(".env")
    elif not _is_there(asked.env_file):
        print(f"mobium-server: There is no file {asked.env_file}.", file=sys.stderr)
        return EXIT_SETTINGS
    if asked.command is None:
        signals.leave()
        return _serve(asked, signals)
    try:
        signals.interrupt()
        return run_command(asked)
    except KeyboardInterrupt:
        print("mobium-server: interrupted.", file=sys.stderr, flush=True)
        return signals.die()
    except MobiumError as error:
        print(f"mobium-server: {error}", file=sys.stderr)
        return EXIT_SETTINGS if isinstance(error, InvalidInput) else EXIT_FAILED


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:
        return True  # it is said why it cannot be read when it is


def _serve(asked: argparse.Namespace, signals: Signals) -> int:
    logging.basicConfig(
        level=logging.DEBUG if asked.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    try:
        settings = Settings.from_env(os.environ, asked.env_file)
    except InvalidInput as error:
        print(f"mobium-server: {error}", file=sys.stderr)
        return EXIT_SETTINGS
    for name in unknown_variables(os.environ, asked.env_file):
        print(f"mobium-server: there is no setting {name}; it is ignored.", file=sys.stderr)
    fit = raise_file_limit(settings.max_connections)
    settings = dataclasses.replace(settings, max_connections=fit)
    try:
        asyncio.run(serve(settings, signals, announce))
    except MobiumError as error:
        print(f"mobium-server: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def announce(server: Server) -> None:
    """Say that the server is ready, where clients connect, and how it is opened to the network."""
    for line in _advice(server):
        print(line, file=sys.stderr)
    sys.stderr.flush()
    print(f"mobium-server listening on {server.url}", flush=True)
    tell_ready()


def _advice(server: Server) -> list[str]:
    settings = server.settings
    lines = [f"mobium-server {__version__}, key {server.public_key.hex()}"]
    if server.certificates is not None or not settings.require_tls:
        lines.append(f"Clients on this machine connect to {server.url}")
        if settings.host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            hosts = [f"[{host}]" if ":" in host else host for host in settings.public_hosts]
            scheme = server.url.partition(":")[0]
            lines += [
                f"Clients on the network connect to {scheme}://{host}:{server.port}"
                for host in hosts or ["<name or address of this machine>"]
            ]
    if server.certificates is not None:
        names = ", ".join(sorted(server.certificates.names)) or "none"
        lines.append(f"TLS 1.3 with the certificate for: {names}")
        lines += server.doubts()
    elif settings.require_tls:
        lines.append(
            "SC_REQUIRE_TLS is true and there is no certificate: every connection is refused unless it comes"
            " through a proxy of SC_TRUSTED_PROXIES over https. Set SC_TLS_CERT and SC_TLS_KEY, or"
            " SC_REQUIRE_TLS=false for tests on this machine."
        )
        if not settings.public_hosts:
            lines.append(
                "SC_PUBLIC_HOSTS is empty: through a proxy nobody can log in by a name on the internet. Set"
                " it to the names that people dial."
            )
    elif settings.host not in ("127.0.0.1", "::1", "localhost"):
        lines.append(
            "SC_REQUIRE_TLS is false and there is no certificate: whoever listens on the network sees who"
            " writes to whom. Set SC_TLS_CERT and SC_TLS_KEY, or put a proxy with TLS in front."
        )
    else:
        lines.append(
            "To open it to the network: SC_HOST=0.0.0.0, SC_REQUIRE_TLS=true, SC_TLS_CERT and SC_TLS_KEY with"
            " the paths of a certificate and its key, and SC_PUBLIC_HOSTS with the names that people dial;"
            " or a proxy with TLS in front."
        )
    return lines
