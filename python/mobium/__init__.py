"""mobium: the library of a zero-knowledge encrypted messenger that people host themselves.

The doors are `mobium.crypto` (kernels, identities, sessions), `mobium.protocol` (the wire, sans-I/O),
`mobium.media` (sound and pictures), `mobium.client` (the engine) and `mobium.errors`. Nothing is imported
here, so that a server which needs only the protocol never loads the rest.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
