"""What writers note in their logs, one line for each event, and the digests they note.

Lives here: lines, written and read, and digests. Does not live here: what writers do (`writer`),
what must follow from the lines (`checker`). Nothing of the library is imported: the checker reads
the same lines.

    put NUMBER THREAD LIFE CHECKPOINT PARENT VALUES METADATA     before the call; - is no parent
    writes NUMBER THREAD LIFE CHECKPOINT TASK COUNT PIECES       before the call
    delete NUMBER THREAD LIFE,LIFE                               the lives its writer knows of
    read NUMBER THREAD CHECKPOINT                                - is the newest
    done NUMBER                                                  the call returned: acknowledged
    got NUMBER CHECKPOINT LIFE VALUES METADATA TASK:COUNT:PIECES,...   what a read gave; - is none
    failed NUMBER ERROR maybe|never                              whether it may be written

A life of a thread begins with a put without a parent, each such call with one of its own; every
other call belongs to the life of the config it was given. Only `delete` ends lives.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

NONE = "-"
LARGE = 4_096


def digest(values: Mapping[str, Any]) -> str:
    """What the values of a checkpoint must add up to."""
    seen = hashlib.blake2b(digest_size=12)
    for name in sorted(values):
        value = values[name]
        data = value if isinstance(value, bytes) else repr(value).encode()
        seen.update(name.encode() + (_hash(data) if len(data) < LARGE else _hash_of_large(data)))
    return seen.hexdigest()


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


# Large values stay the same over many steps.
_hash_of_large = lru_cache(maxsize=256)(_hash)


def pieces_digest(pieces: Sequence[Any]) -> str:
    """What the writes of one call must add up to."""
    return digest({f"{place:06}": piece for place, piece in enumerate(pieces)})


def metadata_digest(metadata: Mapping[str, Any]) -> str:
    """What the metadata of a checkpoint must add up to."""
    text = orjson.dumps(dict(metadata), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=12).hexdigest()


class Log:
    """The log of one writer: every line is in the file before the writer goes on."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        self._numbers = itertools.count(1)

    def begin(self, kind: str, *words: object) -> int:
        """Note a call before it is made; give its number."""
        number = next(self._numbers)
        self._say(kind, number, *words)
        return number

    def done(self, number: int) -> None:
        """Note that a call returned."""
        self._say("done", number)

    def got(self, number: int, *words: object) -> None:
        """Note what a read gave."""
        self._say("got", number, *words)

    def failed(self, number: int, error: str, outcome: str) -> None:
        """Note the error a call raised."""
        self._say("failed", number, error, outcome)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _say(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def read_log(path: Path) -> Iterator[list[str]]:
    """The lines of a log as words; the last one may be cut short by a kill and is left out then."""
    lines = path.read_text().split("\n") if path.exists() else [""]
    for line in lines[:-1]:
        yield line.split(" ")


def count_done(path: Path, offset: int) -> tuple[int, int]:
    """How many calls were acknowledged since an offset, and where the file ends now."""
    if not path.exists():
        return 0, offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    return data.count(b"\ndone ") + data.startswith(b"done "), offset + len(data)
