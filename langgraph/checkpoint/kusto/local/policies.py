"""What a policy's value may be.

Lives here: the policies this server keeps, which entity and verb each goes with, the validation of
their JSON, and the value in effect for a table. Does not live here: the command text
(`commands.policies`).

Verbs and entities are those of Microsoft's command grammar
(`Kusto.Language.Generators/EngineCommandInfos.cs`); keys and bounds are those of the policies'
pages in `data-explorer/kusto/management`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from .clock import TICKS_PER_SECOND
from .errors import policy_error
from .kql import values as kql_values
from .schema import Database, Table, View

Policy = dict[str, Any]
FOREVER = "365000.00:00:00"
NAMES = {
    "caching": "CachingPolicy",
    "encoding": "EncodingPolicy",
    "ingestionbatching": "IngestionBatchingPolicy",
    "partitioning": "PartitioningPolicy",
    "retention": "RetentionPolicy",
    "roworder": "RowOrderPolicy",
    "streamingingestion": "StreamingIngestionPolicy",
}
# Kusto knows these too; the local server has nothing they could govern.
OTHER_NAMES = frozenset(
    "auto_delete extent_tags_retention ingestiontime merge mirroring restricted_view_access "
    "row_level_security rowid sharding update".split()
)
_TABLE = frozenset(NAMES)
ALLOWED: Mapping[tuple[str, str], frozenset[str]] = {
    ("alter", "table"): _TABLE,
    ("alter", "tables"): frozenset({"caching", "ingestionbatching", "retention", "roworder"}),
    ("alter", "database"): frozenset(
        {"caching", "encoding", "ingestionbatching", "retention", "streamingingestion"}
    ),
    ("alter", "materialized-view"): frozenset({"caching", "partitioning", "retention"}),
    ("alter", "column"): frozenset({"caching", "encoding"}),
    ("alter-merge", "table"): _TABLE - {"caching"},
    ("alter-merge", "tables"): frozenset({"ingestionbatching", "retention", "roworder"}),
    ("alter-merge", "database"): frozenset(
        {"ingestionbatching", "retention", "streamingingestion"}
    ),
    ("alter-merge", "materialized-view"): frozenset({"partitioning", "retention"}),
    ("delete", "table"): _TABLE,
    ("delete", "database"): frozenset(
        {"caching", "encoding", "ingestionbatching", "retention", "streamingingestion"}
    ),
    ("delete", "materialized-view"): frozenset({"caching", "partitioning"}),
    ("delete", "column"): frozenset({"caching", "encoding"}),
    ("show", "table"): _TABLE,
    ("show", "database"): frozenset(
        {"caching", "encoding", "ingestionbatching", "retention", "streamingingestion"}
    ),
    ("show", "materialized-view"): frozenset({"caching", "partitioning", "retention"}),
    ("show", "column"): frozenset({"caching", "encoding"}),
}
ENCODING_PROFILES: dict[str, str] = {
    name.lower(): name for name in ("Identifier", "BigObject", "BigObject32", "Vector16")
}
_DEFAULTS: Mapping[str, Policy] = {
    "retention": {"SoftDeletePeriod": FOREVER, "Recoverability": "Enabled"},
    "streamingingestion": {"IsEnabled": False, "HintAllocatedRate": None},
    "ingestionbatching": {
        "MaximumBatchingTimeSpan": "00:05:00",
        "MaximumNumberOfItems": 500,
        "MaximumRawDataSizeMB": 1024,
    },
    "partitioning": {"PartitionKeys": []},
}


def from_json(name: str, text: str, before: Any, *, merge: bool) -> Any:
    """Return the value of a policy given as JSON text.

    Args:
        name: the policy.
        text: its JSON object; keys that are left out keep the old value or take the default.
        before: the present value, or None.
        merge: whether old values of other keys are kept (`.alter-merge`).

    Raises:
        ServiceError: the text is not valid JSON, or holds an unknown key or a wrong value.
    """
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise policy_error(f"The {NAMES[name]} is not valid JSON: {error}") from error
    if given is None and not merge:
        return None
    if not isinstance(given, dict):
        raise policy_error(f"The {NAMES[name]} must be a JSON object.")
    checks = _CHECKS.get(name)
    if checks is None:
        raise policy_error(
            f"The JSON form of the {NAMES[name]} is not documented; use the form with keywords."
        )
    for key, value in given.items():
        if key not in checks:
            raise policy_error(
                f"The {NAMES[name]} has no property '{key}'; it has {', '.join(checks)}."
            )
        checks[key](key, value)
    base = before if merge and before is not None else _DEFAULTS[name]
    return {**base, **given}


def merged(name: str, before: Any, changes: Policy) -> Policy:
    """Return a policy with some properties changed."""
    return {**(before or _DEFAULTS[name]), **changes}


def encoding(profile: str) -> Policy | None:
    """Return the encoding policy of a profile; `Null` clears it.

    Raises:
        ServiceError: there is no such profile.
    """
    lowered = profile.lower()
    if lowered in ("null", ""):
        return None
    if lowered not in ENCODING_PROFILES:
        raise policy_error(
            f"The encoding policy type '{profile}' is unknown; use one of "
            + ", ".join([*ENCODING_PROFILES.values(), "Null"])
        )
    return {"Profile": ENCODING_PROFILES[lowered]}


def effective(database: Database, table: Table, name: str) -> Any:
    """Return the value in effect: the table's, else the database's, else None."""
    own = table.policies.get(name)
    return database.policies.get(name) if own is None else own


def streaming_enabled(database: Database, table: Table) -> bool:
    """Tell whether a table takes streaming ingestion; the table's policy beats the database's."""
    policy = effective(database, table, "streamingingestion")
    return bool(policy and policy["IsEnabled"])


def retention_ticks(database: Database, table: Table) -> int | None:
    """Return for how long a table keeps rows, None being for ever."""
    return _period(effective(database, table, "retention"))


def view_retention_ticks(database: Database, view: View) -> int | None:
    """Return for how long a view keeps records, None being for ever.

    materialized-view-policies.md: its own policy, else the database's, never its source's.
    """
    own = view.policies.get("retention")
    return _period(database.policies.get("retention") if own is None else own)


def _period(policy: Policy | None) -> int | None:
    if policy is None or policy["SoftDeletePeriod"] == FOREVER:
        return None
    return kql_values.parse_timespan(policy["SoftDeletePeriod"])


def _one_of(*allowed: str) -> Callable[[str, Any], None]:
    def check(key: str, value: Any) -> None:
        if value not in allowed:
            raise policy_error(f"{key} must be one of {', '.join(allowed)}, not {value!r}.")

    return check


def _timespan(key: str, value: Any) -> None:
    if not isinstance(value, str) or kql_values.parse_timespan(value) is None:
        raise policy_error(f"{key} must be a timespan such as '30.00:00:00', not {value!r}.")


def _batching_timespan(key: str, value: Any) -> None:
    _timespan(key, value)
    ticks = kql_values.parse_timespan(value) or 0
    if ticks < 10 * TICKS_PER_SECOND:
        raise policy_error(f"{key} should be greater than or equal to 00:00:10")
    if ticks > 30 * 60 * TICKS_PER_SECOND:
        raise policy_error(f"{key} should be less than or equal to 00:30:00")


def _whole(low: int, high: int) -> Callable[[str, Any], None]:
    def check(key: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise policy_error(f"{key} must be a whole number, not {value!r}.")
        if value < low:
            raise policy_error(f"{key} should be greater than or equal to {low}")
        if value > high:
            raise policy_error(f"{key} should be less than or equal to {high}")

    return check


def _bool(key: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise policy_error(f"{key} must be true or false, not {value!r}.")


def _rate(key: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise policy_error(f"{key} must be a number or null, not {value!r}.")


def _datetime(key: str, value: Any) -> None:
    if not isinstance(value, str) or kql_values.parse_datetime(value) is None:
        raise policy_error(f"{key} must be a datetime, not {value!r}.")


def _partition_keys(key: str, value: Any) -> None:
    if not isinstance(value, list) or not 1 <= len(value) <= 2:
        raise policy_error(f"{key} must hold one or two partition keys.")
    kinds = [item.get("Kind") if isinstance(item, dict) else None for item in value]
    if any(kind not in ("Hash", "UniformRange") for kind in kinds) or len(set(kinds)) != len(kinds):
        raise policy_error(f"{key} must hold at most one Hash and one UniformRange key.")
    for item in value:
        _partition_key(item)


def _partition_key(item: Policy) -> None:
    if not isinstance(item.get("ColumnName"), str) or set(item) - {
        "ColumnName",
        "Kind",
        "Properties",
    }:
        raise policy_error("A partition key has the properties ColumnName, Kind and Properties.")
    known = _PARTITION_PROPERTIES[item["Kind"]]
    for key, value in (item.get("Properties") or {}).items():
        if key not in known:
            raise policy_error(f"A {item['Kind']} partition key has no property '{key}'.")
        known[key](key, value)


_ANY_COUNT = _whole(0, 2**63 - 1)
_PARTITION_PROPERTIES: Mapping[str, Mapping[str, Callable[[str, Any], None]]] = {
    "Hash": {
        "Function": _one_of("XxHash64"),
        "MaxPartitionCount": _whole(2, 2048),
        "Seed": _whole(1, 2**31 - 1),
        "PartitionAssignmentMode": _one_of("Uniform", "ByPartition", "Default"),
    },
    "UniformRange": {
        "Reference": _datetime,
        "RangeSize": _timespan,
        "OverrideCreationTime": _bool,
    },
}
_CHECKS: Mapping[str, Mapping[str, Callable[[str, Any], None]]] = {
    "retention": {
        "SoftDeletePeriod": _timespan,
        "Recoverability": _one_of("Enabled", "Disabled"),
    },
    "streamingingestion": {"IsEnabled": _bool, "HintAllocatedRate": _rate},
    "ingestionbatching": {
        "MaximumBatchingTimeSpan": _batching_timespan,
        "MaximumNumberOfItems": _whole(1, 25_000),
        "MaximumRawDataSizeMB": _whole(100, 4096),
    },
    "partitioning": {
        "PartitionKeys": _partition_keys,
        "EffectiveDateTime": _datetime,
        "MinRowCountPerOperation": _ANY_COUNT,
        "MaxRowCountPerOperation": _ANY_COUNT,
        "MaxOriginalSizePerOperation": _ANY_COUNT,
    },
}
