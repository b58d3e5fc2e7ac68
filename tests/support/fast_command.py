"""The command `mobium` as people run it, but that its passwords are stretched by one hash: for tests that are
not about them.
"""

from __future__ import annotations

from mobium.crypto import vault
from mobium_client.__main__ import main
from tests.support.quick import derive

if __name__ == "__main__":
    setattr(vault, "_derive", derive)  # noqa: B010 - a function is not assigned to
    main()
