"""The command `mobium-server`: arguments, log, exit codes, and what a person reads at the start. Not its
concern: the server (`mobium_server.app`).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from mobium.errors import InvalidInput, MobiumError
from mobium_server import __version__
from mobium_server.app import Server, serve
from mobium_server.config import Settings, unknown_variables
from mobium_server.files import raise_file_limit

__all__ = ["main"]

EXIT_FAILED = 1
EXIT_SETTINGS = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the server; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="mobium-server",
        description="Relays and keeps ciphertext for people it cannot read."
        " Settings are SC_* variables; see .env.example.",
    )
    parser.add_argument("--version", action="version", version=f"mobium-server {__version__}")
    parser.add_argument(
        "--env-file", type=Path, default=Path(".env"), help="file with SC_* variables (default: .env)"
    )
    parser.add_argument("--verbose", action="store_true", help="log more; still no keys and no payloads")
    asked = parser.parse_args(arguments)
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
    raise_file_limit(settings.max_connections)
    try:
        asyncio.run(serve(settings, announce))
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


def _advice(server: Server) -> list[str]:
    settings = server.settings
    lines = [f"mobium-server {__version__}, key {server.public_key.hex()}"]
    public = settings.host in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
    scheme = server.url.partition(":")[0]
    lines.append(f"Clients on this machine connect to {server.url}")
    if public:
        lines.append(
            f"Clients on the network connect to {scheme}://<name or address of this machine>:{server.port}"
        )
    if server.certificates is not None:
        names = ", ".join(sorted(server.certificates.names)) or "none"
        lines.append(f"TLS 1.3 with the certificate for: {names}")
    elif settings.require_tls:
        lines.append(
            "SC_REQUIRE_TLS is true and there is no certificate: every connection is refused unless it comes"
            " through a proxy of SC_TRUSTED_PROXIES over https. Set SC_TLS_CERT and SC_TLS_KEY, or"
            " SC_REQUIRE_TLS=false for tests on this machine."
        )
    else:
        lines.append(
            "To open it to the network: SC_HOST=0.0.0.0, SC_REQUIRE_TLS=true, SC_TLS_CERT and SC_TLS_KEY with"
            " the paths of a certificate and its key, and SC_PUBLIC_HOSTS with the names that people dial;"
            " or a proxy with TLS in front."
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
