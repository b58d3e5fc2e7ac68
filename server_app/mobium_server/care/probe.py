"""Whether the server of these settings answers on this machine: for a container's health check and for
scripts, without curl.

Not its concern: whether its database is sound (`mobium_server.care.check`).
"""

from __future__ import annotations

import http.client
import ssl

from mobium_server.config import Settings

__all__ = ["probe"]

PATIENCE = 5.0  # seconds


def probe(settings: Settings) -> str | None:
    """Ask `/health`; None if it says OK, else a sentence."""
    host = settings.host
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "::1" if host == "::" else "127.0.0.1"
    connection: http.client.HTTPConnection
    if settings.tls_cert is None:
        connection = http.client.HTTPConnection(host, settings.port, timeout=PATIENCE)
    else:
        # It is asked by its address, which is in no certificate; nothing secret goes there.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, settings.port, timeout=PATIENCE, context=context)
    where = f"{host} port {settings.port}"
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        text = answer.read(1_000)
    except (OSError, http.client.HTTPException) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return f"No server answers at {where}: {reason or type(error).__name__}."
    finally:
        connection.close()
    if (answer.status, text) != (200, b"OK"):
        return f"What answers at {where} says {answer.status} instead of OK."
    return None
