"""A lock that two servers cannot hold on one file.

Lives here: an advisory lock on a file beside the data file, released by the operating system when
the process dies. Does not live here: SQLite's own locking, which allows several processes and so
cannot tell a second server from a reader.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .errors import LocalKustoError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """Exclusive use of one data file, within this process and between processes."""

    def __init__(self, path: Path) -> None:
        self._data_path = path
        self._path = path.with_name(path.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock without waiting.

        Raises:
            LocalKustoError: the folder is missing or not writable, or another server holds the
                lock.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LocalKustoError(
                f"cannot open {self._data_path}: {error.strerror}; name a file in a folder that "
                "exists and is writable"
            ) from error
        try:
            _try_lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise LocalKustoError(
                f"{self._data_path} is in use by another local Kusto server; "
                "stop that server or name another file"
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; the small lock file stays, so that no third server can slip in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
