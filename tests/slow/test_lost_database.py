"""The connection to the database ends, by any side and at any time."""

from __future__ import annotations

from contextlib import closing

import pytest
import sqlalchemy as sa

from sorawatch.edges.store import PostgresDatabase
from sorawatch.errors import Blocked
from tests.support.daemon_process import daemon
from tests.support.postgres import Cluster
from tests.support.tcp_proxy import proxy
from tests.support.workspace import Workspace, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("postgres")]

WAITS_FOR_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event = 'advisory'"


def test_a_turn_that_is_interrupted_is_told_in_one_line(workspace: Workspace, database: str, cluster: Cluster) -> None:
    """The daemon is in the middle of a transaction: it waits for that of another daemon."""
    psycopg = pytest.importorskip("psycopg")
    name = database.rpartition("/")[2]
    workspace.set("state", value=database)
    with daemon(workspace) as running:
        with closing(psycopg.connect(database)) as other:
            other.execute(f"SELECT pg_advisory_xact_lock({0x736F7261}, 0)")
            wait_until(lambda: cluster.execute(WAITS_FOR_LOCK.format(name)) == "1", told=lambda: running.log)
            cluster.disconnect(name)
            wait_until(lambda: "Nothing is lost; trying again" in running.log, told=lambda: running.log)
        workspace.drop("a.jpg")
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: running.log)
    told = [line for line in running.log.splitlines() if " INFO " not in line]
    assert all(" ERROR the database postgresql://sorawatch:***@" in line for line in told), running.log
    assert any("terminating connection" in line for line in told), running.log


@pytest.mark.parametrize("mode", ["read", "write"])
def test_the_server_misses_a_machine_that_has_lost_power(database: str, mode: str) -> None:
    """It learns so by its own keepalives, and by data that are not acknowledged."""
    engine = PostgresDatabase(database).engine("read" if mode == "read" else "write", "")
    try:
        with engine.begin() as connection:
            names = ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout")
            found = [connection.scalar(sa.text(f"SHOW tcp_{name}")) for name in names]
    finally:
        engine.dispose()
    assert found == ["10", "5", "3", "30000"]


@pytest.mark.parametrize("use", ["look", "transaction"])
def test_a_connection_that_breaks_in_use_is_reported_by_its_error_alone(
    database: str, use: str, caplog: pytest.LogCaptureFixture
) -> None:
    with proxy(database) as between:
        shared = PostgresDatabase(between.in_front(database))
        engine = shared.engine("write", "")
        try:
            with engine.begin():
                pass
            sa.event.listen(engine, "checkout", lambda *_: between.cut())
            if use == "look":
                assert shared.version(engine) != shared.version(engine)
            else:
                with pytest.raises(Blocked, match="cannot be used"), shared.translated(), engine.begin():
                    pytest.fail("it is connected")
        finally:
            engine.dispose()
    assert caplog.records == []
