"""The server of mobium: relays and keeps ciphertext for people it cannot read. Not here: anything that runs
(`mobium_server.app`).
"""

from mobium import __version__

__all__ = ["__version__"]
