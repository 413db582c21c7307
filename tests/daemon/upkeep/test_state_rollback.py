"""Which machines are waited for once a shared state has gone back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sorawatch.daemon.upkeep import state_rollback
from sorawatch.daemon.upkeep.rollback_monitor import RollbackMonitor
from sorawatch.daemon.upkeep.state_rollback import Machine
from sorawatch.edges.store import PostgresDatabase, Store, Transaction
from sorawatch.errors import Blocked
from tests.support import texts
from tests.support.postgres import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgres")]

DAY = 86_400_000
ONE, TWO = Machine("1111", "one (/var/lib/one)"), Machine("2222", "two (/var/lib/two)")


class State:
    """A shared state whose clock is set by hand."""

    def __init__(self, url: str) -> None:
        self.now = 1_700_000_000_000
        self.url = url
        self.stores = [Store.create_or_open(PostgresDatabase(url), name, lambda: self.now)[0] for name in ("a", "b")]

    @contextmanager
    def transaction(self, store: int = 0) -> Iterator[Transaction]:
        with self.stores[store].transaction() as tx:
            yield tx

    def check(self, monitor: RollbackMonitor, store: int = 0) -> bool:
        with self.transaction(store) as tx:
            return monitor.check(tx)


@pytest.fixture
def state(database: str) -> Iterator[State]:
    made = State(database)
    yield made
    for store in made.stores:
        store.close()


def make_tables_again(cluster: Cluster, state: State) -> None:
    """As `pg_restore --clean` does."""
    name = state.url.rpartition("/")[2]
    cluster.execute(
        "BEGIN; ALTER TABLE notes RENAME TO old; CREATE TABLE notes AS TABLE old; DROP TABLE old; COMMIT", name
    )


def test_the_first_use_waits_for_nobody(state: State) -> None:
    monitor = RollbackMonitor(ONE, lambda _: 0)
    assert not state.check(monitor)
    assert monitor.pause_reason is None
    assert not state.check(monitor)


def test_nothing_is_submitted_while_the_ledger_cannot_be_read(state: State, cluster: Cluster) -> None:
    is_readable = False

    def compare(_: Transaction) -> int:
        if not is_readable:
            raise Blocked("the ledger cannot be read", "Check its disk.")
        return 0

    monitor = RollbackMonitor(ONE, compare)
    state.check(monitor)
    assert monitor.pause_reason == "the ledger cannot be read. Check its disk"
    make_tables_again(cluster, state)
    assert state.check(monitor)
    assert monitor.pause_reason == "the ledger cannot be read. Check its disk"
    is_readable = True
    assert state.check(monitor)
    assert monitor.pause_reason is None


def test_each_machine_compares_once_and_then_nobody_is_waited_for(state: State, cluster: Cluster) -> None:
    compared: list[str] = []

    def noting(machine: Machine) -> RollbackMonitor:
        def compare(_: Transaction) -> int:
            compared.append(machine.name)
            return 0

        return RollbackMonitor(machine, compare)

    one, two = noting(ONE), noting(TWO)
    state.check(one)
    state.check(two, 1)
    compared.clear()
    make_tables_again(cluster, state)
    assert state.check(one)
    assert compared == [ONE.name]
    assert TWO.name in str(one.pause_reason)
    assert ONE.name not in str(one.pause_reason)
    assert state.check(two, 1)
    assert compared == [ONE.name, TWO.name]
    assert two.pause_reason is None
    assert not state.check(one)
    assert one.pause_reason is None


def test_a_ledger_that_is_ahead_of_the_state_makes_all_compare(state: State) -> None:
    one, two = RollbackMonitor(ONE, lambda _: 0), RollbackMonitor(TWO, lambda _: 3)
    state.check(one)
    assert state.check(two, 1)
    assert texts.WENT_BACK in str(two.pause_reason)
    assert state.check(one)
    assert one.pause_reason is None


def test_it_is_compared_again_after_a_failed_transaction_and_on_a_new_connection(state: State) -> None:
    times: list[int] = []

    def compare(tx: Transaction) -> int:
        times.append(tx.now)
        return 0

    monitor = RollbackMonitor(ONE, compare)
    state.check(monitor)
    state.check(monitor)
    assert len(times) == 1
    monitor.forget()
    state.check(monitor)
    assert len(times) == 2
    state.check(monitor, 1)
    assert len(times) == 3


def test_resume_goes_on_without_those_that_are_gone_and_forgets_them(state: State, cluster: Cluster) -> None:
    one, two = RollbackMonitor(ONE, lambda _: 0), RollbackMonitor(TWO, lambda _: 0)
    state.check(one)
    state.check(two, 1)
    make_tables_again(cluster, state)
    state.check(one)
    with state.transaction() as tx:
        state_rollback.give_up(tx)
        assert state_rollback.pause_reason(tx) is None
    make_tables_again(cluster, state)
    state.check(one)
    assert one.pause_reason is None


def test_a_machine_is_forgotten_after_a_quarter_unless_it_is_waited_for(state: State, cluster: Cluster) -> None:
    one, two = RollbackMonitor(ONE, lambda _: 0), RollbackMonitor(TWO, lambda _: 0)
    state.check(one)
    state.check(two, 1)
    state.now += 91 * DAY
    make_tables_again(cluster, state)
    state.check(one)
    state.now += DAY + 1
    state.check(one)
    assert TWO.name in str(one.pause_reason)
    state.check(two, 1)
    assert not state.check(one)
    assert one.pause_reason is None
    state.now += 91 * DAY
    state.check(one)
    make_tables_again(cluster, state)
    state.check(one)
    assert one.pause_reason is None


def test_a_text_names_a_dozen_machines_and_counts_the_rest(state: State) -> None:
    with state.transaction() as tx:
        for number in range(20):
            state_rollback.register(tx, Machine(str(number), f"nas{number:02}"))
        state_rollback.await_all(tx)
        told = str(state_rollback.pause_reason(tx))
    assert told.count("nas") == 12
    assert "and 8 more" in told


def test_a_state_that_is_not_shared_is_never_asked(state: State) -> None:
    with state.transaction() as tx:
        assert not RollbackMonitor().check(tx)
        assert tx.key_values.read("machines") is None
