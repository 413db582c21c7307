"""The database goes back in time below running daemons: a standby that lacks the last seconds, a restored dump.

Nothing is bought twice, by what the server counts.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import texts
from tests.support.daemon_process import Promises, Running, daemon, pauses, reasons, start
from tests.support.postgres import PASSWORD, Cluster, running_cluster
from tests.support.workspace import Workspace, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("postgres")]

ORDERS = 6


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A server whose data the test replaces."""
    with running_cluster() as made:
        yield made


class Pair:
    """Two machines on one inbox, one database, and a server that finishes no video until it is told to."""

    def __init__(self, one: Workspace, cluster: Cluster) -> None:
        self.one, self.cluster = one, cluster
        one.set("state", value=cluster.database())
        one.set("folders", **{name: str(one.root / name) for name in ("inbox", "outbox", "errors", "processed")})
        one.set("limits", in_flight=20)
        root = one.root.parent / f"two-{one.root.name}"
        root.mkdir()
        self.two = Workspace(root, one.simulator)
        self.two.settings = one.settings
        for each in (one, self.two):
            each.write_config()
        self.promises = Promises(one)
        self.names = [f"{number}.jpg" for number in range(ORDERS)]

    def close(self) -> None:
        for each in (self.one, self.two):
            each.close()

    @property
    def database(self) -> str:
        return str(self.one.settings["state"]).rpartition("/")[2]

    def ordered(self, creates: int) -> None:
        """Wait until so many orders were answered."""
        self.one.simulator.wait_for(lambda ledger: ledger.creates == creates)
        wait_until(lambda: self.one.counts().get("rendering") == creates, told=lambda: reasons(self.one))

    def is_known_by(self, daemons: int) -> None:
        """Wait until so many daemons have published their status."""
        wait_until(lambda: sum("pid None" not in each for each in self.one.status().daemons) == daemons)

    def finish(self, *daemons: Running) -> None:
        """Let the server finish its videos, and everything be delivered."""

        def is_over() -> bool:
            self.one.simulator.finish_all()
            return len(self.one.files("processed")) == len(self.promises.originals)

        wait_until(is_over, timeout=120, told=lambda: reasons(self.one) + "".join(each.log for each in daemons))


def started(workspace: Workspace) -> Running:
    """A daemon at work, which the test ends."""
    running = start(workspace)
    wait_until(lambda: " watching " in running.log)
    return running


@pytest.fixture
def pair(stalled_workspace: Workspace, own_cluster: Cluster) -> Iterator[Pair]:
    with closing(Pair(stalled_workspace, own_cluster)) as made:
        yield made


def dumped(pair: Pair) -> Callable[[], None]:
    """Dump the database. What is returned restores the dump."""
    url = str(pair.one.settings["state"])
    dump = pair.cluster.dump(url)
    return lambda: pair.cluster.restore(url, dump)


def standby(pair: Pair) -> Callable[[], None]:
    copy = pair.cluster.copy()
    return lambda: pair.cluster.fail_over(copy)


def snapshot(pair: Pair) -> Callable[[], None]:
    """The server itself cannot tell that it has gone back: only the ledgers can."""
    copy = pair.cluster.copy()
    return lambda: pair.cluster.replace(copy)


WAYS = [standby, dumped, snapshot]


