"""What every presenter may need, and what those of an open profile have besides.

Not its concern: who makes it (`mobium_client.gui.models.desktop`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mobium.client import Engine
from mobium.client.profile import Profile, Profiles
from mobium_client.gui.models.attention import Attention
from mobium_client.gui.models.dispatch import Dispatcher
from mobium_client.gui.models.preferences import Preferences
from mobium_client.gui.models.presenter import Bridge, Later
from mobium_client.gui.models.router import Overlays, Router

__all__ = ["Context", "Opened"]


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of all presenters; `now` gives the local time."""

    bridge: Bridge
    events: Dispatcher
    later: Later
    now: Callable[[], datetime]
    preferences: Preferences
    router: Router
    overlays: Overlays
    attention: Attention
    profiles: Profiles


@dataclass(frozen=True, slots=True)
class Opened:
    """The surroundings while a profile is open; `lock` wipes its keys and shows the unlock screen."""

    context: Context
    profile: Profile
    engine: Engine
    lock: Callable[[], None]
