"""Who may do what.

Lives here: the database roles of Kusto and what each allows. Does not live here: tokens (`app`),
and the principals that `.add database ...` records, who cannot identify themselves to this server.

Source: `data-explorer/kusto/access-control/role-based-access-control.md` and the permission
paragraph of each command's page. Every caller of the local server has the same roles; by default
it is an admin, who may do everything.
"""

from __future__ import annotations

from enum import Enum

from .errors import LocalKustoError, forbidden

ROLES = ("admin", "user", "viewer", "unrestrictedviewer", "ingestor", "monitor")


class Access(Enum):
    """What an operation needs: Kusto's name of the role, and the roles here that include it."""

    ANY = ("any role", frozenset(ROLES))
    QUERY = ("Database Viewer", frozenset({"admin", "user", "viewer", "unrestrictedviewer"}))
    SHOW = (
        "Database User, Database Viewer or Database Monitor",
        frozenset({"admin", "user", "viewer", "unrestrictedviewer", "monitor"}),
    )
    SHOW_DATABASES = ("AllDatabasesMonitor", frozenset({"admin", "monitor"}))
    INGEST = ("Table Ingestor", frozenset({"admin", "ingestor"}))
    DATABASE_INGESTOR = ("Database Ingestor", frozenset({"admin", "ingestor"}))
    CREATE = ("Database User", frozenset({"admin", "user"}))
    TABLE_ADMIN = ("Table Admin", frozenset({"admin"}))
    FUNCTION_ADMIN = ("Function Admin", frozenset({"admin"}))
    VIEW_ADMIN = ("Materialized View Admin", frozenset({"admin"}))
    DATABASE_ADMIN = ("Database Admin", frozenset({"admin"}))

    @property
    def needed(self) -> str:
        """The role in Kusto's words."""
        return self.value[0]

    @property
    def held_by(self) -> frozenset[str]:
        """The roles that include it."""
        return self.value[1]


def checked_roles(roles: set[str] | frozenset[str] | None) -> frozenset[str]:
    """Return the roles of every caller; None means admin.

    Raises:
        LocalKustoError: a role is unknown, or there is none.
    """
    if roles is None:
        return frozenset({"admin"})
    unknown = sorted(set(roles) - set(ROLES))
    if unknown or not roles:
        problem = f"unknown roles {unknown}" if unknown else "an empty set of roles allows nothing"
        raise LocalKustoError(f"{problem}; the roles are {', '.join(ROLES)}")
    return frozenset(roles)


def require(roles: frozenset[str], access: Access, operation: str) -> None:
    """Refuse an operation to a caller whose roles do not include what it needs.

    Raises:
        ServiceError: 403 in Kusto's shape.
    """
    if not roles & access.held_by:
        raise forbidden(operation, access.needed)
