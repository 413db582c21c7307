"""The clock of all times in the state: the database's own."""

from __future__ import annotations

import sqlalchemy as sa

_CLOCKS = {
    "sqlite": "SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
    "postgresql": "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
}


def database_time(connection: sa.Connection) -> int:
    """Milliseconds since 1970."""
    return int(connection.scalar(sa.text(_CLOCKS[connection.dialect.name])))
