"""What is signed at login, and by whom (docs/CRYPTO.md section 9).

Not its concern: when (`mobium.protocol.connection`).
"""

from __future__ import annotations

__all__ = ["binding_input", "client_input", "server_input"]


def binding_input(x_public: bytes) -> bytes:
    """What an identity signs to bind its X25519 key (32 bytes)."""
    return b"mobium/1 identity binding\0" + x_public


def client_input(nonce_s: bytes, nonce_c: bytes, server_key: bytes, ed: bytes, x: bytes, host: str) -> bytes:
    """What the client signs: both nonces, the server's key, its own keys (32 bytes each) and the host as
    dialled.
    """
    return b"mobium/1 auth\0" + nonce_s + nonce_c + server_key + ed + x + host.encode("ascii")


def server_input(nonce_s: bytes, nonce_c: bytes, ed: bytes, host: str) -> bytes:
    """What the server signs in its answer."""
    return b"mobium/1 server\0" + nonce_s + nonce_c + ed + host.encode("ascii")
