"""Every error this library raises, and nothing else.

    KustoCheckpointError
    ├── ConfigurationError (ValueError)      how the saver was built
    │   ├── InvalidClusterUriError
    │   ├── InvalidDatabaseError
    │   └── InvalidOptionError
    ├── InvalidConfigError (ValueError)      what a call was given
    │   ├── MissingThreadIdError
    │   └── UnsupportedFilterError
    ├── SaverUsageError (RuntimeError)       how the saver was used
    │   ├── SaverClosedError
    │   ├── OwnLoopError
    │   ├── LoopLostError
    │   └── ForkedProcessError
    ├── SerializationError (TypeError)
    ├── ValueTooLargeError (ValueError)
    ├── DeserializationError
    ├── CorruptValueError
    ├── ServiceError                         what Kusto, or the way to it, answered
    │   ├── ClusterUnreachableError          retriable
    │   ├── ServiceUnavailableError          retriable
    │   ├── ThrottledError                   retriable
    │   ├── AuthenticationError
    │   ├── PermissionDeniedError
    │   ├── DatabaseNotFoundError
    │   ├── SchemaError
    │   │   ├── TableNotFoundError
    │   │   ├── SchemaTooOldError
    │   │   ├── UnknownCodecError
    │   │   └── RetentionTooShortError
    │   ├── IngestionUnavailableError
    │   │   └── StreamingDisabledError
    │   ├── RowsRejectedError
    │   ├── ResultTooLargeError
    │   ├── QueryFailedError
    │   └── MalformedResponseError           retriable
    ├── IncompleteCheckpointError            retriable
    ├── PartsLostError
    ├── BackpressureError                    retriable
    └── WriteFailedError

Each message says what happened and what to do about it. `retriable` tells whether the same call may
succeed later without anybody changing anything.
"""

from __future__ import annotations

from collections.abc import Sequence


class KustoCheckpointError(Exception):
    """Base class of every error of this library."""

    retriable = False


class ConfigurationError(KustoCheckpointError, ValueError):
    """The saver was constructed with something it cannot work with."""


class InvalidClusterUriError(ConfigurationError):
    """The cluster URI or connection string cannot be used."""


class InvalidDatabaseError(ConfigurationError):
    """The database name is missing or cannot be a Kusto database name."""


class InvalidOptionError(ConfigurationError):
    """An option has a value outside its range."""


class InvalidConfigError(KustoCheckpointError, ValueError):
    """A call was given a config, an id or a name that cannot be stored."""


class MissingThreadIdError(InvalidConfigError):
    """The config has no `thread_id`, or an empty one."""

    def __init__(
        self,
        message: str = "the config has no thread_id; pass"
        ' {"configurable": {"thread_id": "<any non-empty text>"}}',
    ) -> None:
        super().__init__(message)


class UnsupportedFilterError(InvalidConfigError):
    """A `list` filter cannot be honoured exactly."""


class SaverUsageError(KustoCheckpointError, RuntimeError):
    """The saver was called in a state or from a place where it cannot work."""


class SaverClosedError(SaverUsageError):
    """The saver was closed before this call, or while it waited."""

    def __init__(
        self, message: str = "this saver is closed; create a new one (a closed saver stays closed)"
    ) -> None:
        super().__init__(message)


class OwnLoopError(SaverUsageError):
    """A sync method would wait for the event loop it is called on."""


class LoopLostError(SaverUsageError):
    """The event loop the saver lived on is gone, and rows it had accepted with it."""

    def __init__(self, message: str, failures: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.failures = tuple(failures)
        """As those of `WriteFailedError`."""


class ForkedProcessError(SaverUsageError):
    """The saver was inherited through `fork`; its connections and threads were not."""

    def __init__(
        self,
        message: str = "this saver was created before the process forked; create one in the child"
        " process (for example in the worker's start-up hook, or use the 'spawn' start method)",
    ) -> None:
        super().__init__(message)


class SerializationError(KustoCheckpointError, TypeError):
    """A value cannot be serialised; nothing of the call was stored."""


class ValueTooLargeError(KustoCheckpointError, ValueError):
    """A value is larger than the documented upper bound; nothing of the call was stored."""


class DeserializationError(KustoCheckpointError):
    """A stored value cannot be read back with this saver's serializer."""


class CorruptValueError(KustoCheckpointError):
    """A stored value does not have the hash it was stored with."""


class ServiceError(KustoCheckpointError):
    """Kusto, or something on the way to it, refused or failed a request."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the server asked to wait, if it did."""


class ClusterUnreachableError(ServiceError):
    """No answer: refused, reset, timed out, not resolved. A write may or may not have landed."""

    retriable = True


class ServiceUnavailableError(ServiceError):
    """Kusto answered that it cannot serve the request now (5xx, not permanent)."""

    retriable = True


class ThrottledError(ServiceError):
    """Kusto answered 429: too many requests for the cluster's capacity."""

    retriable = True


class AuthenticationError(ServiceError):
    """No token could be had for the cluster, or the cluster did not accept it."""


class PermissionDeniedError(ServiceError):
    """The identity lacks a role for this request."""


class DatabaseNotFoundError(ServiceError):
    """The cluster has no such database, or the identity may not see it."""


class SchemaError(ServiceError):
    """The database does not have the tables this library needs."""


class TableNotFoundError(SchemaError):
    """A table, the view or a function is missing."""


class SchemaTooOldError(SchemaError):
    """The tables were made for an older version of this library."""


class UnknownCodecError(SchemaError):
    """A row was written by a newer version of this library."""


class RetentionTooShortError(SchemaError):
    """The retention policies would take what a checkpoint needs before the checkpoint."""


class IngestionUnavailableError(ServiceError):
    """The way of ingestion that was chosen is not available there."""


class StreamingDisabledError(IngestionUnavailableError):
    """Streaming ingestion is off for the cluster or for a table."""


class RowsRejectedError(ServiceError):
    """Kusto refused rows for good (400, 413); sending them again cannot help."""


class ResultTooLargeError(ServiceError):
    """A query result passed Kusto's limit of 64 MB or 500,000 rows."""


class QueryFailedError(ServiceError):
    """Kusto refused or failed a query or management command for good."""


class MalformedResponseError(ServiceError):
    """The answer is not one that Kusto gives: cut, empty, or of another shape."""

    retriable = True


class IncompleteCheckpointError(KustoCheckpointError):
    """A checkpoint is visible but parts of it are not, after waiting for them."""

    retriable = True


class PartsLostError(KustoCheckpointError):
    """Parts of a stored checkpoint, or an ancestor it needs, are gone: expired, or deleted."""


class BackpressureError(KustoCheckpointError):
    """The saver stayed full for the whole `intake_timeout`; nothing of the call was accepted."""

    retriable = True


class WriteFailedError(KustoCheckpointError):
    """Rows accepted earlier were not written.

    Raised once, by the next call, by `flush` or on exit, when a background write failed, and on
    exit when rows were left after `close_timeout`. The call that raises it did nothing else.
    """

    def __init__(self, message: str, failures: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.failures = tuple(failures)
        """One line for each call whose rows are lost, with its cause.

        All of them up to 16 MiB of text, then a last line that counts the others. The log has each
        at ERROR.
        """
