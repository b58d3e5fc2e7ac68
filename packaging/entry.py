"""The entry of the packaged desktop."""

from __future__ import annotations

from mobium_client.gui.start import main

if __name__ == "__main__":
    main()
