"""Ingestion mapping commands: `... ingestion json mapping "M" '...'`.

Lives here: creating, altering, dropping and showing mappings of a table or database. Does not live
here: what a mapping means (`local.mappings`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .. import mappings
from ..cursor import Cursor
from ..errors import ServiceError, bad_request, entity_exists, mapping_not_found
from ..roles import Access
from ..schema import Database, IngestionMapping, with_entry
from .base import Command, CommandContext, CommandResult, columns, showing, table_named

TABLE_MAPPING = columns(
    "Name:string Kind:string Mapping:string LastUpdatedOn:datetime Database:string Table:string"
)
DATABASE_MAPPING = TABLE_MAPPING[:-1]
_KINDS = ("json", "csv")
_OTHER_KINDS = ("avro", "apacheavro", "parquet", "orc", "w3clogfile", "sstream")


@dataclass(frozen=True)
class Owner:
    """Whose mapping it is: a table's, or with an empty name the database's."""

    table: str = ""

    def mappings(self, database: Database) -> dict[str, IngestionMapping]:
        found = table_named(database, self.table).mappings if self.table else database.mappings
        return dict(found)

    def changed(self, database: Database, key: str, mapping: IngestionMapping | None) -> Database:
        entries = with_entry(self.mappings(database), key, mapping)
        if not self.table:
            return replace(database, mappings=entries)
        return database.with_table(replace(table_named(database, self.table), mappings=entries))

    @property
    def access(self) -> Access:
        return Access.INGEST if self.table else Access.DATABASE_INGESTOR


def read_mapping(cursor: Cursor, context: CommandContext, verb: str, owner: Owner) -> Command:
    """Read a mapping command from the word `ingestion` on."""
    cursor.expect("ingestion")
    if verb == "show":
        return _read_show(cursor, context, owner)
    kind = _kind(cursor)
    cursor.expect("mapping")
    # One literal: the adjacent ones after it are the mapping.
    name = cursor.single_string("the mapping's name as a string literal")
    if verb == "drop":
        return Command(
            "IngestionMappingDrop", owner.access, lambda: _drop(context, owner, kind, name)
        )
    text = cursor.string()
    cursor.properties({"removeoldestifrequired": "removeOldestIfRequired"})

    def run() -> CommandResult:
        return _store(context, owner, verb, IngestionMapping(name, kind, text, context.now()))

    word = {"create": "Create", "create-or-alter": "CreateOrAlter", "alter": "Alter"}[verb]
    return Command(f"IngestionMapping{word}", owner.access, run)


def _kind(cursor: Cursor) -> str:
    if cursor.at(*_OTHER_KINDS):
        raise cursor.error(
            "The local server keeps json and csv mappings only, because it reads no other formats"
        )
    return cursor.expect(*_KINDS)


def _store(
    context: CommandContext, owner: Owner, verb: str, mapping: IngestionMapping
) -> CommandResult:
    key = f"{mapping.kind}/{mapping.name}"
    try:
        mappings.parse(mapping.kind, mapping.text)
    except mappings.MappingError as error:
        raise invalid_mapping(error) from error

    def step(database: Database) -> Database:
        exists = key in owner.mappings(database)
        if verb == "create" and exists:
            raise entity_exists("MappingPersistent", mapping.name)
        if verb == "alter" and not exists:
            raise mapping_not_found(mapping.name)
        return owner.changed(database, key, mapping)

    return _result(context.change(step), owner, [mapping])


def _drop(context: CommandContext, owner: Owner, kind: str, name: str) -> CommandResult:
    def step(database: Database) -> Database:
        if f"{kind}/{name}" not in owner.mappings(database):
            raise mapping_not_found(name)
        return owner.changed(database, f"{kind}/{name}", None)

    after = context.change(step)
    return _result(after, owner, list(owner.mappings(after).values()))


def _read_show(cursor: Cursor, context: CommandContext, owner: Owner) -> Command:
    kind = cursor.accept(*_KINDS)
    if not kind or cursor.accept("mappings"):
        if not kind:
            cursor.expect("mappings")
        return showing("IngestionMappingsShow", lambda: _show(context.current, owner, kind, None))
    cursor.expect("mapping")
    name = cursor.string()
    return showing("IngestionMappingShow", lambda: _show(context.current, owner, kind, name))


def _show(database: Database, owner: Owner, kind: str, name: str | None) -> CommandResult:
    found = [
        mapping
        for mapping in owner.mappings(database).values()
        if (not kind or mapping.kind == kind) and name in (None, mapping.name)
    ]
    if name is not None and not found:
        raise mapping_not_found(name)
    return _result(database, owner, found)


def _result(database: Database, owner: Owner, shown: list[IngestionMapping]) -> CommandResult:
    rows = [
        (m.name, m.kind.capitalize(), m.text, m.updated, database.name)
        + ((owner.table,) if owner.table else ())
        for m in shown
    ]
    return CommandResult(TABLE_MAPPING if owner.table else DATABASE_MAPPING, rows)


def invalid_mapping(error: Exception) -> ServiceError:
    """Return the error for a mapping that is not valid."""
    return bad_request(
        f"Request is invalid and cannot be processed: {error}", code="BadRequest_InvalidMapping"
    )
