"""Two machines, of which one loses the database or is frozen while it submits: nothing is bought twice.

What a machine says to the database and to the video server goes through proxies, which hold it back and cut it. A
machine is a configuration with a work folder of its own.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from sorawatch.simulator import Fault
from tests.support.daemon_process import Promises, Running, daemon, reasons
from tests.support.postgres import Cluster
from tests.support.tcp_proxy import TcpProxy, proxy
from tests.support.workspace import Workspace, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("postgres")]

THREADS = 8
"""The number of simultaneous submits."""
FOLDERS = ("inbox", "outbox", "errors", "processed")


@dataclass
class Pair:
    """Two machines on one share. All traffic of the first goes through proxies."""

    first: Workspace
    second: Workspace
    database: TcpProxy
    server: TcpProxy
    url: str

    def log(self, *daemons: Running) -> str:
        return "\n".join([reasons(self.second), *(each.log for each in daemons)])

    @property
    def creates(self) -> int:
        return self.first.simulator.ledger().creates


@pytest.fixture
def pair(stalled_workspace: Workspace, database: str) -> Iterator[Pair]:
    first = stalled_workspace
    root = first.root.parent / f"second-{first.root.name}"
    root.mkdir()
    second = Workspace(root, first.simulator)
    with ExitStack() as stack:
        stack.callback(second.close)
        to_database = stack.enter_context(proxy(database))
        to_server = stack.enter_context(proxy(first.simulator.root))
        folders = {name: str(first.root / name) for name in FOLDERS}
        first.set("folders", **folders)
        second.set("folders", **folders)
        first.set("state", value=to_database.in_front(database))
        second.set("state", value=database)
        # A server that the first machine waits for, and of which the second one soon knows that nothing can still come.
        first.set("api", base_url=to_server.in_front(first.simulator.url), timeout_seconds=300)
        second.set("api", timeout_seconds=2)
        for each in (first, second):
            each.set("limits", in_flight=30)
        second.write_config()
        yield Pair(first, second, to_database, to_server, database)


def accepted(pair: Pair, promises: Promises) -> None:
    """Have an order accepted. Its video shows that the server's list is ours, and that the server answers."""
    promises.drop("witness.jpg")
    wait_until(lambda: pair.second.counts() == {"rendering": 1})


def submitting(pair: Pair, promises: Promises, count: int) -> None:
    """Have orders committed: a thread each has sent what it can to a server that receives nothing, the rest wait."""
    pair.server.hold_requests()
    promises.drop(*(f"{number}.jpg" for number in range(count)))
    wait_until(lambda: pair.second.counts().get("submitting") == count)
    wait_until(lambda: pair.server.holding >= THREADS)


@pytest.mark.parametrize("happening", ["cut off", "frozen"])
def test_submits_that_others_have_taken_over_are_not_sent(pair: Pair, cluster: Cluster, happening: str) -> None:
    promises = Promises(pair.first)
    with daemon(pair.first) as first:
        accepted(pair, promises)
        submitting(pair, promises, THREADS + 4)
        if happening == "frozen":
            first.process.send_signal(signal.SIGSTOP)
            pair.database.reset()
        else:
            pair.database.cut()
        with daemon(pair.second) as second:
            wait_until(lambda: pair.creates == THREADS + 5, told=lambda: pair.log(first, second))
            # Those that were being sent are lost on the way. The threads go on with those that wait behind them.
            pair.server.reset()
            pair.server.let_through()
            if happening == "frozen":
                first.process.send_signal(signal.SIGCONT)
            pair.database.let_through()
            wait_until(lambda: len(pair.second.status().daemons) == 2, told=lambda: pair.log(first, second))
            assert second.stop() == 0
            # It is sent by one of the threads, after all that waited.
            promises.drop("last.jpg")
            pair.first.simulator.wait_for(lambda ledger: any("last" in video.prompt for video in ledger.videos))
            promises.nothing_twice()
            pair.first.simulator.finish_all()
            finished = 2 * (THREADS + 6)
            wait_until(lambda: len(pair.first.files("processed")) == finished, told=lambda: pair.log(first, second))
    promises.keep(clips=THREADS + 6)


def cut_off_while_the_answer_is_on_its_way(pair: Pair, promises: Promises) -> None:
    """The server has taken an order. The machine that sent it can neither hear the answer nor reach the database."""
    pair.server.hold_answers()
    promises.drop("a.jpg")
    pair.first.simulator.wait_for(lambda ledger: ledger.creates == 2)
    wait_until(lambda: pair.server.holding >= 1)
    pair.database.cut()


