"""Sizes and counts that both sides of the wire hold to, each with its reason (docs/PROTOCOL.md).

Not its concern: what an operator may configure (the server's settings) and the limits of a ratchet (the
kernels).
"""

from __future__ import annotations

__all__ = [
    "BUCKET_SIZES",
    "CHANNELS_PAGE",
    "COST_BYTES",
    "COST_ENTRIES",
    "COST_KEYS",
    "DELIVERY_ID_SIZE",
    "DISTRIBUTION_BATCH",
    "FRAME_OVERHEAD",
    "HISTORY_PAGE",
    "KEM_ONE_TIME_STOCK",
    "KEY_SIZE",
    "MALFORMED_LIMIT",
    "MAX_CONTAINERS",
    "MAX_INVITES",
    "MAX_LIST",
    "MAX_MAP",
    "MAX_MEDIA_FRAME",
    "MAX_MEMBERS",
    "MAX_SIGNAL",
    "MAX_SPEAKERS",
    "MAX_STATEMENT",
    "MEDIA_COST_BYTES",
    "MEDIA_FRAGMENT",
    "NONCE_SIZE",
    "ONE_TIME_STOCK",
    "PAGE_BYTES",
    "PREAUTH_FRAME",
    "PREKEY_OVERHEAD",
    "RATCHET_OVERHEAD",
    "REFILL_BELOW",
    "ROSTER_PAGE",
    "SCREEN_BODY",
    "SENDER_KEY_OVERHEAD",
    "SIGNAL_COST_BYTES",
    "VOICE_BODY",
    "WINDOW_BYTES",
    "WINDOW_DELIVERIES",
    "channel_payload_ok",
    "direct_payload_ok",
    "largest_content",
    "media_cost",
    "message_cost",
    "signal_cost",
]

KEY_SIZE = 32
NONCE_SIZE = 32
DELIVERY_ID_SIZE = 16

# 512 bytes to 4 MiB, docs/CRYPTO.md section 5.
BUCKET_SIZES: tuple[int, ...] = tuple(512 << step for step in range(14))
RATCHET_OVERHEAD = 57  # header 41 + salt 16
PREKEY_OVERHEAD = 1_742 + RATCHET_OVERHEAD  # handshake header + ratchet message
SENDER_KEY_OVERHEAD = 121  # head 25 (version, key id, iteration, salt) + commitment 32 + signature 64

PREAUTH_FRAME = 4_096  # an auth frame has under 500 bytes; a stranger gets no more memory than this
FRAME_OVERHEAD = 4_096  # beyond the padded ciphertext: field names, ids, a handshake header
MALFORMED_LIMIT = 3  # so many malformed frames close the socket: a broken client is told, a hostile one gone

MAX_LIST = 1_024  # the longest list of any frame is a page of channels
MAX_MAP = 64  # no frame has so many fields
MAX_CONTAINERS = 2_048  # lists and maps in one frame: a small frame must not become a large tree of objects

WINDOW_DELIVERIES = 64  # deliveries that may be unacknowledged on a connection
WINDOW_BYTES = 1 << 20  # and their bytes; one delivery always may

ONE_TIME_STOCK = 100  # one-time prekeys that a client keeps published
KEM_ONE_TIME_STOCK = 20  # they are large (1,568 bytes), so fewer
REFILL_BELOW = 5  # a stock with fewer than this is refilled

MAX_MEMBERS = 1_000  # of a channel: each hands its chain to every other, so it costs their number squared
MAX_STATEMENT = 1_024  # the longest, a create statement, has 781 bytes
MAX_INVITES = 100  # of a channel in force at once
DISTRIBUTION_BATCH = 64  # recipients of one frame; the longest of their payloads has 2,311 bytes
HISTORY_PAGE = 500  # entries of one answer
ROSTER_PAGE = 512  # statements of one answer
CHANNELS_PAGE = 1_000  # channels of one answer
PAGE_BYTES = 512 << 10  # and the payload bytes of a page, of which there is always one entry

MAX_SPEAKERS = 40  # in a voice room: each of their frames goes to all the others
MAX_SIGNAL = 32 << 10  # the largest bucket of a signal, never stored; a call's description has a few KiB
VOICE_BODY = 145  # every frame of voice: SFrame header 9 + 120 + tag 16
MEDIA_FRAGMENT = 48 << 10  # of a sealed picture in one frame, so that no message waits behind more
SIGNAL_COST_BYTES = 4 << 10  # of a signal count as one request: it goes to its recipient unasked
SCREEN_BODY = MEDIA_FRAGMENT + 64  # and the header of a fragment, and of an SFrame, and its tag
MAX_MEDIA_FRAME = SCREEN_BODY + 5  # with the longer header, which goes to clients

COST_BYTES = 64 << 10  # of a payload count as one request: what makes a flood dear is bytes, too
COST_KEYS = 16  # one-time prekeys of a publication count as one request: each is a row
COST_ENTRIES = 100  # of a page count as one request: each is read and sent
MEDIA_COST_BYTES = 16 << 10  # of a media frame count as one frame, for the same reason

_CHANNEL_BUCKETS = {bucket + SENDER_KEY_OVERHEAD: bucket for bucket in BUCKET_SIZES}
_DIRECT_BUCKETS = {
    bucket + overhead: bucket for bucket in BUCKET_SIZES for overhead in (RATCHET_OVERHEAD, PREKEY_OVERHEAD)
}
_PADDING_HEAD = 8  # length and four reserved bytes inside the bucket
_TAG = 16


def direct_payload_ok(size: int, message_size: int) -> bool:
    """Whether a direct payload of `size` bytes is a padded message whose bucket is within `message_size`
    bytes.
    """
    return _DIRECT_BUCKETS.get(size, message_size + 1) <= message_size


def channel_payload_ok(size: int, message_size: int) -> bool:
    """Whether a channel payload of `size` bytes is a padded message whose bucket is within `message_size`
    bytes.
    """
    return _CHANNEL_BUCKETS.get(size, message_size + 1) <= message_size


def message_cost(size: int) -> int:
    """How many requests a payload of `size` bytes counts as: one, and one for every further 64 KiB."""
    return max(1, size // COST_BYTES)


def signal_cost(size: int) -> int:
    """How many requests a signal of `size` bytes counts as: one, and one for every further 4 KiB."""
    return max(1, size // SIGNAL_COST_BYTES)


def media_cost(size: int) -> int:
    """How many frames of the media rate a body of `size` bytes counts as: one, and one for every further 16
    KiB.
    """
    return max(1, size // MEDIA_COST_BYTES)


def largest_content(message_size: int) -> int:
    """The longest plaintext, in bytes, whose bucket is within a server's `message_size` bytes; 0 if none
    is.
    """
    bucket = max((size for size in BUCKET_SIZES if size <= message_size), default=0)
    return max(0, bucket - _PADDING_HEAD - _TAG)
