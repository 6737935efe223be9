"""`make test-integration` as somebody with a cluster runs it, against a local server instead.

The server is a process of its own that was told nothing but a file and a port. What refuses to
start without both variables is tested in `test_environment.py`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import environment
import pytest
from shared.places import Place, provision, query, server_process

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.rehearsal,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
]

OUTER = ("KUSTO_", "PYTEST_", "ARGS", "MAKE", "MFLAGS")


@pytest.fixture
def stand_in_environment(tmp_path: Path) -> Path:
    """An environment that is in order and is this interpreter: nothing is built or installed.

    `make` would otherwise rebuild the environment these tests run in, under their feet.
    """
    directory = tmp_path / "environment"
    (directory / "bin").mkdir(parents=True)
    python = directory / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (directory / ".interpreter").write_text(environment.interpreter_stamp(str(directory)))
    (directory / ".installed").write_text(environment.installed_stamp(None))
    return directory


def rehearse(
    place: Place, stand_in: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `make -s test-integration` against a place."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OUTER)}
    kept |= {"KUSTO_CLUSTER_URI": place.uri, "KUSTO_DATABASE": place.database, **variables}
    command = ["make", "-s", "test-integration", f"PYTHON={sys.executable}", f"VENV={stand_in}"]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, env=kept, capture_output=True, text=True
    )
    assert "Making" not in done.stderr, "an environment was built"
    assert "Installing" not in done.stderr, "something was installed"
    return done


def passed(done: subprocess.CompletedProcess[str]) -> int:
    """How many tests passed, in a run where none failed."""
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    summary = done.stdout.rstrip().splitlines()[-1]
    assert "failed" not in summary
    assert "error" not in summary
    found = re.search(r"(\d+) passed", summary)
    assert found is not None, summary
    return int(found[1])


def test_the_whole_of_it(tmp_path: Path, stand_in_environment: Path) -> None:
    """It provisions when told to, touches only threads of its own, and deletes those."""
    with server_process(tmp_path / "kusto.db", provisioned=False) as server:
        done = rehearse(server.place, stand_in_environment, KUSTO_TEST_CREATE="1")

        assert passed(done) > 300
        assert query(server.place, "Checkpoints | count")[0]["Count"] > 1_000
        strangers = "Checkpoints | where thread_id !startswith_cs 'it-' | count"
        assert query(server.place, strangers) == [{"Count": 0}]
        assert query(server.place, "LiveCheckpoints() | count") == [{"Count": 0}]


def test_viewer_and_ingestor_suffice(tmp_path: Path, stand_in_environment: Path) -> None:
    """In a database that somebody else provisioned, and only with the roles the README names."""
    path = tmp_path / "kusto.db"
    with server_process(path):
        pass
    roles = ("--role", "viewer", "--role", "ingestor")
    with server_process(path, *roles, provisioned=False) as server:
        some = "ARGS=-k 'TestDeletes and test_sync or test_time_travel or test_setup_checks'"
        assert passed(rehearse(server.place, stand_in_environment, some)) > 12


def test_a_database_nobody_provisioned(tmp_path: Path, stand_in_environment: Path) -> None:
    """Without leave to create, it says what is missing instead of creating it."""
    with server_process(tmp_path / "kusto.db", provisioned=False) as server:
        done = rehearse(server.place, stand_in_environment, "ARGS=-x -k test_setup_checks")

        assert done.returncode != 0
        assert "TableNotFoundError" in done.stdout
        assert "provision.kql" in done.stdout
        assert query(server.place, "print made = 1") == [{"made": 1}]
        provision(server.place)
        assert query(server.place, "Checkpoints | count") == [{"Count": 0}]
