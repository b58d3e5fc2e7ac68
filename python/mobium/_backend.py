"""Picks the kernels once: the native extension or its pure twins.

`MOBIUM_BACKEND=auto|native|pure` (default auto: native where the extension is installed). Asking for native
without the extension is an ImportError, never a fallback, and an extension built for other kernels than these
sources is refused in any case but pure. Not its concern: what the kernels do.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal

__all__ = [
    "BUCKETS",
    "KERNEL_VERSION",
    "NAME",
    "FrameOpener",
    "FrameSealer",
    "Ratchet",
    "ReceiverChain",
    "SenderChain",
    "frame_header",
    "pad",
    "read_head",
    "unpad",
]

KERNEL_VERSION: Final = 3
"""Raised whenever native/core or native/py changes what Python sees; equal to mobium_core::KERNEL_VERSION."""

NAME: Literal["native", "pure"]


def _native_wanted(asked: str) -> bool:
    """Whether to use the extension.

    Raises ImportError when it is asked for and missing, broken, or built for other kernels.
    """
    if asked not in ("auto", "native", "pure"):
        raise ImportError(f"MOBIUM_BACKEND is auto, native or pure, not {asked!r}.")
    if asked == "pure":
        return False
    try:
        native = import_module("mobium._native")
    except ModuleNotFoundError as error:
        if error.name != "mobium._native":
            raise
        if asked == "auto":
            return False
        raise ImportError(
            "MOBIUM_BACKEND=native, but mobium was installed without its native extension:"
            " install it where cargo is found, or set MOBIUM_BACKEND=pure."
        ) from None
    built = getattr(native, "KERNEL_VERSION", None)
    if built != KERNEL_VERSION:
        raise ImportError(
            f"mobium's native extension has kernel version {built}, its Python sources {KERNEL_VERSION}:"
            " rebuild it by installing mobium again, or set MOBIUM_BACKEND=pure."
        )
    return True


# A type checker sees the pure twin, which has the same types; a test holds stub and twin together.
if TYPE_CHECKING or not _native_wanted(os.environ.get("MOBIUM_BACKEND") or "auto"):
    from mobium._pure.frame import FrameOpener, FrameSealer, frame_header
    from mobium._pure.padding import BUCKETS, pad, unpad
    from mobium._pure.ratchet import Ratchet
    from mobium._pure.sender_key import ReceiverChain, SenderChain, read_head

    NAME = "pure"
else:
    from mobium._native import (
        BUCKETS,
        FrameOpener,
        FrameSealer,
        Ratchet,
        ReceiverChain,
        SenderChain,
        frame_header,
        pad,
        read_head,
        unpad,
    )

    NAME = "native"
