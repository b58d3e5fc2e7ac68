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
        self._one = asyncio.Lock()  # of the background loop

    def change(self, **changes: Any) -> None:
        """Change some settings; their names are the fields of `Settings`."""
        self._show(replace(self.state, **changes))
        self._run(self._save(), keep=True)

    async def _save(self) -> None:
        """One after another, so that the last one is kept, also where the window closes meanwhile."""
        async with self._one:
            kept = self.state
            if kept != self._kept:
                await asyncio.to_thread(save, self._file, kept)
                self._kept = kept
