"""A PostgreSQL server for the time of a test run: where its programs are, start, stop.

Nothing about savers. The server listens on a socket in a directory of its own, never on the
network, and keeps nothing: what it wrote goes with it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

INSTALL = "sudo apt-get install postgresql"
FAST = ("fsync=off", "max_connections=20", "shared_buffers=32MB", "full_page_writes=off")
"""Settings for tests, which kill no machine; without them a server has PostgreSQL's defaults."""

_ROLE = "differential"
_UNPRIVILEGED = ("postgres", "nobody")


def find_programs() -> Path | None:
    """The newest directory with `initdb` and `postgres`, which Debian keeps off the path."""
    versions = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    installed = sorted(versions, key=lambda found: (len(found.parent.name), found))
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    for directory in [*on_path, *reversed(installed)]:
        if all(os.access(directory / name, os.X_OK) for name in ("initdb", "postgres")):
            return directory
    return None


@contextmanager
def running(programs: Path, settings: Sequence[str] = FAST) -> Iterator[str]:
    """Start a server over an empty database and give its connection string."""
    account = _account()
    # Not under pytest's own directory, which another user may not enter; and a short path, since
    # the name of a socket has about 100 bytes.
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if account is not None:
            os.chown(directory, account.pw_uid, account.pw_gid)
        with _server(programs, directory, account, settings):
            yield f"host={directory} user={_ROLE} dbname=postgres"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _account() -> pwd.struct_passwd | None:
    """Whom to run as: PostgreSQL refuses to run as root. None is the user that runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError(f"PostgreSQL does not run as root, and none of {_UNPRIVILEGED} is there")


@contextmanager
def _server(
    programs: Path, directory: Path, account: pwd.struct_passwd | None, more: Sequence[str]
) -> Iterator[subprocess.Popen[bytes]]:
    data = directory / "data"
    # The C locale: checkpoint ids then compare byte by byte, as they do in Kusto.
    made = ["-D", str(data), "-U", _ROLE, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    log = directory / "log"
    with log.open("wb") as output:
        done = _start([str(programs / "initdb"), *made], directory, account, output).wait()
        if done != 0:
            raise RuntimeError(f"initdb failed: {log.read_text(errors='replace')}")
        settings = ["listen_addresses=", f"unix_socket_directories={directory}", *more]
        options = [part for setting in settings for part in ("-c", setting)]
        command = [*_leash(), str(programs / "postgres"), "-D", str(data), *options]
        server = _start(command, directory, account, output)
        try:
            _await_ready(data / "postmaster.pid", server, log)
            yield server
        finally:
            server.send_signal(signal.SIGINT)  # does not wait for clients that are still connected
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _leash() -> list[str]:
    """What ends the server with the tests even when those are killed; Linux has it."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT"] if setpriv else []


def _start(
    command: list[str], directory: Path, account: pwd.struct_passwd | None, output: object
) -> subprocess.Popen[bytes]:
    """Start a program, as the unprivileged user when this one is root."""
    environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(directory)}
    who = (
        {}
        if account is None
        else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    )
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        command, cwd=directory, env=environment, stdout=output, stderr=subprocess.STDOUT, **who
    )


def _await_ready(status: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server says, in the last line of its lock file, that it is ready."""
    while server.poll() is None:
        try:
            lines = status.read_text().splitlines()
        except FileNotFoundError:
            lines = []
        if lines and lines[-1].strip() == "ready":
            return
        try:
            server.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}")
