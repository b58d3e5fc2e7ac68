"""The command `mobium-desktop` as people run it, but that its passwords are stretched by one hash."""

from __future__ import annotations

import sys

from mobium.crypto import vault
from mobium_client.gui.start import main
from tests.support.quick import derive

if __name__ == "__main__":
    setattr(vault, "_derive", derive)  # noqa: B010 - a function is not assigned to
    keep = "--keep-process" in sys.argv  # as if a lock did not replace the process
    arguments = [word for word in sys.argv[1:] if word != "--keep-process"]
    if keep:
        from mobium_client.gui.app import App

        setattr(App, "replace_when_locked", lambda _: None)  # noqa: B010
    main(arguments, (sys.executable, "-m", "tests.support.fast_desktop"))
