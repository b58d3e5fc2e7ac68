"""`python -m mobium_client`: the desktop, as `mobium-desktop`.

The command line is `python -m mobium_client.cli`.
"""

from __future__ import annotations

from mobium_client.gui.start import main

if __name__ == "__main__":
    main()
