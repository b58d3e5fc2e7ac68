"""The names that this server answers to at login (docs/CRYPTO.md section 9). Not its concern: how a name is
written (`mobium.protocol.host`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection

__all__ = ["accepts_host"]


def accepts_host(
    public_hosts: Collection[str], certificate_names: Callable[[], Collection[str]], name: str
) -> bool:
    """Whether `name` (canonical, without brackets and port) is one of this server's.

    With SC_PUBLIC_HOSTS that list decides alone; otherwise the certificate's names, loopback, private and
    link-local addresses, single labels, and names under .local: what nobody else can own on the internet.
    """
    if public_hosts:
        return name in public_hosts
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        if "." not in name or name.endswith(".local"):
            return True
    else:
        if address.is_loopback or address.is_private or address.is_link_local:
            return True
    names = certificate_names()
    return name in names or f"*.{name.partition('.')[2]}" in names
