"""From the first start to a message, in real windows, by keys and clicks; other processes say what came of
it.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.commands import FAST, PASSWORD, Desk
from tests.support.display import Display, display
from tests.support.hands import HANDS
from tests.support.remote_desktop import remote
from tests.support.server import ServerProcess

pytestmark = [*HANDS]


def _terminal(folder: Path) -> Desk:
    """The command line on a desktop's data."""
    return Desk(folder, PASSWORD, command=FAST, extra={"MOBIUM_DATA_DIR": str(folder)})


def _said(desk: Desk, key: str) -> list[str]:
    return [json.loads(line)["text"] for line in desk.run("history", key, "--json").out.splitlines()]


def test_two_desktops_come_from_their_first_start_to_a_talk_and_one_comes_back_on_an_empty_machine(
    screen: Display, folder: Path, tmp_path: Path
) -> None:
    hers, his, fresh = folder / "anna", folder / "bert", folder / "fresh"
    with (
        ServerProcess(tmp_path / "server") as server,
        display(tmp_path, 1000, 700) as second,
    ):
        address = server.url.removeprefix("ws://").removesuffix("/ws")
        with remote(hers, screen) as anna, remote(his, second) as bert:
            for desktop, name in ((anna, "Anna"), (bert, "Bert")):
                desktop.start("first_run", name, PASSWORD)
            for desktop in (anna, bert):
                desktop.end()
            for desktop in (anna, bert):
                desktop.start("confirm_words")
            words, _ = anna.end(), bert.end()
            for desktop in (anna, bert):
                desktop.start("reach", address)
            for desktop in (anna, bert):
                desktop.end()
            annas, berts = anna("me"), bert("me")
            anna("known", berts, "Bert")
            bert("known", annas, "Anna")
            anna("write", "Bert", "Hello from the first window")
            bert("read", "Anna", "Hello from the first window")
            bert("write", "Anna", "And from the second one")
            anna("read", "Bert", "And from the second one")
        said = ["Hello from the first window", "And from the second one"]
        assert _said(_terminal(hers), berts) == said
        assert _said(_terminal(his), annas) == said
        with remote(fresh, screen) as again:
            again("recover", "Anna again", words, PASSWORD)
            again("reach", address)
            assert again("me") == annas
        assert json.loads(_terminal(fresh).run("whoami", "--json").out)["key"] == annas
