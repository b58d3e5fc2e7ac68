"""The scenes of the screenshots: how each screen is reached, and with which data.

A scene is a function that gets a `Stage`, registered by `@scene("name")` in a module that is imported below.
Not its concern: sizes, looks and files (tools/screenshots.py).
"""

from __future__ import annotations

from tools.scenes.stage import SCENES, Stage, quick_passwords

from tools.scenes import calls, channels, entry, options, talk  # noqa: F401  # isort: skip - they register their scenes

__all__ = ["SCENES", "Stage", "quick_passwords"]
