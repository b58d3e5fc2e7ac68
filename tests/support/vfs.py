"""A SQLite file layer that counts syncs and can run out of disk: the real one, with two of its functions
wrapped.

Not its concern: what a storage does about it.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OK = 0
FULL = 13  # SQLITE_FULL: the disk is full
_X_OPEN = 40  # offsets in sqlite3_vfs and sqlite3_io_methods, on every 64-bit system
_X_WRITE = 24
_X_SYNC = 40
_VFS_SIZE = 176
_METHODS_SIZE = 152

_library = ctypes.CDLL(_sqlite3.__file__)
_pointer = ctypes.c_void_p
_Open = ctypes.CFUNCTYPE(ctypes.c_int, _pointer, _pointer, _pointer, ctypes.c_int, _pointer)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, _pointer, _pointer, ctypes.c_int, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, _pointer, ctypes.c_int)


class Disk:
    """What the wrapped file layer saw, and what it is told to do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.syncs = 0
        self.writes = 0
        self.full = False

    def connect(self, path: Path) -> sqlite3.Connection:
        """A connection through this layer, for a storage's `connector`."""
        return sqlite3.connect(
            f"{path.as_uri()}?vfs={self.name}", uri=True, isolation_level=None, check_same_thread=False
        )


@contextmanager
def disk(name: str = "watched") -> Iterator[Disk]:
    """Register the layer for the length of the block."""
    watched = Disk(name)
    find = _library.sqlite3_vfs_find
    find.restype = _pointer
    find.argtypes = [ctypes.c_char_p]
    original = find(None)
    copy = ctypes.create_string_buffer(ctypes.string_at(original, _VFS_SIZE), _VFS_SIZE)
    label = ctypes.create_string_buffer(name.encode())
    real_open = _Open(_read(original + _X_OPEN))
    tables: dict[int, ctypes.Array[ctypes.c_char]] = {}
    kept: list[object] = []

    def wrap(methods: int) -> ctypes.Array[ctypes.c_char]:
        table = ctypes.create_string_buffer(ctypes.string_at(methods, _METHODS_SIZE), _METHODS_SIZE)
        real_write = _Write(_read(methods + _X_WRITE))
        real_sync = _Sync(_read(methods + _X_SYNC))

        def write(file: int, data: int, amount: int, offset: int) -> int:
            watched.writes += 1
            return FULL if watched.full else int(real_write(file, data, amount, offset))

        def sync(file: int, flags: int) -> int:
            watched.syncs += 1
            return int(real_sync(file, flags))

        for offset, function in ((_X_WRITE, _Write(write)), (_X_SYNC, _Sync(sync))):
            kept.append(function)
            _write(ctypes.addressof(table) + offset, ctypes.cast(function, _pointer).value or 0)
        return table

    def open_file(vfs: int, path: int, file: int, flags: int, out: int) -> int:
        code = int(real_open(vfs, path, file, flags, out))
        methods = _read(file)
        if methods:
            if methods not in tables:
                tables[methods] = wrap(methods)
            _write(file, ctypes.addressof(tables[methods]))
        return code

    opener = _Open(open_file)
    _write(ctypes.addressof(copy) + 16, 0)  # pNext
    _write(ctypes.addressof(copy) + 24, ctypes.addressof(label))  # zName
    _write(ctypes.addressof(copy) + _X_OPEN, ctypes.cast(opener, _pointer).value or 0)
    address = ctypes.c_void_p(ctypes.addressof(copy))
    assert _library.sqlite3_vfs_register(address, 0) == OK
    try:
        yield watched
    finally:
        assert _library.sqlite3_vfs_unregister(address) == OK


def _read(address: int) -> int:
    return ctypes.c_void_p.from_address(address).value or 0


def _write(address: int, value: int) -> None:
    ctypes.c_void_p.from_address(address).value = value or None
