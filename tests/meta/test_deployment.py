"""The manifest for Kubernetes is YAML that says what the tree, the image and the settings say; what is
promised in docs/TODO.md has a state.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from mobium_server.config import Settings, database_path, variables
from tests.meta.tree import ROOT, load

MANIFEST = ROOT / "deploy" / "kubernetes" / "mobium.yaml"


def manifest() -> dict[str, Any]:
    """The documents of the manifest by kind."""
    documents = list(yaml.safe_load_all(MANIFEST.read_text("utf-8")))
    found = {one["kind"]: one for one in documents}
    assert len(found) == len(documents)
    return found


def pod() -> dict[str, Any]:
    template: dict[str, Any] = manifest()["StatefulSet"]["spec"]["template"]["spec"]
    return template


def container() -> dict[str, Any]:
    [one] = pod()["containers"]
    found: dict[str, Any] = one
    return found


def test_there_is_all_that_it_takes_and_each_thing_finds_the_other() -> None:
    found = manifest()
    assert set(found) == {"ConfigMap", "PersistentVolumeClaim", "StatefulSet", "Service"}
    assert {one["metadata"]["name"] for one in found.values()} == {"mobium"}
    labels = found["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert found["StatefulSet"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["StatefulSet"]["spec"]["serviceName"] == "mobium"
    mounted = {one["name"]: one["mountPath"] for one in container()["volumeMounts"]}
    assert set(mounted) == {one["name"] for one in pod()["volumes"]}
    [port] = container()["ports"]
    [outside] = found["Service"]["spec"]["ports"]
    assert outside["targetPort"] == port["name"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container()[probe]["httpGet"]["port"] == port["name"]
        assert container()[probe]["httpGet"]["path"] == "/health"


def test_the_settings_are_settings_and_fit_what_is_mounted(tmp_path: Path) -> None:
    data: dict[str, str] = manifest()["ConfigMap"]["data"]
    assert all(isinstance(value, str) for value in data.values())
    assert set(data) <= set(variables())
    there = tmp_path / "tls"  # the files have to be there
    there.touch()
    settings = Settings.from_env({**data, "SC_TLS_CERT": str(there), "SC_TLS_KEY": str(there)})
    assert settings.require_tls
    mounted = {one["mountPath"] for one in container()["volumeMounts"]}
    assert str(database_path(data["SC_DATABASE_URL"]).parent) in mounted
    assert {data["SC_TLS_CERT"].rpartition("/")[0], data["SC_TLS_KEY"].rpartition("/")[0]} <= mounted
    assert int(data["SC_PORT"]) == container()["ports"][0]["containerPort"]


def test_it_is_one_pod_of_this_version_that_may_do_nothing_else() -> None:
    assert manifest()["StatefulSet"]["spec"]["replicas"] == 1
    version = load("Cargo.toml")["workspace"]["package"]["version"]
    assert container()["image"] == f"mobium-server:{version}"
    assert f"image: mobium-server:{version}\n" in (ROOT / "docker-compose.yml").read_text("utf-8")
    image = (ROOT / "Dockerfile").read_text("utf-8")
    user = pod()["securityContext"]
    assert user["runAsNonRoot"] is True
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}\n" in image
    allowed = container()["securityContext"]
    assert allowed == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod()["automountServiceAccountToken"] is False
    assert pod()["terminationGracePeriodSeconds"] >= 30  # as the unit and the compose file have it


def test_every_promise_has_a_state_and_every_link_a_file() -> None:
    text = (ROOT / "docs" / "TODO.md").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(lines) > 20
    assert [line for line in lines if not re.match(r"- \[[x ]\] \S", line)] == []
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_rows_that_crypto_names_are_rows_of_threats() -> None:
    rows = set(re.findall(r"^\| A(\d+) ", (ROOT / "docs" / "THREATS.md").read_text("utf-8"), re.MULTILINE))
    _, _, table = (ROOT / "docs" / "CRYPTO.md").read_text("utf-8").partition("## 11. Can and cannot")
    named = set(re.findall(r"\bA(\d+)", table))
    assert len(named) > 15
    assert named <= rows
