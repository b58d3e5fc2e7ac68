"""The settings in force, and how a change reaches the disk.

Not its concern: which there are, and their file (`mobium_client.gui.settings`).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from mobium_client.gui.models.presenter import Bridge, Presenter
from mobium_client.gui.settings import Settings, save

__all__ = ["Preferences"]


class Preferences(Presenter[Settings]):
    """The settings in force; a change is kept on the disk in the background, the last one last."""

    def __init__(self, bridge: Bridge, file: Path, settings: Settings) -> None:
        super().__init__(bridge, settings)
        self._file = file
        self._kept = settings
        self._saving = False

    def change(self, **changes: Any) -> None:
        """Change some settings; their names are the fields of `Settings`."""
        self._show(replace(self.state, **changes))
        self._keep()

    def _keep(self) -> None:
        if self._saving or self._kept == self.state:
            return
        self._saving = True
        kept = self.state

        def saved(_: object) -> None:
            self._saving = False
            self._kept = kept
            self._keep()

        self._run(asyncio.to_thread(save, self._file, kept), saved, saved, keep=True)
