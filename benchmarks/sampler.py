"""A profile by samples of the stack, one for each few milliseconds of CPU.

Unlike one that hooks every call it does not make small functions look large. It sees the thread it
was made in, as tasks of an event loop run; what a thread pool does is not seen.
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_INTERVAL_SECONDS = 0.001  # the kernel rounds it up to its own tick
Stack = tuple[str, ...]


class Sampler:
    """Counts stacks, outermost function first, while it is entered."""

    def __init__(self) -> None:
        self.stacks: Counter[Stack] = Counter()

    def __enter__(self) -> Sampler:
        self._before = signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL_SECONDS, _INTERVAL_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._before)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        stack: list[str] = []
        while frame is not None:
            code = frame.f_code
            # The innermost by line, the others by function, else every sample were a stack apart.
            line = code.co_firstlineno if stack else frame.f_lineno or 0
            stack.append(_named(code, line))
            frame = frame.f_back
        self.stacks[tuple(reversed(stack))] += 1

    def write(self, path: Path) -> None:
        """Write the stacks as JSON."""
        path.write_text(json.dumps([[*item] for item in self.stacks.items()]))


@cache
def _named(code: CodeType, line: int) -> str:
    place = "/".join(Path(code.co_filename).parts[-2:])
    return f"{place}:{line} {getattr(code, 'co_qualname', code.co_name)}"  # from Python 3.11 on


def read(path: Path) -> Counter[Stack]:
    """Read what `Sampler.write` wrote."""
    found: list[Any] = json.loads(path.read_text())
    return Counter({tuple(stack): count for stack, count in found})