@pytest.mark.parametrize("way", WAYS)
def test_daemons_that_run_on(pair: Pair, way: Callable[[Pair], Callable[[], None]]) -> None:
    """What was bought since is missing in the database: the jobs as a whole, or that they were sent."""
    one, two = pair.one, pair.two
    early, late = pair.names[: ORDERS // 2], pair.names[ORDERS // 2 :]
    with daemon(one) as first, daemon(two) as second:
        pair.is_known_by(2)
        (one.inbox / "PAUSE").touch()
        pair.promises.drop(*early)
        wait_until(lambda: one.counts() == {"ready": len(early)}, told=lambda: reasons(one))
        go_back = way(pair)
        (one.inbox / "PAUSE").unlink()
        pair.ordered(len(early))
        pair.promises.drop(*late)
        pair.ordered(ORDERS)
        go_back()
        pair.promises.drop("new.jpg")
        one.simulator.wait_for(lambda ledger: ledger.creates >= ORDERS + 1)
        pair.finish(first, second)
    pair.promises.keep(clips=ORDERS + 1)


@pytest.mark.parametrize("way", [standby, dumped])
def test_the_machine_that_ordered_is_started_last(pair: Pair, way: Callable[[Pair], Callable[[], None]]) -> None:
    one, two = pair.one, pair.two
    submitter = started(one)
    (one.inbox / "PAUSE").touch()
    pair.promises.drop(*pair.names)
    wait_until(lambda: one.counts() == {"ready": ORDERS}, told=lambda: reasons(one))
    go_back = way(pair)
    (one.inbox / "PAUSE").unlink()
    pair.ordered(ORDERS)
    submitter.kill()
    go_back()
    with daemon(two) as second:
        wait_until(lambda: texts.WENT_BACK in pauses(two), told=lambda: second.log)
        assert f"{one.root / 'work'}" in pauses(two)
        assert f"{two.root / 'work'}" not in pauses(two)
        pair.promises.drop("new.jpg")
        wait_until(lambda: two.counts().get("ready") == ORDERS + 1, told=lambda: reasons(two))
        assert one.simulator.ledger().creates == ORDERS
        with daemon(one) as first:
            one.simulator.wait_for(lambda ledger: ledger.creates >= ORDERS + 1)
            pair.finish(first, second)
        assert texts.WENT_BACK not in pauses(two)
    pair.promises.keep(clips=ORDERS + 1)


def test_a_machine_that_is_gone_with_its_work_folder_is_waited_for_until_a_person_goes_on(pair: Pair) -> None:
    one, two = pair.one, pair.two
    gone = started(one)
    go_back = standby(pair)
    pair.promises.drop("a.jpg")
    pair.ordered(1)
    gone.kill()
    shutil.rmtree(one.root / "work")
    go_back()
    with daemon(one) as first, daemon(two) as second:
        wait_until(lambda: two.counts() == {"ready": 1}, told=lambda: second.log)
        wait_until(lambda: texts.WENT_BACK in pauses(two), told=lambda: second.log)
        assert "sorawatch resume" in pauses(two)
        pair.is_known_by(2)
        assert one.simulator.ledger().creates == 1
        two.cli("resume")
        one.simulator.wait_for(lambda ledger: ledger.creates == 2)
        pair.finish(first, second)
    pair.promises.everything_whole()


def test_a_switch_that_loses_nothing_goes_on_by_itself(pair: Pair) -> None:
    one, two = pair.one, pair.two
    with daemon(one) as first, daemon(two) as second:
        pair.is_known_by(2)
        pair.promises.drop(*pair.names)
        pair.ordered(ORDERS)
        pair.cluster.fail_over(pair.cluster.copy())
        pair.promises.drop("new.jpg")
        one.simulator.wait_for(lambda ledger: ledger.creates >= ORDERS + 1)
        pair.finish(first, second)
    pair.promises.keep(clips=ORDERS + 1)


def test_a_restart_of_the_server_is_no_going_back(pair: Pair) -> None:
    """A machine that is off is not waited for."""
    one, two = pair.one, pair.two
    with daemon(two):
        pair.is_known_by(1)
    with daemon(one) as running:
        pair.is_known_by(1)
        pair.cluster.stop()
        pair.cluster.start()
        pair.promises.drop("a.jpg")
        one.simulator.wait_for(lambda ledger: ledger.creates == 1)
        assert texts.WENT_BACK not in running.log
        pair.finish(running)
    pair.promises.keep(clips=1)


def test_a_server_that_tells_nothing_of_its_history(pair: Pair) -> None:
    """As hosted ones may. The tables and the ledgers still tell."""
    one = pair.one
    for function in ("pg_control_system()", "pg_walfile_name(pg_lsn)"):
        pair.cluster.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC", pair.database)
    pair.cluster.execute(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
    pair.cluster.execute("GRANT ALL ON SCHEMA public TO plain", pair.database)
    one.set("state", value=str(one.settings["state"]).replace("//sorawatch:", "//plain:"))
    with daemon(one) as running:
        pair.is_known_by(1)
        go_back = standby(pair)
        pair.promises.drop(*pair.names)
        pair.ordered(ORDERS)
        go_back()
        pair.promises.drop("new.jpg")
        one.simulator.wait_for(lambda ledger: ledger.creates >= ORDERS + 1)
        pair.finish(running)
    pair.promises.keep(clips=ORDERS + 1)


def test_the_files_of_a_machine_name_it(pair: Pair) -> None:
    with daemon(pair.one):
        pair.is_known_by(1)
    (ledger,) = Path(pair.one.root / "work").glob("*.ledger")
    assert ledger.read_bytes().startswith(b'{"entry":"ledger","ledger":')
