"""What both savers share: LangGraph's contract in terms of the core.

Values are serialised here, before the first await (LangGraph hands over live containers), and
deserialised here; the core knows bytes only. `self.serde` is read at each call and nothing built
from it is kept, because LangGraph works on clones with another one.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from ._assembly import RawCheckpoint
from ._codec import check_serde
from ._config import Place, as_config, read_place
from ._conversion import (
    checkpoint_tuple,
    list_limit,
    list_range,
    metadata_of,
    next_version,
    put_request,
    writes_request,
)
from ._core import present
from ._deleting import delete_thread
from ._filter import check_filter, contains
from ._forks import ForkWatch
from ._listing import Listing
from ._memory import Memory
from ._portal import Home
from ._provisioning import check, provision
from ._reader import read_checkpoint
from ._renewal import put_checkpoint
from ._requests import PutRequest, Typed, WritesRequest
from ._rows import CheckpointKey
from ._serde import ExactSerializer
from ._stats import Stats
from ._threads import run_in_thread
from ._transport import SdkTransport, Transport, check_credential, no_endpoint_error, parse_endpoint
from ._values import OFF_LOOP_BYTES
from .errors import InvalidOptionError
from .options import SaverOptions

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._transport import TokenCredential
    from .options import OptionValues

logger = logging.getLogger(__name__)


class KustoSaverBase(BaseCheckpointSaver[str]):
    """The methods LangGraph calls, async and sync.

    All mutable state is in one object that clones made by `copy.copy` share.
    """

    _own_thread = False
    serde: SerializerProtocol = ExactSerializer()

    def __init__(
        self,
        cluster_uri: str | None = None,
        database: str | None = None,
        *,
        transport: Transport | None = None,
        credential: TokenCredential | str | None = None,
        serde: SerializerProtocol | None = None,
        **options: Unpack[OptionValues],
    ) -> None:
        if serde is not None:
            check_serde(serde)
        super().__init__(serde=serde)
        chosen = SaverOptions.from_values(options)
        if transport is not None:
            if cluster_uri is not None or database is not None or credential is not None:
                raise InvalidOptionError(
                    "give either transport= or cluster_uri=, database= and credential=, not both"
                )
            _check_transport(transport)
            self._where = repr(transport)
        elif cluster_uri is None and database is None:
            raise no_endpoint_error()
        else:
            endpoint = parse_endpoint(cluster_uri, database)
            check_credential(credential)
            transport = SdkTransport(
                endpoint,
                credential=credential,
                query_timeout=chosen.query_timeout,
                ingest_timeout=chosen.ingest_timeout,
                ingestion=chosen.ingestion,
                ingestion_uri=chosen.ingestion_uri,
                max_in_flight=chosen.max_in_flight,
            )
            self._where = repr(endpoint)
        self._transport = transport
        self._memory = Memory(Stats(), chosen.frame_cache_bytes)
        self._home = Home(transport, chosen, self._memory, own_thread=self._own_thread)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._where} {self._home!r}>"

    @classmethod
    def from_connection_string(
        cls,
        cluster_uri: str,
        database: str | None = None,
        *,
        credential: TokenCredential | str | None = None,
        serde: SerializerProtocol | None = None,
        **options: Unpack[OptionValues],
    ) -> Self:
        """Return a saver for a cluster; it opens on enter or on first use.

        Args:
            cluster_uri: `https://...`, or a Kusto connection string
                (`Data Source=https://...;Initial Catalog=mydatabase`).
            database: The database, unless `cluster_uri` names it.
            credential: None for `DefaultAzureCredential`, any azure-identity credential, sync or
                async, or `"app-id;app-key;tenant"`. `http://` on loopback needs none.
            serde: Serializer of values, `ExactSerializer` by default.
            **options: See `SaverOptions`.

        Raises:
            ConfigurationError: Something of it cannot be used; nothing was contacted.
        """
        return cls(cluster_uri, database, credential=credential, serde=serde, **options)

    # -- async -----------------------------------------------------------------------------------

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read the newest checkpoint of a thread and namespace, or the one the config names.

        What this saver accepted is always seen; what another process wrote, as soon as Kusto shows
        it. None means that there is no such checkpoint. One request, unless the state is larger
        than 32 MB; of more than `max_queries` reads at a time several share one, and a read that
        such a one leaves out takes another.

        Raises:
            MissingThreadIdError: The config has no thread_id, or an empty one.
            IncompleteCheckpointError: The checkpoint is visible, but parts of it are not after
                `visibility_timeout`.
            DeserializationError: A value cannot be read with this `serde`.
            CorruptValueError: A value does not have the hash it was stored with.
            WriteFailedError: Something accepted earlier was not written; nothing was read.
            ServiceError: Kusto did not answer the query.
        """
        place = read_place(config)
        with self._counted("get_tuples", "get_tuple", place):
            raw = await self._home.run(
                lambda core: read_checkpoint(
                    core, place.thread_id, place.namespace, place.checkpoint_id
                )
            )
            return None if raw is None else await self._decode_anywhere(raw)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """List checkpoints, newest first; of all threads when `config` is None.

        Holds nothing while the caller has an item: it may be abandoned, and the saver used inside.

        Args:
            config: A thread; a namespace and a checkpoint id narrow it, no namespace means all.
            filter: Metadata to contain, with the meaning of Postgres' `@>`.
            before: Only ids less, as text, than this config's.
            limit: How many at most; 0 or less means none.

        Raises:
            UnsupportedFilterError: The filter cannot be honoured exactly.
            ServiceError: Kusto did not answer a query.
        """
        listing, place = self._listing(config, filter, before, limit)
        watch = ForkWatch(self._memory.forks_told)
        with self._counted("lists", "list", place):
            while group := await self._home.run(listing.next_group):
                for raw in group:
                    found = await self._decode_anywhere(raw)
                    self._watch(watch, raw, found)
                    yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint.

        On return Kusto has acknowledged all of it (`write_mode="acknowledged"`), or the saver has
        accepted it and a crash may lose it (`"buffered"`). After an error of the connection it may
        or may not be there, but never in part. Cancelling leaves a put that was sent to finish on
        its own.

        Raises:
            InvalidConfigError: The config has no thread_id, or an id cannot be stored.
            WriteFailedError: Something accepted earlier was not written; nothing of this call was
                stored.
            SerializationError: A value cannot be serialised; the message names its channel.
            ValueTooLargeError: A value is over the upper bound.
            BackpressureError: The saver stayed full for `intake_timeout`.
            ServiceError: Kusto did not take it.
        """
        place = read_place(config)
        with self._counted("puts", "put", place):
            request = self._put_request(config, place, checkpoint, metadata, new_versions)
            await self._home.run(lambda core: put_checkpoint(core, request))
        return cast(RunnableConfig, as_config(request.key))

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store the writes of a task, all or none, whether or not their checkpoint is there yet.

        Raises and cancels as `aput`.
        """
        place = read_place(config)
        with self._counted("put_writes", "put_writes", place):
            request = self._writes_request(config, place, writes, task_id, task_path)
            await self._home.run(lambda core: core.put_writes(request))

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread with all its namespaces.

        On return this saver does not show it any more, and others do not as soon as they see the
        tombstone. Rows that a run which began before may still write stay dead. The thread may be
        used again at once. The rows stay in the tables until their retention period is over. After
        an error the thread may or may not be deleted; deleting it again is harmless.

        Raises:
            MissingThreadIdError: There is no thread_id.
            WriteFailedError: Something accepted earlier was not written; nothing was deleted.
            ServiceError: Kusto did not answer.
        """
        place = read_place({"configurable": {"thread_id": thread_id}})
        with self._counted("deletes", "delete_thread", place):
            await self._home.run(lambda core: delete_thread(core, place.thread_id))

    async def asetup(self, create: bool = False) -> None:
        """Check that the database has the tables, or create them; see `setup`."""
        work = provision if create else check
        await self._home.run(lambda core: work(core))

    async def aflush(self) -> None:
        """Wait until everything accepted so far is answered; see `flush`."""
        await self._home.run(lambda core: core.flush())

    async def aclose(self) -> None:
        """Drain within `close_timeout` and close; closing again does nothing.

        Raises:
            WriteFailedError: Something accepted was not written; it names what.
        """
        await self._home.aclose()

    async def __aenter__(self) -> Self:
        await self._home.run(_nothing)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # -- sync ------------------------------------------------------------------------------------

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read a checkpoint; see `aget_tuple`."""
        place = read_place(config)
        with self._counted("get_tuples", "get_tuple", place):
            raw = self._home.run_sync(
                lambda core: read_checkpoint(
                    core, place.thread_id, place.namespace, place.checkpoint_id
                ),
                "aget_tuple",
            )
            return None if raw is None else self._decode(raw)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """List checkpoints; see `alist`."""
        listing, place = self._listing(config, filter, before, limit)
        watch = ForkWatch(self._memory.forks_told)
        with self._counted("lists", "list", place):
            while group := self._home.run_sync(listing.next_group, "alist"):
                for raw in group:
                    found = self._decode(raw)
                    self._watch(watch, raw, found)
                    yield found

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; see `aput`."""
        place = read_place(config)
        with self._counted("puts", "put", place):
            request = self._put_request(config, place, checkpoint, metadata, new_versions)
            self._home.run_sync(lambda core: put_checkpoint(core, request), "aput")
        return cast(RunnableConfig, as_config(request.key))

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store the writes of a task; see `aput_writes`."""
        place = read_place(config)
        with self._counted("put_writes", "put_writes", place):
            request = self._writes_request(config, place, writes, task_id, task_path)
            self._home.run_sync(lambda core: core.put_writes(request), "aput_writes")

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread; see `adelete_thread`."""
        place = read_place({"configurable": {"thread_id": thread_id}})
        with self._counted("deletes", "delete_thread", place):
            self._home.run_sync(lambda core: delete_thread(core, place.thread_id), "adelete_thread")

    # -- both ------------------------------------------------------------------------------------

    def get_next_version(self, current: str | int | float | None, channel: None) -> str:
        """Give a version greater than `current` that no other branch of the thread has.

        Two forks of one checkpoint would get the same plain number for different values. A thread
        that came from another saver with numbers goes on with them: LangGraph compares the versions
        of a checkpoint with each other, and cannot when they are of two types.
        """
        number = next_version(current)
        if isinstance(current, int | float):
            return cast(str, float(number) if isinstance(current, float) else number)
        return f"{number:032}.{random.random():016}"

    def stats(self) -> dict[str, int]:
        """Return counters since the saver was made; see `Stats` for the names."""
        overlay = self._memory.overlay
        return {
            **self._memory.stats.snapshot(),
            "overlay_rows": len(overlay),
            "overlay_bytes": overlay.size_bytes,
        }

    # -- plumbing --------------------------------------------------------------------------------

    def _put_request(
        self,
        config: RunnableConfig,
        place: Place,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> PutRequest:
        self._home.check_process()  # a put looks into the memory before it goes to the core
        return put_request(
            self.serde,
            self._memory,
            present(),
            config,
            place,
            checkpoint,
            metadata,
            new_versions,
        )

    def _writes_request(
        self,
        config: RunnableConfig,
        place: Place,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str,
    ) -> WritesRequest:
        return writes_request(self.serde, config, place, writes, task_id, task_path)

    def _listing(
        self,
        config: RunnableConfig | None,
        wanted: Mapping[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> tuple[Listing, Place | None]:
        place = None if config is None else read_place(config)
        checked = check_filter(wanted)
        matches = None if checked is None else partial(self._matches, checked)
        return Listing(list_range(place, before), list_limit(limit), matches), place

    def _matches(self, wanted: Mapping[str, Any], key: CheckpointKey, metadata: Typed) -> bool:
        return contains(metadata_of(self.serde, key, metadata), wanted)

    def _watch(self, watch: ForkWatch, raw: RawCheckpoint, found: CheckpointTuple) -> None:
        """Log and count a fork that nobody made on purpose as a list goes by."""
        if watch.see(raw.key, raw.parent_checkpoint_id, found.metadata.get("source")):
            self._memory.stats.add("forks")

    def _decode(self, raw: RawCheckpoint) -> CheckpointTuple:
        found = checkpoint_tuple(self.serde, raw)
        versions = found.checkpoint.get("channel_versions") or {}
        self._memory.manifests.remember(raw.key, raw.blobs, versions, raw.bases, raw.epoch)
        return found

    async def _decode_anywhere(self, raw: RawCheckpoint) -> CheckpointTuple:
        if raw.size_bytes > OFF_LOOP_BYTES:
            return await run_in_thread(self._decode, raw)
        return self._decode(raw)

    def _counted(self, counter: str, what: str, place: Place | None) -> _Counted:
        return _Counted(self._memory.stats, counter, what, place)


class _Counted:
    """Counts a call and logs its error: LangGraph may swallow it when a node failed too.

    A class, not a generator: it stands around every call.
    """

    __slots__ = ("_counter", "_place", "_stats", "_what")

    def __init__(self, stats: Stats, counter: str, what: str, place: Place | None) -> None:
        self._stats = stats
        self._counter = counter
        self._what = what
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is None:
            self._stats.add(self._counter)
        elif isinstance(error, Exception):
            self._stats.add("errors")
            where = "all threads" if self._place is None else repr(self._place.thread_id)
            logger.error("%s of %s failed: %s: %s", self._what, where, type(error).__name__, error)


def _check_transport(transport: object) -> None:
    missing = [
        name
        for name in ("open", "aclose", "query", "command", "ingest")
        if not callable(getattr(transport, name, None))
    ]
    if missing:
        raise InvalidOptionError(
            f"transport= must be an object with the Transport protocol; {type(transport).__name__}"
            f" has no {', '.join(missing)}"
        )


async def _nothing(_: object) -> None:
    """Open the core, and no more."""
