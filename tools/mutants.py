"""Mutants: break the pure files one small step at a time and see whether their unit tests notice.

    python tools/mutants.py                        every pure file
    python tools/mutants.py _batch _kql/thread     some of them
    python tools/mutants.py _kql                   all of a package
    python tools/mutants.py _batch --show 'cut'    only mutants whose name holds this text

A mutant is one changed operator, constant, condition, return or dropped statement. It is never
written to a file: a child process loads it in place of the module and runs
`tests/unit/test_<module>.py` and `test_<module>_*.py`, those of the package for a module inside
one. A mutant that no test notices must stand in `docs/mutants.md` with its reason, and nothing else
may, else the exit code is 1. Which mutations there are is in `mutations.py`. POSIX only (`fork`).
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import gc
import importlib
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

from mutations import Mutant, mutants_of

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "langgraph" / "checkpoint" / "kusto"
EXPLAINED = ROOT / "docs" / "mutants.md"

# Imported once, before the forks: what the tests need and no mutant changes.
_WARM = (
    *("pytest", "_pytest.assertion.rewrite", "pytest_asyncio", "pytest_timeout", "hypothesis"),
    *("hypothesis.strategies", "hypothesis.internal.conjecture.engine", "orjson", "lark"),
    *("langgraph.checkpoint.base", "langgraph.checkpoint.serde.jsonplus", "backports.zstd"),
    "langgraph.checkpoint.kusto.local.kql",
)
_PATIENCE = 30
"""Seconds of the processor after which a mutant counts as noticed: it made a test run for ever. No
tests of one module need a fifth of it, and a busy machine does not change it."""

_DEADLOCK = 900.0
"""Seconds, if it waits for ever instead."""


def pure_modules() -> list[str]:
    """Name the pure modules, as `tests/test_house.py` lists them."""
    tree = ast.parse((ROOT / "tests" / "test_house.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PURE_FILES":
            return [name.removesuffix(".py") for name in ast.literal_eval(node.value)]
    raise SystemExit("tests/test_house.py has no PURE_FILES")


def explained() -> set[str]:
    """Names of the mutants that docs/mutants.md explains: the code at the start of each item."""
    text = EXPLAINED.read_text(encoding="utf-8") if EXPLAINED.exists() else ""
    return set(re.findall(r"^- `` (.+?) ``", text, re.MULTILINE))


def chosen_modules(asked: list[str]) -> list[str]:
    """Name the modules that were asked for, by their own name or by that of their package."""
    pure = pure_modules()
    chosen = []
    for name in asked or pure:
        found = [item for item in pure if item == name or item.startswith(f"{name}/")]
        if not found:
            raise SystemExit(f"{name} is no pure module; there are: {', '.join(pure)}")
        chosen += found
    return chosen


def tests_of(module: str) -> list[str]:
    """Unit tests of a module, or of the package it stands in; those that name it first."""
    package, _, name = module.rpartition("/")
    path = ROOT / "tests" / "unit" / f"test_{(package or name).lstrip('_')}.py"
    found = [
        item for item in (path, *sorted(path.parent.glob(f"{path.stem}_*.py"))) if item.exists()
    ]
    if not found:
        raise SystemExit(f"{module} has no unit tests: {path} is missing")
    if package:
        found.sort(key=lambda item: (name not in item.stem, item == path))
    return [str(item) for item in found]


def run_tests(module: str, code: CodeType | None) -> int:
    """Run a module's tests in this process, with its code replaced; the exit code of pytest."""
    target = str(PACKAGE / f"{module}.py")
    original = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        return code if self.path == target else original(self, fullname)

    if code is not None:
        SourceFileLoader.get_code = get_code  # type: ignore[assignment,method-assign]
    import hypothesis
    import pytest

    # The tests' own profile would shrink each failure, which nobody reads here.
    hypothesis.settings.register_profile(
        "mutants",
        deadline=None,
        database=None,
        derandomize=True,
        max_examples=50,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutants")
    # Past the metaclass, which forbids it: the conftest shall not load its own profile over this.
    type.__setattr__(hypothesis.settings, "load_profile", lambda name: None)
    # Of the plugins only ours: others that happen to be installed load slowly.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    plugins = ["pytest_asyncio.plugin", "pytest_timeout", "_hypothesis_pytestplugin"]
    options = [f"-p{plugin}" for plugin in (*plugins, "no:cacheprovider")]
    options += ["-x", "-q", "--tb=no", "--no-header", "-W", "ignore"]
    # Without tests/conftest.py, which loads the local server.
    options += [f"--rootdir={ROOT}", f"--confcutdir={ROOT / 'tests' / 'unit'}"]
    return int(pytest.main([*tests_of(module), *options]))


def noticed(module: str, code: CodeType | None) -> bool:
    """Run the tests in a child process; tell whether they failed, or would not end."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 70
        # Whatever a mutant does to the tests, even on import, is a failure of theirs.
        with contextlib.suppress(BaseException):
            # What was loaded is no garbage; to look at it again took most of the time.
            gc.freeze()
            resource.setrlimit(resource.RLIMIT_CPU, (_PATIENCE, _PATIENCE))
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            status = run_tests(module, code)
        os._exit(status)
    end = time.monotonic() + _DEADLOCK
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status != 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def survivors(module: str, shown: str, jobs: int) -> Iterator[tuple[Mutant, bool]]:
    """Yield every mutant of a module and whether it survived its tests."""
    path = PACKAGE / f"{module}.py"
    source = path.read_text(encoding="utf-8")
    if noticed(module, compile(source, str(path), "exec")):
        raise SystemExit(f"the tests of {module} fail without any mutant")
    chosen = [mutant for mutant in mutants_of(source, f"{module}.py") if shown in mutant.name]

    def survived(mutant: Mutant) -> bool:
        return not noticed(module, compile(mutant.tree(), str(path), "exec"))

    with ThreadPoolExecutor(jobs) as pool:
        yield from zip(chosen, pool.map(survived, chosen), strict=True)


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "modules", nargs="*", help="pure modules without .py, or packages of them; all when none"
    )
    parser.add_argument("--show", default="", help="only mutants whose name holds this text")
    parser.add_argument("--jobs", type=int, default=2, help="children at the same time")
    asked = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for name in _WARM:
        importlib.import_module(name)
    known, unknown, stale, total, left = explained(), 0, 0, 0, 0
    for module in chosen_modules(asked.modules):
        alive, count = [], 0
        for mutant, survived in survivors(module, asked.show, asked.jobs):
            count += 1
            if survived:
                alive.append(mutant)
                is_known = mutant.name in known
                unknown += not is_known
                word = "explained" if is_known else "SURVIVED "
                print(f"  {word} line {mutant.line}: {mutant.name}", flush=True)
        total, left = total + count, left + len(alive)
        print(f"{module}: {count} mutants, {len(alive)} survived", flush=True)
        names = {mutant.name for mutant in alive}
        gone = {name for name in known - names if name.startswith(f"{module}.py ")}
        for name in sorted(gone if not asked.show else ()):
            stale += 1
            print(f"  STALE, explained and no survivor: {name}")
    print(f"{total} mutants, {total - left} killed, {left} survived, {unknown} unexplained")
    return 1 if unknown or stale else 0


if __name__ == "__main__":
    sys.exit(main())
