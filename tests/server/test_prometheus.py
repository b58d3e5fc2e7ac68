"""deploy/prometheus: the real Prometheus takes it, reads a real server with it, and raises its alerts."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import certificate, trusting
from tests.support.programs import Program, running, where
from tests.support.proxies import DEPLOY
from tests.support.raw import request
from tests.support.server import WAIT, server

FOLDER = DEPLOY / "prometheus"
TOKEN = "t" * 24


def example(folder: Path, port: int, cert: Path) -> Path:
    """The example, for a server on this machine, in a hurry."""
    text = (FOLDER / "prometheus.yml").read_text()
    for old, new in (
        ("chat.example.org:8443", f"localhost:{port}"),
        ("scrape_interval: 1m", "scrape_interval: 200ms"),
        ("scheme: https", f"scheme: https\n    tls_config:\n      ca_file: {cert}"),
        ("rule_files:", "global:\n  evaluation_interval: 200ms\nrule_files:"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "mobium.token").write_text(TOKEN)
    (folder / "mobium.rules.yml").write_bytes((FOLDER / "mobium.rules.yml").read_bytes())
    file = folder / "prometheus.yml"
    file.write_text(text)
    return file


def asked(program: Program, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{program.port}/api/v1/{path}", timeout=WAIT) as answer:
        return json.load(answer)["data"]


async def alerts(program: Program, name: str) -> dict[str, str]:
    """What is raised, with its summary, once `name` is among it."""
    async with asyncio.timeout(WAIT):
        while True:
            try:
                found = (await asyncio.to_thread(asked, program, "alerts"))["alerts"]
            except urllib.error.HTTPError as error:
                if error.code != 503:  # it listens before it is ready
                    raise
                found = []
            raised = {one["labels"]["alertname"]: one["annotations"]["summary"] for one in found}
            if name in raised:
                return raised
            await asyncio.sleep(0.1)


@pytest.mark.needs("promtool")  # which comes with it
async def test_the_real_one_reads_a_server_and_says_when_its_certificate_ends(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost", ends=13)
    async with server(tmp_path, tls_cert=cert, tls_key=key, require_tls=True, admin_token=TOKEN) as one:
        file = example(tmp_path, one.port, cert)
        checked = await asyncio.to_thread(
            subprocess.run,
            [where("promtool") or "", "check", "config", str(file)],
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr

        def command(port: int) -> list[str]:
            return [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={tmp_path / 'kept'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ]

        with running(command, tmp_path / "prometheus") as program:
            raised = await alerts(program, "MobiumCertificateEnds")
            assert re.fullmatch(
                rf"The certificate of localhost:{one.port} ends in 12d 23h 5\dm \d+s",
                raised.pop("MobiumCertificateEnds"),
            )
            assert raised == {}
            one.listener.stop_listening()
            assert "MobiumDoesNotAnswer" in await alerts(program, "MobiumDoesNotAnswer")


async def test_a_server_has_every_figure_that_the_rules_name(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost")
    async with server(tmp_path, tls_cert=cert, tls_key=key, admin_token=TOKEN) as one:
        shown = await request(
            one.port, "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, context=trusting(cert)
        )
    figures = set(re.findall(r"^(mobium_\w+)", shown.body.decode(), re.MULTILINE))
    expressions = re.findall(r"^ *expr: (.*)$", (FOLDER / "mobium.rules.yml").read_text(), re.MULTILINE)
    assert len(expressions) == 5
    named = {name for one in expressions for name in re.findall(r"mobium_\w+", one)}
    assert len(named) >= 5
    assert named <= figures
