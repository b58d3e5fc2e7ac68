"""README's settings table and .env.example say what the server's code says."""

import re

from mobium_server.config import Settings, variables
from tests.meta.tree import ROOT

ROW = re.compile(r"^\| `(SC_[A-Z_]+)` \| (.*) \| (.*) \|$", re.MULTILINE)


def test_readme_has_every_setting_with_its_default_and_what_it_is() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert ROW.findall(readme) == [
        (name, f"`{default}`" if default else "*none*", about)
        for name, (default, about) in variables().items()
    ]


def test_the_example_names_every_setting() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#? ?(SC_[A-Z_]+)=", example, re.MULTILINE))
    assert named == set(variables())


def test_what_the_example_leaves_commented_out_is_the_default() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^# (SC_[A-Z_]+)=(.*)$", example, re.MULTILINE))
    defaults = {name: default for name, (default, _) in variables().items() if default}
    assert {name: shown[name] for name in defaults if name in shown} == {
        name: default for name, default in defaults.items() if name in shown
    }
    assert set(defaults) - set(shown) == {"SC_HOST", "SC_REQUIRE_TLS"}, "set for this machine alone"


def test_the_example_can_be_used_as_it_is() -> None:
    settings = Settings.from_env({}, ROOT / ".env.example")
    assert settings == Settings.from_env({"SC_HOST": "127.0.0.1", "SC_REQUIRE_TLS": "false"})
