"""`AsyncKustoSaver`, the saver for services.

What it does stands in `_saver.py` and `_extended.py`.
"""

from __future__ import annotations

from ._extended import ExtendedKustoSaverBase


class AsyncKustoSaver(ExtendedKustoSaverBase):
    """Keeps LangGraph checkpoints in Kusto (Azure Data Explorer, Fabric Eventhouse).

    Lives on the event loop of its first await; calls from other loops and threads hop to it, and
    when that loop is gone it moves to the next one. Sync methods work from other threads and raise
    `OwnLoopError` on its own loop.

    Args:
        cluster_uri: `https://...`, `http://` on loopback, or a Kusto connection string.
        database: The database, unless `cluster_uri` names it.
        transport: An object with the `Transport` protocol, instead of an endpoint.
        credential: None for `DefaultAzureCredential`, any azure-identity credential, sync or async,
            or `"app-id;app-key;tenant"`.
        serde: Serializer of values, `JsonPlusSerializer` by default.
        **options: See `SaverOptions`.

    Raises:
        ConfigurationError: Something of it cannot be used; nothing was contacted.

    Example:
        ```python
        async with AsyncKustoSaver.from_connection_string(
            cluster_uri="https://mycluster.westeurope.kusto.windows.net", database="agents"
        ) as saver:
            graph = builder.compile(checkpointer=saver)
        ```
    """

    async def setup(self, create: bool = False) -> None:
        """Check that the database has what this library needs, or create it.

        Args:
            create: Also create what is missing and set what differs (Database Admin); without it
                Database Viewer suffices.

        Raises:
            TableNotFoundError: A table, the view or a function is missing.
            SchemaTooOldError: The tables are older than this library.
            StreamingDisabledError: A table does not take streaming ingestion.
            PermissionDeniedError: The identity lacks the role.
        """
        await self.asetup(create)

    async def flush(self) -> None:
        """Wait until everything accepted so far is answered.

        Raises:
            WriteFailedError: Something accepted earlier was not written.
        """
        await self.aflush()
