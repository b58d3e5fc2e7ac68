"""Where the server keeps what it must keep: `base` says what that is, `memory` and `sqlite` do it, `worker`
gives it a thread of its own.
"""