def test_an_order_that_was_repeated_before_its_answer_came_counts_and_its_clip_is_fetched(pair: Pair) -> None:
    pair.first.simulator.inject(Fault("list_hidden", word="around a", times=None))
    promises = Promises(pair.first)
    with daemon(pair.first) as first:
        accepted(pair, promises)
        cut_off_while_the_answer_is_on_its_way(pair, promises)
        with daemon(pair.second) as second:
            # The list that shows the witness does not show the order, so it is made again.
            wait_until(lambda: pair.creates == 3, told=lambda: pair.log(first, second))
            pair.database.let_through()
            wait_until(lambda: len(pair.second.status().daemons) == 2, told=lambda: pair.log(first, second))
            pair.server.let_through()
            wait_until(lambda: "ordered twice" in first.log, told=lambda: pair.log(first, second))
            (job,) = [each for each in pair.second.status().jobs if "fetches that clip" in each.note]
            assert "it was ordered twice, since the answer to its first order came late" in pair.second.cli(
                "show", job.id
            )
            assert "$2.40 reserved" in pair.second.cli("report")
            pair.first.simulator.finish_all()
            wait_until(lambda: len(pair.first.files("outbox")) == 3, told=lambda: pair.log(first, second))
            wait_until(lambda: set(pair.second.counts()) == {"done"}, told=lambda: pair.log(first, second))
            assert "$2.40 spent" in pair.second.cli("report")
    promises.everything_whole()
    assert set(pair.first.files("outbox")) == {"witness.mp4", "a.mp4", "a (2).mp4"}
    assert pair.creates == 3


def test_submits_that_were_not_sent_need_no_person_after_others_have_searched_for_them(pair: Pair) -> None:
    """The server has no list, so those that others have taken over are held until it is known that nothing was sent."""
    pair.first.simulator.inject(Fault("answer_before", on="list", status=404, times=None))
    promises = Promises(pair.first)
    with daemon(pair.first) as first:
        accepted(pair, promises)
        submitting(pair, promises, THREADS + 4)
        pair.database.cut()
        with daemon(pair.second) as second:
            wait_until(lambda: pair.second.counts().get("held") == THREADS + 4, told=lambda: pair.log(first, second))
            pair.server.reset()
            pair.server.let_through()
            pair.database.let_through()
            # Those that were not sent go back; an open circuit breaker keeps them until a person has looked.
            wait_until(lambda: pair.second.counts().get("held") == THREADS, told=lambda: pair.log(first, second))
            pair.second.cli("resume")
            pair.first.simulator.wait_for(lambda ledger: ledger.creates == 5)
            wait_until(lambda: pair.second.counts() == {"held": THREADS, "rendering": 5})
    promises.nothing_twice()


@pytest.mark.parametrize("lost", ["the answer", "the order and its answer"])
def test_a_commit_that_the_database_has_lost_is_made_up_for(pair: Pair, cluster: Cluster, lost: str) -> None:
    """The database comes back as it was a moment before, which a machine learns by its broken connection."""
    name = pair.url.rpartition("/")[2]

    def keep_a_copy() -> None:
        pair.database.cut()
        cluster.disconnect(name)
        cluster.execute(f"CREATE DATABASE {name}_before TEMPLATE {name}")
        pair.database.let_through()

    promises = Promises(pair.first)
    with daemon(pair.first) as first:
        accepted(pair, promises)
        if lost == "the answer":
            pair.server.hold_answers()
            promises.drop("a.jpg")
            pair.first.simulator.wait_for(lambda ledger: ledger.creates == 2)
            wait_until(lambda: pair.second.counts() == {"rendering": 1, "submitting": 1})
            keep_a_copy()
            pair.server.let_through()
        else:
            keep_a_copy()
            promises.drop("a.jpg")
        wait_until(lambda: first.log.count(": rendering as ") == 2, told=lambda: pair.log(first))
        pair.database.cut()
        cluster.disconnect(name)
        cluster.execute(f"DROP DATABASE {name}")
        cluster.execute(f"ALTER DATABASE {name}_before RENAME TO {name}")
        pair.database.let_through()
        wait_until(lambda: pair.second.counts() == {"rendering": 2}, told=lambda: pair.log(first))
        pair.first.simulator.finish_all()
        wait_until(lambda: len(pair.first.files("processed")) == 4, told=lambda: pair.log(first))
    promises.keep(clips=2)
