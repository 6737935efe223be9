"""Management commands of the local server.

Importing this package registers every command. A family of commands is a file; `base` reads the
leading words and runs what the family understood.
"""

from __future__ import annotations

from . import (  # noqa: F401  (imported to register their commands)
    data,
    functions,
    ingestion_resources,
    mappings,
    policies,
    script,
    security,
    show,
    show_cluster,
    show_database,
    tables,
    views,
)
from .base import CommandContext, CommandResult, execute

__all__ = ["CommandContext", "CommandResult", "execute"]
