"""The process that forks writers of which each may have a defect: `python -m crash.defective`.

So that the tests of all defects share one warm process; the campaign's own (`writer`) has one
defect for all of its writers. No test stands here.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from .defects import plant
from .forks import Forks, Order, serve
from .writer import write


class Warm(Forks):
    """Such a process, or the one of servers, that many campaigns use one after the other.

    Attributes:
        defect: What is planted in the next child; None is nothing.
    """

    def __init__(self, module: str) -> None:
        super().__init__(module)
        self.defect: str | None = None
        self._busy = False

    def start(self, order: Order) -> None:
        """Fork a child."""
        self._busy = True
        super().start({**order, "defect": self.defect})

    def kill(self) -> None:
        """Send SIGKILL to the child and wait for its end."""
        self._busy = False
        super().kill()

    def end_child(self) -> None:
        """Kill the child of a campaign that did not come to its end."""
        if self._busy:
            with suppress(RuntimeError):  # it had ended by itself
                self.kill()

    def close(self) -> None:
        """End the process and its child."""
        self.end_child()
        super().close()


def run(order: Order) -> None:
    """Be a writer."""
    if order["defect"] is not None:
        plant(order["defect"])
    asyncio.run(write(order))


if __name__ == "__main__":
    serve(run)
