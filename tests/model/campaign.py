"""Run many sequences, in as many processes as there are processors.

`make test-model`, with SEQUENCES=, FIRST= and INGESTION=. Prints each sequence that fails, makes
the first of them small, and exits with 1 then.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from . import operations as op
from .sequences import shrink, try_sequence
from .ways import Way

WAYS = ("streaming", "inline")
_AT_ONCE = 10
_TOLD_AFTER = 100


def main(arguments: list[str]) -> int:
    """Run the sequences of the command line: how many, the first, the way of ingestion."""
    count, first = map(int, arguments[:2])
    way = Way(*arguments[2:])
    if way.ingestion not in WAYS:
        print(f"INGESTION is one of {', '.join(WAYS)}; queued ingestion: make test-queued")
        return 2
    started = time.monotonic()
    failed: list[int] = []
    steps = 0
    for done, (number, taken, error) in enumerate(run(first, count, way), start=1):
        steps += taken
        if done % _TOLD_AFTER == 0:
            print(f"{done} of {count}", flush=True)
        if error:
            failed.append(number)
            print(f"sequence {number}: {error}", flush=True)
    minutes = (time.monotonic() - started) / 60
    print(
        f"{count - len(failed)} of {count} sequences passed, {steps} steps, {minutes:.1f} minutes"
    )
    if not failed:
        return 0
    print(
        f"failed: {', '.join(map(str, failed))}; one again: make test-model SEQUENCES=1 FIRST=N"
        f" INGESTION={way.ingestion}"
    )
    if count == 1:
        make_small(failed[0], way)
    return 1


def run(first: int, count: int, way: Way) -> Iterator[tuple[int, int, str]]:
    """Run sequences; give for each its number, its steps and how it failed, "" for not at all."""
    groups = [
        range(start, min(start + _AT_ONCE, first + count))
        for start in range(first, first + count, _AT_ONCE)
    ]
    # One more than there are processors: each waits for its server now and then.
    workers = min(len(groups), (os.cpu_count() or 1) + 1)
    # Forked processes would inherit the threads of this one as they stand.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_run, group, way) for group in groups]):
            yield from done.result()


def _run(numbers: range, way: Way) -> list[tuple[int, int, str]]:
    return [_run_one(number, way) for number in numbers]


def _run_one(number: int, way: Way) -> tuple[int, int, str]:
    try:
        taken = try_sequence(number, way)
    except Exception as error:  # noqa: BLE001 - reported, and the others go on
        return number, 0, f"{type(error).__name__}: {error}"
    too_short = taken < op.LEAST_STEPS
    return number, taken, f"only {taken} steps" if too_short else ""


def make_small(number: int, way: Way) -> None:
    """Print the smallest sequence that fails as this one does."""
    try:
        try_sequence(number, way)
    except Exception:  # noqa: BLE001 - the same again is what is wanted
        shrink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
