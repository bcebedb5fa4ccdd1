"""Digests of finnmake's own modules, kept with the state of the tasks: most runs find them unchanged."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from finnmake.engine.files import FileDigests
from finnmake.engine.runtime import PACKAGE

_COLUMNS = "path, size, mtime_ns, ctime_ns, inode, digest"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS digests"
    " (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, digest TEXT)"
)


def recall(connection: sqlite3.Connection, digests: FileDigests) -> None:
    """Take the digests of earlier runs: each counts only while its file has the signature that it had."""
    with suppress(sqlite3.Error):  # there is no table yet, or it is damaged
        rows = connection.execute(f"SELECT {_COLUMNS} FROM digests")
        for path, size, mtime_ns, ctime_ns, inode, digest in rows:
            digests.remember(path, (size, mtime_ns, ctime_ns, inode), digest)


def keep(connection: sqlite3.Connection, digests: FileDigests) -> None:
    """Keep those that this run has worked out."""
    rows = [(path, *signature, digest) for path, signature, digest in digests.worked_out(str(PACKAGE))]
    if rows:
        with suppress(sqlite3.Error), connection:  # they only spare work
            connection.execute(_TABLE)
            connection.executemany(f"REPLACE INTO digests ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", rows)
