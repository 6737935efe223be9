"""Run the tests that what Kusto leaves open could break, once for each of many seeds.

Lives here: one run of pytest for each seed, and the summary. Does not live here: what a seed
changes (the local server), and how the tests hear of it (`KUSTO_TEST_SEED`, `tests/conftest.py`).
Streaming and inline ingestion; queued ingestion has a server of its own (`tests/queued`).

    python tools/seeds.py --seeds 50 [--first 1] [--jobs 1] [-- pytest's arguments]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEVELS = ("tests/conformance", "tests/integration", "tests/faults", "tests/differential")
# What a seed does not reach, or where it has little to decide for the time it takes: the local
# server's own tests, texts and programs, bad input, bytes on the wire, processes, days that pass.
LEFT_OUT = (
    "integration/local",
    "integration/ageing",
    "integration/test_costs.py",
    "integration/test_errors_*.py",
    "integration/test_exact_values.py",
    "integration/test_examples.py",
    "integration/test_processes.py",
    "integration/test_readme.py",
    "integration/test_seeds.py",
    "faults/test_cancel_steps.py",
    "faults/test_crash.py",
    "faults/test_fuzz_*.py",
    "faults/test_malformed_answers.py",
    "faults/test_secrets.py",
    "faults/test_stored_rows.py",
    "faults/test_tcp.py",
)
LIVE = ("KUSTO_CLUSTER_URI", "KUSTO_DATABASE", "KUSTO_TEST_CREATE")


def main() -> int:
    """Run the seeds; the exit code is 1 when one of them failed."""
    options = _parser().parse_args()
    seeds = range(options.first, options.first + options.seeds)
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = list(pool.map(lambda seed: _run(seed, options.arguments), seeds))
    failed = [seed for seed, passed in zip(seeds, runs, strict=True) if not passed]
    print(f"{len(runs) - len(failed)} of {len(runs)} seeds passed", end="")
    print(f"; failed: {', '.join(map(str, failed))}" if failed else "")
    if failed:
        print(f"one of them again: KUSTO_TEST_SEED={failed[0]} make test")
    return 1 if failed else 0


def _run(seed: int, arguments: list[str]) -> bool:
    environment = {name: value for name, value in os.environ.items() if name not in LIVE}
    environment["KUSTO_TEST_SEED"] = str(seed)
    # Whoever asks for tests by name gets those, the left out as well.
    tests = () if any(item.startswith("tests") for item in arguments) else _default_tests()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *arguments]
    started = time.monotonic()
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    lines = run.stdout.strip().splitlines() or [run.stderr.strip()]
    print(f"seed {seed}: {lines[-1]} ({time.monotonic() - started:.0f} s)", flush=True)
    for line in lines if run.returncode else ():
        # The names of what failed and why; the rest is seen by running the seed again.
        if re.match(r"E  |FAILED|ERROR|_{5,}", line):
            print(f"  {line}", flush=True)
    return run.returncode == 0


def _default_tests() -> list[str]:
    return [*LEVELS, *(f"--ignore-glob={ROOT / 'tests' / name}" for name in LEFT_OUT)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=50, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=1, help="the first (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="at a time (default: %(default)s)")
    parser.add_argument("arguments", nargs="*", help="more of pytest's arguments")
    return parser


if __name__ == "__main__":
    sys.exit(main())
