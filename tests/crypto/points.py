"""Encodings that strict Ed25519 and X25519 refuse, listed by what they are."""

from __future__ import annotations

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493

_ORDER_8 = (
    int.from_bytes(
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
    ),
    int.from_bytes(
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
    ),
)


def _encode(y: int, sign: int) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


ED25519_SMALL_ORDER = [_encode(y, sign) for y in (0, 1, P - 1, *_ORDER_8) for sign in (0, 1)]
"""Both signs of every y of a point of order 1, 2, 4 or 8."""

ED25519_NOT_CANONICAL = [_encode(y, sign) for y in range(P, 2**255) for sign in (0, 1)]
"""All 38 encodings of a y that is not below the prime."""

_X25519_ORDER_8 = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
X25519_SMALL_ORDER = [
    (u | top << 255).to_bytes(32, "little")
    for u in (0, 1, *_X25519_ORDER_8, P - 1, P, P + 1)
    for top in (0, 1)
]
"""Every u that gives an all-zero secret, with the top bit (which X25519 ignores) clear and set."""
