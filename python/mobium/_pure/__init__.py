"""The kernels in plain Python, on `cryptography` and `hmac`: the same names, order, errors and bytes as
native/core/src.

Not its concern: which of the two is used (`mobium._backend`), entropy and time (arguments everywhere). Python
cannot wipe `bytes`, so secrets that these twins drop stay in memory until it is used again; where that
matters, use the native back end.
"""
