"""The cryptographic facade: identities, prekeys, sessions, the vault, and the kernels in a form that brings
its own entropy.

The front door is `from mobium.crypto import pad, unpad, BUCKETS, DoubleRatchet, FrameOpener, FrameSealer,
Identity, ReceiverKey, SenderKey, Session`. Importing it loads neither ML-KEM nor Argon2id nor the list of
recovery words: those come at first use. Not its concern: the wire (`mobium.protocol`), and storing what is
returned here (`mobium.client`).
"""

from mobium._backend import BUCKETS, pad, unpad
from mobium.crypto.group import ReceiverKey, SenderKey, message_head
from mobium.crypto.identity import Identity, verify_binding
from mobium.crypto.media import (
    FrameOpener,
    FrameSealer,
    MediaKey,
    MediaKind,
    frame_header,
    media_metadata,
    pad_voice,
    unpad_voice,
)
from mobium.crypto.pqxdh import HEADER_SIZE, Header, check_sender, read_header
from mobium.crypto.prekeys import (
    Bundle,
    PrekeyKind,
    PrekeyPair,
    Prekeys,
    PrekeySource,
    SignedPrekey,
    UsedPrekeys,
    verify_prekey,
)
from mobium.crypto.ratchet import DoubleRatchet
from mobium.crypto.safety import format_groups, safety_number
from mobium.crypto.session import Session

__all__ = [
    "BUCKETS",
    "HEADER_SIZE",
    "Bundle",
    "DoubleRatchet",
    "FrameOpener",
    "FrameSealer",
    "Header",
    "Identity",
    "MediaKey",
    "MediaKind",
    "PrekeyKind",
    "PrekeyPair",
    "PrekeySource",
    "Prekeys",
    "ReceiverKey",
    "SenderKey",
    "Session",
    "SignedPrekey",
    "UsedPrekeys",
    "check_sender",
    "format_groups",
    "frame_header",
    "media_metadata",
    "message_head",
    "pad",
    "pad_voice",
    "read_header",
    "safety_number",
    "unpad",
    "unpad_voice",
    "verify_binding",
    "verify_prekey",
]
