"""All right queries. The families stand in files of their own."""

from __future__ import annotations

from .right_statements import RIGHT_STATEMENTS
from .right_tables import RIGHT_TABLES
from .right_values import RIGHT_VALUES

RIGHT = [*RIGHT_VALUES, *RIGHT_TABLES, *RIGHT_STATEMENTS]
