"""Daemons of several machines on one share, with one state in a real PostgreSQL: one quota, and nothing bought twice.

A machine is a configuration with a work folder of its own; what they share is what real ones would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.limits import Limits
from sorawatch.core.order import Model, Order, Size
from sorawatch.core.retry_policy import Policy
from sorawatch.core.waits import Waits
from sorawatch.daemon.submission.admission import Admission
from sorawatch.edges.store import PostgresDatabase, Store
from sorawatch.simulator import Fault, Simulator
from tests.support import texts
from tests.support.daemon_process import Promises, Running, daemon, ended, pauses, reasons, start
from tests.support.failing_system_calls import killing_at, require_strace
from tests.support.postgres import PASSWORD, Cluster
from tests.support.tcp_proxy import TcpProxy, proxy
from tests.support.workspace import Workspace, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("postgres")]


class Machines:
    """Machines that work on the inbox of the first."""

    def __init__(self, first: Workspace, database: str) -> None:
        self.first = first
        self.workspaces = [first]
        first.set("state", value=database)
        first.set("folders", **{name: str(first.root / name) for name in ("inbox", "outbox", "errors", "processed")})

    def another(self) -> Workspace:
        """One more."""
        root = self.first.root.parent / f"machine{len(self.workspaces)}-{self.first.root.name}"
        root.mkdir()
        made = Workspace(root, self.first.simulator)
        made.settings = self.first.settings
        self.workspaces.append(made)
        return made

    def close(self) -> None:
        for each in self.workspaces:
            each.close()


@pytest.fixture
def machines(workspace: Workspace, database: str) -> Iterator[Machines]:
    with closing(Machines(workspace, database)) as made:
        yield made


@pytest.fixture
def stalled_machines(stalled_workspace: Workspace, database: str) -> Iterator[Machines]:
    """Likewise, with a simulator that finishes no video until it is told to."""
    with closing(Machines(stalled_workspace, database)) as made:
        yield made


def is_processed(machine: Workspace, name: str) -> bool:
    return name in machine.files("processed")


def logs(*daemons: Running) -> str:
    return "\n".join(each.log for each in daemons)


def test_they_share_the_work_and_buy_nothing_twice(machines: Machines) -> None:
    one, two, three = machines.first, machines.another(), machines.another()
    one.set("limits", in_flight=3)
    promises = Promises(one)
    promises.drop(*(f"{number}.png" for number in range(20)))
    (one.inbox / "broken.yaml").write_text("prompt: [\n")
    one.drop("broken.jpg", prompt="")
    with promises.watching(), daemon(one) as first, daemon(two) as second, daemon(three) as third:
        assert "running (pid " in one.cli("status")
        promises.drop(*(f"zz{number}.png" for number in range(10)))
        wait_until(lambda: len(one.files("processed")) == 60, told=lambda: reasons(one) + logs(first, second, third))
        wait_until(lambda: ended(one))
        found = Counter(line.split("[")[0] for line in logs(first, second, third).splitlines() if "]: found" in line)
        assert set(found.values()) == {1}
    promises.keep(clips=30)
    assert set(one.files("errors")) == {"broken.jpg", "broken.yaml", "broken.error.txt"}
    assert one.simulator.ledger().max_in_flight <= 3


def test_they_hold_back_a_batch_together_until_it_is_approved_on_one_of_them(machines: Machines) -> None:
    one, two = machines.first, machines.another()
    one.set("limits", confirm_above_usd=2, in_flight=2)
    promises = Promises(one)
    with daemon(one) as first, daemon(two) as second:
        wait_until(lambda: len(one.status().daemons) == 2, told=lambda: logs(first, second))
        promises.drop(*(f"anna/{number}.png" for number in range(8)))
        # Pictures that settle first may be prepared before the batch is too dear, but they are not sent.
        wait_until(lambda: sum(one.counts().values()) == 8 and "8 orders for $6.40" in two.told(), told=one.told)
        assert one.simulator.ledger().creates == 0
        wait_until(lambda: "anna/WAITING-FOR-APPROVAL.txt" in one.files("errors"))
        two.cli("approve", "anna")
        wait_until(lambda: len(one.files("processed")) == 16, told=lambda: reasons(one) + logs(first, second))
        wait_until(lambda: not one.files("errors"))
    promises.keep(clips=8)


def test_what_a_killed_machine_was_at_is_gone_on_with_by_another(stalled_machines: Machines) -> None:
    one, two = stalled_machines.first, stalled_machines.another()
    promises = Promises(one)
    promises.drop("a.jpg", "b.jpg")
    killed = start(one)
    one.simulator.wait_for(lambda ledger: ledger.creates == 2)
    killed.kill()
    with daemon(two) as running:
        one.simulator.finish_all()
        wait_until(lambda: len(one.files("processed")) == 4, told=lambda: reasons(two) + running.log)
    promises.keep(clips=2)


def killed_in_mid_submit(one: Workspace) -> Promises:
    """The server has the order of a daemon that was killed before it heard so."""
    one.simulator.inject(Fault("delay_after", on="create", seconds=30))
    promises = Promises(one)
    promises.drop("a.jpg")
    killed = start(one)
    one.simulator.wait_for(lambda ledger: ledger.creates == 1)
    killed.kill()
    return promises


def test_a_submit_that_a_killed_machine_had_under_way_is_found_by_another(machines: Machines) -> None:
    one, two = machines.first, machines.another()
    promises = killed_in_mid_submit(one)
    with daemon(two) as running:
        wait_until(lambda: len(one.files("processed")) == 2, told=lambda: reasons(two) + running.log)
        assert "it is not known whether the order arrived" in running.log
    promises.keep(clips=1)


def test_a_submit_under_way_is_found_whoever_gave_commands_meanwhile(machines: Machines) -> None:
    one = machines.first
    promises = killed_in_mid_submit(one)
    wait_until(lambda: texts.NO_DAEMON in one.cli("resume"))
    with daemon(one) as running:
        wait_until(lambda: len(one.files("processed")) == 2, told=lambda: reasons(one) + running.log)
    promises.keep(clips=1)


def test_what_was_prepared_elsewhere_is_prepared_again_rather_than_waited_for(machines: Machines) -> None:
    one, two = machines.first, machines.another()
    (one.inbox / "PAUSE").touch()
    promises = Promises(one)
    promises.drop("a.jpg")
    killed = start(one)
    wait_until(lambda: one.counts() == {"ready": 1}, told=lambda: killed.log)
    killed.kill()
    with daemon(two):
        (one.inbox / "PAUSE").unlink()
        wait_until(lambda: len(one.files("processed")) == 2, told=lambda: reasons(two))
    promises.keep(clips=1)


def test_the_limits_are_those_of_all_together(stalled_machines: Machines) -> None:
    one, two = stalled_machines.first, stalled_machines.another()
    one.set("limits", in_flight=2, usd_per_day=2.4)
    promises = Promises(one)
    promises.drop(*(f"{number}.jpg" for number in range(6)))
    with daemon(one), daemon(two):
        sim: Simulator = one.simulator
        sim.wait_for(lambda ledger: ledger.creates == 2)
        sim.finish_all()
        sim.wait_for(lambda ledger: ledger.creates == 3)
        sim.finish_all()
        wait_until(lambda: one.counts() == {"done": 3, "ready": 3}, told=lambda: reasons(one))
        wait_until(lambda: "limits.usd_per_day of $2.40 is reached" in pauses(two), told=lambda: pauses(two))
        assert pauses(two).count("usd_per_day") == 1
    assert (sim.ledger().creates, sim.ledger().max_in_flight) == (3, 2)
    promises.everything_whole()


def test_the_pace_is_that_of_all_together(database: str) -> None:
    now = 1_700_000_000_000
    stores = [Store.create_or_open(PostgresDatabase(database), name, lambda: now)[0] for name in ("one", "two")]
    catalogue = {"wan": Model("wan", None, None, micros_per_second=1)}
    limits = Limits(in_flight=9, submits_per_minute=60)
    admission = Admission(limits, Policy(Waits()), catalogue, True, None, 90 * 86_400_000, "https://api.example/v1")
    jobs = [
        Job(name, State.READY, Pair("", f"{name}.jpg", Stamp(1, 1)), now, now, now, Order(name, "wan", Size(64, 36), 4))
        for name in ("a", "b", "c")
    ]
    try:
        with stores[0].transaction() as tx:
            tx.jobs.add([replace(job, digest=job.id) for job in jobs])
        gone = []
        for seconds, store in ((0.0, 0), (0.0, 1), (0.999, 1), (1.0, 1), (1.0, 0), (2.0, 0)):
            now = 1_700_000_000_000 + int(1000 * seconds)
            with stores[store].transaction() as tx:
                admitted = admission.admit(
                    tx, 9, [], probing=False, has_room=lambda *_: True, is_present=lambda _: True
                )
            gone.append([job.id for job in admitted.submits])
        assert gone == [["a"], [], [], ["b"], [], ["c"]]
    finally:
        for each in stores:
            each.close()


def test_a_database_that_starts_anew_is_waited_for(stalled_machines: Machines, cluster: Cluster) -> None:
    one, two = stalled_machines.first, stalled_machines.another()
    promises = Promises(one)
    promises.drop("a.jpg", "b.jpg")
    with daemon(one) as first, daemon(two) as second:
        one.simulator.wait_for(lambda ledger: ledger.creates == 2)
        wait_until(lambda: sum("pid None" not in each for each in one.status().daemons) == 2)
        cluster.stop()
        try:
            wait_until(
                lambda: all("Nothing is lost; trying again" in each.log for each in (first, second)),
                told=lambda: logs(first, second),
            )
            promises.drop("c.jpg")
            assert PASSWORD not in one.cli("status", status=1)
        finally:
            cluster.start()
        one.simulator.wait_for(lambda ledger: ledger.creates == 3)
        one.simulator.finish_all()
        wait_until(lambda: len(one.files("processed")) == 6, told=lambda: reasons(one) + logs(first, second))
    promises.keep(clips=3)


def test_the_answer_to_a_machine_cut_off_meanwhile_counts(machines: Machines, cluster: Cluster) -> None:
    """The other one has taken its submit for lost, and looks for it in a list that does not show it yet."""
    one, two = machines.first, machines.another()
    one.set("api", timeout_seconds=60)
    name = str(one.settings["state"]).rpartition("/")[2]
    cluster.execute(f"CREATE ROLE alone{name} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    shared = one.settings
    promises = Promises(one)
    with proxy(one.simulator.root) as server:
        api = {**shared["api"], "base_url": server.in_front(one.simulator.url)}
        alone = str(shared["state"]).replace("//sorawatch:", f"//alone{name}:")
        one.settings = {**shared, "state": alone, "api": api}
        server.hold_requests()
        promises.drop("a.jpg")
        cut_off_while_it_submits(one, two, server, cluster, f"alone{name}")
    promises.keep(clips=1)


def cut_off_while_it_submits(one: Workspace, two: Workspace, server: TcpProxy, cluster: Cluster, role: str) -> None:
    with daemon(one) as first:
        wait_until(lambda: server.holding, told=lambda: first.log)
        cluster.execute(f"ALTER ROLE {role} NOLOGIN")
        cluster.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")
        with daemon(two) as second:
            wait_until(lambda: "it is not known whether the order arrived" in second.log)
            server.let_through()
            one.simulator.wait_for(lambda ledger: ledger.creates == 1)
            cluster.execute(f"ALTER ROLE {role} LOGIN")
            wait_until(lambda: len(one.files("processed")) == 2, told=lambda: reasons(two) + logs(first, second))


def test_a_clip_that_a_killed_machine_had_just_published_appears_once(machines: Machines) -> None:
    """The machine is killed once the clip is in the outbox, before it can record that."""
    require_strace()
    one, two = machines.first, machines.another()
    with daemon(two):
        pass
    (one.outbox / "folder").mkdir()
    one.drop("folder/a.jpg")
    killed = start(one, prefix=killing_at("fsync", one.outbox / "folder"))
    killed.process.wait(60)
    assert set(one.files("outbox")) == {"folder/a.mp4"}, killed.log
    with daemon(two) as running:
        wait_until(lambda: len(one.files("processed")) == 2, told=lambda: reasons(two) + running.log)
    assert set(one.files("outbox")) == {"folder/a.mp4"}
    assert one.simulator.ledger().creates == 1


def test_a_name_that_was_taken_meanwhile_is_not_used(machines: Machines) -> None:
    """The machine is killed before the clip is in the outbox, and somebody else puts a file there."""
    require_strace()
    one, two = machines.first, machines.another()
    with daemon(two):
        pass
    (one.outbox / "folder").mkdir()
    one.drop("folder/a.jpg")
    killed = start(one, prefix=killing_at("linkat", one.outbox / "folder"))
    killed.process.wait(60)
    assert one.files("outbox") == {}, killed.log
    (one.outbox / "folder" / "a.mp4").write_bytes(b"another clip")
    with daemon(two) as running:
        wait_until(lambda: len(one.files("processed")) == 2, told=lambda: reasons(two) + running.log)
    assert set(one.files("outbox")) == {"folder/a.mp4", "folder/a (2).mp4"}
    assert (one.outbox / "folder" / "a.mp4").read_bytes() == b"another clip"


class TestRefused:
    def test_a_machine_whose_share_is_not_mounted(self, machines: Machines, tmp_path: Path) -> None:
        machines.first.run_once()
        other = machines.another()
        other.settings = {
            **other.settings,
            "folders": {name: str(other.root / name) for name in other.settings["folders"]},
        }
        assert f"{texts.LOST_ITS_FILE}, so its share is not mounted" in other.program("run", status=1)
        assert other.files("inbox") == {}

    def test_another_state_on_the_same_inbox(self, machines: Machines, cluster: Cluster) -> None:
        one, two, three = machines.first, machines.another(), machines.another()
        two.settings = {**one.settings, "state": cluster.database()}
        three.settings = {**one.settings, "state": "state.db"}
        with daemon(one):
            for other in (two, three):
                assert f"the inbox {one.inbox} {texts.OTHER_STATE}" in other.program("run", status=2)
        assert texts.OTHER_STATE in three.program("run", status=2)
        three.cli("recover", "--take-over", "--yes")
        with daemon(three):
            assert texts.OTHER_STATE in one.program("run", status=2)

    def test_an_address_that_is_none(self, workspace: Workspace) -> None:
        workspace.set("state", value="postgresql://somebody:s3cret@host:port/clips")
        told = workspace.program("run", status=2)
        assert "s3cret" not in told
        assert "Write it as postgresql://USER@HOST/DATABASE" in told

    def test_a_database_that_does_not_let_us_in(self, machines: Machines) -> None:
        machines.first.set("state", value=str(machines.first.settings["state"]).replace(PASSWORD, "wr0ng-one"))
        told = machines.first.program("run", status=1)
        assert "wr0ng-one" not in told
        assert "password authentication failed" in told
        assert "Check that the database server runs and lets this machine in" in told

    def test_the_database_of_another_program(self, machines: Machines, cluster: Cluster) -> None:
        url = cluster.database()
        cluster.execute("CREATE TABLE things (number int)", url.rpartition("/")[2])
        machines.first.set("state", value=url)
        assert texts.OTHER_DATABASE in machines.first.program("run", status=2)


def test_commands_are_heard_whichever_machine_they_are_given_on(stalled_machines: Machines) -> None:
    one, two = stalled_machines.first, stalled_machines.another()
    two.write_config()
    assert f"{texts.NO_STATE} at postgresql://sorawatch:***@" in two.cli("status", status=2)
    with daemon(one) as running:
        assert two.cli("pause") == "Paused: nothing more is submitted until `sorawatch resume`.\n"
        one.drop("a.jpg")
        wait_until(lambda: one.counts() == {"ready": 1}, told=lambda: running.log)
        assert f"{texts.NOTHING_IS_SUBMITTED}: {texts.PAUSED_BY_COMMAND}" in two.cli("status")
        two.cli("resume")
        one.simulator.wait_for(lambda ledger: ledger.creates == 1)
        assert f"is {texts.NOTHING_TO_RECOVER}" in two.program("recover", status=2)
        assert "a daemon is running on it" in two.cli("check")
    assert texts.NO_DAEMON in two.cli("pause")
    assert "$0.80 reserved" in two.cli("report")
    assert PASSWORD not in running.log
    for path in one.root.rglob("*"):
        with suppress(OSError):
            assert path.name == "config.yaml" or PASSWORD.encode() not in path.read_bytes()


def test_a_state_lost_while_orders_are_under_way_is_recovered(stalled_machines: Machines, cluster: Cluster) -> None:
    one = stalled_machines.first
    promises = Promises(one)
    promises.drop("a.jpg")
    with daemon(one):
        one.simulator.wait_for(lambda ledger: ledger.creates == 1)
        wait_until(lambda: one.counts() == {"rendering": 1})
    one.set("state", value=cluster.database())
    told = one.program("run", status=2)
    assert "is missing or empty, but" in told
    assert "still has 1 unfinished jobs" in told
    assert "restored 1 unfinished jobs" in one.program("recover")
    one.simulator.finish_all()
    with daemon(one) as running:
        wait_until(lambda: len(one.files("processed")) == 2, told=lambda: reasons(one) + running.log)
    promises.keep(clips=1)


def test_what_was_bought_is_known_when_the_state_is_lost(machines: Machines, cluster: Cluster) -> None:
    """From the ledgers of all machines, put together for the one that is started first."""
    one, two = machines.first, machines.another()
    promises = Promises(one)
    for machine, name in ((one, "a.jpg"), (two, "b.jpg")):
        promises.drop(name)
        with daemon(machine) as running:
            wait_until(partial(is_processed, one, name), told=lambda: reasons(one) + running.log)
            wait_until(lambda: ended(one))
    ledgers = [*(two.root / "work").glob("*.ledger")]
    (two.root / "work").rename(two.root / "gone")
    (one.root / "work" / "two.ledger").write_bytes((two.root / "gone" / ledgers[0].name).read_bytes())
    one.set("state", value=cluster.database())
    assert "Restored from the ledger: 2 orders." in one.program("recover")
    for path in one.processed.iterdir():
        if path.name.startswith(("a.", "b.")):
            path.rename(one.inbox / path.name)
    with daemon(one) as running:
        wait_until(lambda: len(one.files("processed")) == 6, told=lambda: reasons(one) + running.log)
    promises.keep(clips=2)
    assert {"a.returned.txt", "b.returned.txt"} <= {*one.files("processed")}
    assert "$1.60 spent" in one.cli("report")


def test_one_more_is_ordered_once_whoever_finds_its_pair(machines: Machines) -> None:
    one, two = machines.first, machines.another()
    promises = Promises(one)
    promises.drop("a.jpg")
    with daemon(one) as first, daemon(two) as second:
        wait_until(lambda: len(one.files("processed")) == 2, told=lambda: reasons(one) + logs(first, second))
        wait_until(lambda: ended(one))
        (done,) = one.status().jobs
        two.cli("retry", "--another", done.id)
        wait_until(lambda: len(one.files("outbox")) == 2, told=lambda: reasons(one) + logs(first, second))
        wait_until(lambda: len(one.files("processed")) == 2 and ended(one), told=lambda: reasons(one))
    promises.everything_whole()
    assert one.simulator.ledger().creates == 2
    assert one.files("errors") == {}
