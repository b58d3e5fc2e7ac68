"""One version everywhere, and what several distributions ask for they ask for alike."""

import mobium
from tests.meta.tree import load


def test_one_version_everywhere() -> None:
    version = load("Cargo.toml")["workspace"]["package"]["version"]
    assert mobium.__version__ == version
    for folder in ("server_app", "client_app"):
        assert load(f"{folder}/pyproject.toml")["project"]["version"] == version


def test_server_and_client_ask_for_the_library_of_their_version() -> None:
    version = load("Cargo.toml")["workspace"]["package"]["version"]
    assert f"mobium=={version}" in load("server_app/pyproject.toml")["project"]["dependencies"]
    assert f"mobium[client]=={version}" in load("client_app/pyproject.toml")["project"]["dependencies"]


def test_every_crate_takes_the_version_of_the_workspace() -> None:
    for member in load("Cargo.toml")["workspace"]["members"]:
        assert load(f"{member}/Cargo.toml")["package"]["version"] == {"workspace": True}, member


def test_what_two_distributions_need_they_need_alike() -> None:
    ranges: dict[str, set[str]] = {}
    for path in ("pyproject.toml", "server_app/pyproject.toml", "client_app/pyproject.toml"):
        project = load(path)["project"]
        groups = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
        for requirement in (one for group in groups for one in group):
            name, _, versions = requirement.partition(">")
            ranges.setdefault(name.lower(), set()).add(versions)
    assert {name: found for name, found in ranges.items() if len(found) > 1} == {}


def test_the_backend_asks_for_the_builders_that_the_developers_have() -> None:
    import backend

    dev = load("pyproject.toml")["project"]["optional-dependencies"]["dev"]
    assert backend.MATURIN in dev
    assert backend.HATCHLING in dev
    for folder in ("server_app", "client_app"):
        assert load(f"{folder}/pyproject.toml")["build-system"]["requires"] == [backend.HATCHLING]
