"""Dockerfile and docker-compose.yml say what the tree and the settings say. No container is built here, since
that takes an engine and its images; docs/OPERATIONS.md says how it was built by hand.
"""

from __future__ import annotations

import re
import tomllib

import pytest

from mobium_server.config import Settings, database_path, variables
from tests.meta.tree import ROOT, load, tracked

FIXED = {"SC_HOST": "0.0.0.0", "SC_PORT": "8443", "SC_DATABASE_URL": "sqlite:///data/mobium.db"}
USER = "1000:1000"


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def composed() -> dict[str, str]:
    """The variables that the compose file passes on."""
    return dict(re.findall(r'^      (SC_\w+): "?(.*?)"?$', text("docker-compose.yml"), re.MULTILINE))


def kept() -> list[str]:
    """What .dockerignore lets into the image."""
    return re.findall(r"^!(.*)$", text(".dockerignore"), re.MULTILINE)


def test_the_version_is_that_of_the_tree() -> None:
    version = load("Cargo.toml")["workspace"]["package"]["version"]
    assert f'org.opencontainers.image.version="{version}"' in text("Dockerfile")
    assert f"image: mobium-server:{version}\n" in text("docker-compose.yml")


def test_every_setting_is_passed_on_and_an_empty_one_is_the_default() -> None:
    passed = composed()
    assert set(passed) == set(variables())
    assert {name: value for name, value in passed.items() if not value.startswith("$")} == FIXED
    for name in passed.keys() - FIXED:
        assert passed[name] == f"${{{name}:- }}"
    empty = {name: FIXED.get(name, " ") for name in passed}
    assert Settings.from_env(empty) == Settings.from_env(FIXED)
    assert Settings.from_env(empty).require_tls


def test_image_and_compose_file_agree() -> None:
    image, compose = text("Dockerfile"), text("docker-compose.yml")
    for name, value in FIXED.items():
        assert f"{name}={value}" in image
    folder = str(database_path(FIXED["SC_DATABASE_URL"]).parent)
    assert f"- ./data:{folder}\n" in compose
    assert f"mkdir {folder} && chown {USER} {folder}" in image
    assert f"USER {USER}\n" in image
    assert f'user: "${{MOBIUM_USER:-{USER}}}"' in compose
    assert f"EXPOSE {FIXED['SC_PORT']}\n" in image
    assert f'- "${{SC_HOST:-0.0.0.0}}:${{SC_PORT:-8443}}:{FIXED["SC_PORT"]}"\n' in compose
    assert 'CMD ["mobium-server", "health"]' in image
    # the server ends within 13 seconds; then the engine would kill it
    assert "stop_grace_period: 30s" in compose


def test_the_python_of_the_image_is_one_that_serves_us() -> None:
    (version,) = set(re.findall(r"^FROM python:3\.(\d+)-slim-\w+", text("Dockerfile"), re.MULTILINE))
    assert load("pyproject.toml")["project"]["requires-python"] == ">=3.11"
    assert int(version) >= 11


@pytest.mark.needs("git")
def test_the_image_is_made_of_what_the_distributions_need_and_of_no_secret() -> None:
    files = {str(file.relative_to(ROOT)) for file in tracked()}
    inside = {name for name in files if any(name == one or name.startswith(f"{one}/") for one in kept())}
    needed = {
        "pyproject.toml",
        "Cargo.toml",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "native/backend.py",
    }
    needed |= {name for name in files if name.startswith(("python/", "server_app/"))}
    assert inside == needed
    assert text(".dockerignore").splitlines()[1] == "*"
    config = tomllib.loads(text("pyproject.toml"))
    assert config["build-system"]["backend-path"] == ["native"]
