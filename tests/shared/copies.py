"""Copies of one provisioned database, for tests that spoil theirs; each has a server of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.kusto import KustoSaver

from .places import Place, local_place
from .threads import config_of, new_checkpoint

StartCopy = Callable[..., Place]

THREAD = "stored before"


def make_template(path: Path) -> Path:
    """Provision a database that holds one checkpoint of thread `THREAD`; its server has ended."""
    with local_place(path=path) as place, KustoSaver(place.uri, place.database) as saver:
        saver.put(config_of(THREAD), new_checkpoint({"a": 1}), {}, {"a": 1})
    return path


@contextmanager
def starting_copies(template: Path, folder: Path) -> Iterator[StartCopy]:
    """Start servers over copies of a template, with the settings each is started with."""
    with ExitStack() as servers:

        def start(**settings: Any) -> Place:
            path = folder / f"{len(list(folder.iterdir()))}.db"
            shutil.copy(template, path)
            return servers.enter_context(local_place(path=path, provisioned=False, **settings))

        yield start
