"""README's settings table and .env.example say what the server's code says."""

import re

from mobium_server.config import variables
from tests.meta.tree import ROOT

ROW = re.compile(r"^\| `(SC_[A-Z_]+)` \| (?:`([^`]*)`|\*none\*) \|", re.MULTILINE)


def test_readme_has_every_setting_with_its_default() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert dict(ROW.findall(readme)) == {name: default for name, (default, _) in variables().items()}


def test_the_example_names_every_setting() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#? ?(SC_[A-Z_]+)=", example, re.MULTILINE))
    assert named == set(variables())
