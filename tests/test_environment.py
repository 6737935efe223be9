"""What a fresh machine is told when something is missing; when the environment is rebuilt."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tools" / "environment.py"

RUN_SCRIPT = (
    "import sys, runpy; sys.argv = ['x', sys.argv[1]]; {}; "
    f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
)


def environment(directory: Path, first: str) -> subprocess.CompletedProcess[str]:
    """Run the script in an interpreter that was made worse by `first`."""
    program = RUN_SCRIPT.format(first)
    return subprocess.run(
        [sys.executable, "-c", program, str(directory)], capture_output=True, text=True
    )


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KUSTO_", "MAKE", "MFLAGS"))
    }
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=kept | variables, capture_output=True, text=True
    )


@pytest.mark.parametrize("module", ["ensurepip", "venv"])
def test_a_missing_venv_module_names_the_apt_line(module: str, tmp_path: Path) -> None:
    done = environment(tmp_path / "env", f"sys.modules[{module!r}] = None")

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("sudo apt-get install python3")
    assert last.endswith("-venv")
    assert not (tmp_path / "env").exists()


def test_the_distribution_python_gets_the_plain_package_name(tmp_path: Path) -> None:
    done = environment(
        tmp_path / "env", "sys.modules['venv'] = None; sys.executable = '/usr/bin/python3'"
    )

    assert done.stderr.splitlines()[-1] == "sudo apt-get install python3-venv"


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    done = environment(tmp_path / "env", "sys.version_info = (3, 9, 18)")

    assert done.returncode == 1
    assert "Python 3.10 or newer is needed" in done.stderr
    assert "make test PYTHON=" in done.stderr
    assert not (tmp_path / "env").exists()


def test_an_environment_in_order_is_left_alone(tmp_path: Path) -> None:
    """And one for another interpreter, or for another pyproject.toml, is not."""
    stub = (
        "import subprocess; "
        "subprocess.check_call = lambda command: print(*command[1:4]) or "
        "__import__('os').makedirs(sys.argv[1] + '/bin', exist_ok=True) or "
        "open(sys.argv[1] + '/bin/python', 'w').close()"
    )
    target = tmp_path / "env"

    first = environment(target, stub)
    second = environment(target, stub)
    (target / ".interpreter").write_text("another one\n")
    other_interpreter = environment(target, stub)
    (target / ".installed").write_text("another hash\n")
    other_project = environment(target, stub)

    assert first.stdout.splitlines() == ["-m venv --clear", "-m pip install"]
    assert second.stdout == ""
    assert other_interpreter.stdout.splitlines()[0] == "-m venv --clear"
    assert other_project.stdout.splitlines() == ["-m pip install"]


def test_constraints_are_installed_and_their_changes_noticed(tmp_path: Path) -> None:
    """And the newest Postgres saver, which needs newer versions, is left out."""
    target, constraints = tmp_path / "env", tmp_path / "line.txt"
    constraints.write_text("langgraph==1\n")
    stub = (
        f"import subprocess; sys.argv.append({str(constraints)!r}); "
        "subprocess.check_call = lambda command: print(*command[1:]) or "
        "__import__('os').makedirs(sys.argv[1] + '/bin', exist_ok=True) or "
        "open(sys.argv[1] + '/bin/python', 'w').close()"
    )

    first = environment(target, stub)
    second = environment(target, stub)
    constraints.write_text("langgraph==2\n")
    changed = environment(target, stub)

    installed = first.stdout.splitlines()[1]
    assert installed.endswith(f"[local,dev] --constraint {constraints}")
    assert second.stdout == ""
    assert changed.stdout.splitlines() == [installed]


def test_without_constraints_the_postgres_saver_is_installed(tmp_path: Path) -> None:
    stub = "import subprocess; subprocess.check_call = lambda command: print(*command[1:])"
    done = environment(tmp_path, stub)

    assert done.stdout.splitlines()[-1].endswith("[local,dev,differential,bench]")


def test_the_oldest_line_holds_the_lower_bounds() -> None:
    """What pyproject.toml allows at the least is what `make test-oldest` runs with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    bounds = dict(re.findall(r"^(langgraph(?:-checkpoint)?)>=([\d.]+),", "\n".join(wanted), re.M))
    line = (ROOT / "tools" / "lines" / "oldest.txt").read_text()

    assert dict(re.findall(r"^([\w-]+)==([\d.]+)$", line, re.M)) == bounds
    assert set(bounds) == {"langgraph", "langgraph-checkpoint"}


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
@pytest.mark.parametrize(
    "variables",
    [{}, {"KUSTO_CLUSTER_URI": "http://127.0.0.1:1"}, {"KUSTO_DATABASE": "D"}],
    ids=["neither", "only the address", "only the database"],
)
def test_integration_without_an_address_exits_2_and_names_both(variables: dict[str, str]) -> None:
    done = make("test-integration", **variables)

    assert done.returncode == 2
    assert "KUSTO_CLUSTER_URI" in done.stderr
    assert "KUSTO_DATABASE" in done.stderr


@needs_make
def test_make_alone_lists_the_targets() -> None:
    done = make()

    assert done.returncode == 0
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert {"demo", "test", "test-unit", "test-integration", "lint", "format", "help"} <= listed
    assert {"test-differential", "test-oldest"} <= listed
