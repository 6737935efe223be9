"""What the run was made on: kept with the figures, because they mean nothing without it."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from differential.postgres import find_programs

_PACKAGES = (
    "langgraph-checkpoint-kusto",
    "langgraph",
    "langgraph-checkpoint",
    "langgraph-checkpoint-postgres",
    "langgraph-checkpoint-sqlite",
    "psycopg",
    "azure-kusto-data",
    "aiohttp",
    "orjson",
)


def described() -> dict[str, Any]:
    """Processor, memory, system, versions, and how busy the machine was at the beginning."""
    return {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_at_start": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "temporary_files_on": _file_system(Path(tempfile.gettempdir()).resolve()),
        "python": platform.python_version(),
        "postgres": _postgres(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(path: Path) -> str:
    """The kind of file system: in memory (tmpfs), a commit to disk costs nothing."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    around = [mount for mount in mounts if path.is_relative_to(mount[1])]
    return max(around, key=lambda mount: len(mount[1]))[2]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _postgres() -> str | None:
    programs = find_programs()
    if programs is None:
        return None
    asked = [str(programs / "postgres"), "--version"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
