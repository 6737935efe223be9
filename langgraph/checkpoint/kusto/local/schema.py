"""What a database of the local server consists of.

Lives here: immutable descriptions of databases, tables, columns, mappings, functions and views,
their functional updates, and their JSON form. Does not live here: where they are kept (`catalog`),
what policies mean (`policies`), and rows (`storage`, `tables`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

SCALAR_TYPES = frozenset("bool int long real decimal string datetime timespan guid dynamic".split())
# Other names Kusto accepts for its scalar types (data-explorer/kusto/query/scalar-data-types).
TYPE_ALIASES = {
    "boolean": "bool",
    "date": "datetime",
    "double": "real",
    "time": "timespan",
    "uuid": "guid",
    "uniqueid": "guid",
}


@dataclass(frozen=True)
class ColumnSchema:
    """A column; `id` names its physical column and is never reused within the table."""

    id: int
    name: str
    type: str
    docstring: str = ""
    policies: Mapping[str, Any] = field(default_factory=dict)

    @property
    def physical(self) -> str:
        return f"c{self.id}"

    @property
    def encoding(self) -> str | None:
        """The encoding profile, such as Identifier or BigObject."""
        policy = self.policies.get("encoding")
        return policy["Profile"] if policy else None


@dataclass(frozen=True)
class IngestionMapping:
    """A named ingestion mapping; `text` is its JSON as given."""

    name: str
    kind: str
    text: str
    updated: int


@dataclass(frozen=True, eq=False)
class Table:
    """A table; `id` names its SQLite table. Compared by identity, so that it can key caches."""

    id: int
    name: str
    columns: tuple[ColumnSchema, ...]
    next_column: int
    folder: str = ""
    docstring: str = ""
    policies: Mapping[str, Any] = field(default_factory=dict)
    mappings: Mapping[str, IngestionMapping] = field(default_factory=dict)
    past: bool = False

    @property
    def physical(self) -> str:
        return f"t{self.id}"

    @property
    def kept(self) -> str:
        """Where rows lie that the table has lost and its views have not, if there is a `past`."""
        return f"t{self.id}_past"

    @property
    def gone(self) -> str:
        """Where the rows are listed that a view has lost, if there is a `past`."""
        return f"t{self.id}_gone"

    @property
    def csl(self) -> str:
        """The schema as commands write it: `a:string,b:long`."""
        return ",".join(f"{quoted_name(c.name)}:{c.type}" for c in self.columns)

    def column(self, name: str) -> ColumnSchema | None:
        """Return the column of that exact name."""
        return next((c for c in self.columns if c.name == name), None)

    def with_column(self, column: ColumnSchema) -> Table:
        """Return the table with one column replaced, found by its id."""
        return replace(
            self, columns=tuple(column if c.id == column.id else c for c in self.columns)
        )

    def with_new_columns(self, new: list[tuple[str, str]]) -> Table:
        """Return the table with columns added at the end."""
        added = tuple(
            ColumnSchema(self.next_column + i, name, type_) for i, (name, type_) in enumerate(new)
        )
        return replace(self, columns=self.columns + added, next_column=self.next_column + len(new))

    def with_policy(self, name: str, value: Any) -> Table:
        """Return the table with a policy set, or removed when the value is None."""
        return replace(self, policies=with_entry(self.policies, name, value))

    def mapping(self, kind: str, name: str) -> IngestionMapping | None:
        """Return the mapping of that kind and exact name."""
        return self.mappings.get(f"{kind}/{name}")


@dataclass(frozen=True)
class Function:
    """A stored function; parameters and body are kept as text."""

    name: str
    parameters: str
    body: str
    folder: str = ""
    docstring: str = ""


@dataclass(frozen=True, eq=False)
class View:
    """A materialized view.

    `since` is the ingestion time after which source rows belong to the view: 0 with backfill, else
    the moment of creation, because a view without backfill never sees older rows.
    """

    name: str
    source: str
    query: str
    since: int
    created: int
    enabled: bool = True
    folder: str = ""
    docstring: str = ""
    auto_update_schema: bool = False
    lookback: int | None = None
    lookback_column: str = ""
    policies: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Principal:
    """A principal that `.add database ... <role>` recorded."""

    role: str
    fqn: str
    notes: str
    scope: str = ""


@dataclass(frozen=True, eq=False)
class Database:
    """Everything `.create` and `.alter` made in one database.

    `version` grows with each change. `stamp` is unique among all databases of this process and
    their versions, so that it can key the plans the engine keeps.
    """

    id: int
    name: str
    version: int = 1
    stamp: int = 0
    pretty_name: str = ""
    tables: Mapping[str, Table] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    policies: Mapping[str, Any] = field(default_factory=dict)
    mappings: Mapping[str, IngestionMapping] = field(default_factory=dict)
    principals: tuple[Principal, ...] = ()

    def with_table(self, table: Table) -> Database:
        """Return the database with a table added or replaced."""
        return replace(self, tables={**self.tables, table.name: table})

    def without_table(self, name: str) -> Database:
        """Return the database without a table."""
        return replace(self, tables=with_entry(self.tables, name, None))

    def with_function(self, function: Function) -> Database:
        """Return the database with a function added or replaced."""
        return replace(self, functions={**self.functions, function.name: function})

    def without_function(self, name: str) -> Database:
        """Return the database without a function."""
        return replace(self, functions=with_entry(self.functions, name, None))

    def with_view(self, view: View) -> Database:
        """Return the database with a view added or replaced."""
        return replace(self, views={**self.views, view.name: view})

    def without_view(self, name: str) -> Database:
        """Return the database without a view."""
        return replace(self, views=with_entry(self.views, name, None))

    def to_json(self) -> bytes:
        """Return the form kept on disk."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> Database:
        """Return the database described by `to_json`."""
        data = orjson.loads(text)
        data["tables"] = {name: _table(table) for name, table in data["tables"].items()}
        data["functions"] = {n: Function(**f) for n, f in data["functions"].items()}
        data["views"] = {name: View(**view) for name, view in data["views"].items()}
        data["mappings"] = {n: IngestionMapping(**m) for n, m in data["mappings"].items()}
        data["principals"] = tuple(Principal(**p) for p in data["principals"])
        return cls(**data)


def with_entry(entries: Mapping[str, Any], name: str, value: Any) -> Mapping[str, Any]:
    """Return `entries` with one entry set, or removed when the value is None."""
    kept = {key: old for key, old in entries.items() if key != name}
    return kept if value is None else {**kept, name: value}


def quoted_name(name: str) -> str:
    """Return an entity name as KQL text, bracketed when it is not a plain identifier."""
    plain = name.replace("_", "a").isalnum() and name.isascii() and not name[0].isdigit()
    if plain:
        return name
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"


def _table(data: dict[str, Any]) -> Table:
    data["columns"] = tuple(ColumnSchema(**column) for column in data["columns"])
    data["mappings"] = {name: IngestionMapping(**m) for name, m in data["mappings"].items()}
    return Table(**data)
