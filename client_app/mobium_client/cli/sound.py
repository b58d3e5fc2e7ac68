"""What a person is told of microphones, speakers and the files in their place, in calls and voice rooms.

Not its concern: sound itself (`mobium.media`).
"""

from __future__ import annotations

from mobium.client import SoundChanged
from mobium.errors import StoreError

__all__ = ["Sound"]


class Sound:
    """What has become of what one speaks and listens with."""

    def __init__(self) -> None:
        self._broken = False

    def told(self, event: SoundChanged) -> str:
        """What is said of it; nothing of the end of a file that was said."""
        if event.what == "ended":
            return ""
        if event.what == "found":
            return f"the {event.kind} {event.name} is used again"
        if event.reason:  # only a recording has one: the disk does not take it
            self._broken = True
            return event.reason
        instead = f"{event.device} is used in its place" if event.device else "there is no other one"
        return f"the {event.kind} {event.name} is gone; {instead}"

    def check(self) -> None:
        """Raises StoreError for a recording that ended before what it records."""
        if self._broken:
            raise StoreError("The recording ends early: the disk did not take all of it.")
