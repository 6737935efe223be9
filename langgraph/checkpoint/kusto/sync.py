"""`KustoSaver`, the saver for scripts and notebooks.

What it does stands in `_saver.py` and `_extended.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._extended import ExtendedKustoSaverBase
from ._provisioning import check, provision
from ._saver import _nothing

if TYPE_CHECKING:
    from typing_extensions import Self


class KustoSaver(ExtendedKustoSaverBase):
    """Keeps LangGraph checkpoints in Kusto, for sync code.

    Lives on an event loop in a thread of its own, so its sync methods work from any thread, many at
    a time (they share requests), and its async methods work on any loop: one object serves
    `invoke` and `ainvoke`. Arguments as `AsyncKustoSaver`.

    Example:
        ```python
        with KustoSaver.from_connection_string(
            cluster_uri="https://mycluster.westeurope.kusto.windows.net", database="agents"
        ) as saver:
            graph = builder.compile(checkpointer=saver)
        ```
    """

    _own_thread = True

    def setup(self, create: bool = False) -> None:
        """Check that the database has what this library needs, or create it.

        Args and Raises as `AsyncKustoSaver.setup`.
        """
        work = provision if create else check
        self._home.run_sync(lambda core: work(core), "asetup")

    def flush(self) -> None:
        """Wait until everything accepted so far is answered.

        Raises:
            WriteFailedError: Something accepted earlier was not written.
        """
        self._home.run_sync(lambda core: core.flush(), "aflush")

    def close(self) -> None:
        """Drain within `close_timeout` and close; closing again does nothing.

        Raises:
            WriteFailedError: Something accepted was not written; it names what.
        """
        self._home.close()

    def __enter__(self) -> Self:
        try:
            self._home.run_sync(_nothing, "__aenter__")
        except BaseException:  # `with` does not leave what it could not enter
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
