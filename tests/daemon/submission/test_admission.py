"""Orders admitted, settled and released in any order, in the real state, while days and months turn."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sorawatch.core.budget import LimitScope, is_below
from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.limits import Limits
from sorawatch.core.order import Model, Order, Size
from sorawatch.core.purchase import Standing
from sorawatch.core.retry_policy import Policy
from sorawatch.core.waits import Waits
from sorawatch.daemon.submission.admission import Admission
from sorawatch.edges.store import Store

SIZE = Size(1280, 720)
WHOLE = Limits(in_flight=3, submits_per_minute=60, burst=2, micros_per_clip=9, micros_per_day=20, micros_per_month=50)
CATS = LimitScope(Limits(in_flight=1, micros_per_day=8), "cats", "cats/_defaults.yaml")
OLD = LimitScope(Limits(micros_per_month=10), "cats/old", "cats/old/_defaults.yaml")
FOLDERS = ("", "cats", "cats/old", "dogs")
DAY = 86_400_000


def anything(model: str, price: int | None) -> bool:
    """No circuit breaker is open."""
    return True


class Admissions(RuleBasedStateMachine):
    """Each second of a clip costs one micro-dollar."""

    def __init__(self) -> None:
        super().__init__()
        self.now = int(1000 * datetime(2026, 1, 30, 12, tzinfo=UTC).timestamp())
        self.folder = tempfile.TemporaryDirectory()
        self.store, _ = Store.create_or_open(Path(self.folder.name, "state.db"), "one", lambda: self.now)
        catalogue = {"wan": Model("wan", None, None, micros_per_second=1)}
        self.admission = Admission(WHOLE, Policy(Waits()), catalogue, True, UTC, 90 * DAY, "https://api.example/v1")
        self.jobs = 0
        self.open: dict[str, Job] = {}
        self.bought: list[tuple[Job, int]] = []
        self.released: set[str] = set()

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(folder=st.sampled_from(FOLDERS), seconds=st.integers(1, 10), count=st.integers(1, 4))
    def drop(self, folder: str, seconds: int, count: int) -> None:
        with self.store.transaction() as tx:
            for _ in range(count):
                self.jobs += 1
                name = f"{self.jobs:08}"
                pair = Pair(folder, f"{name}.jpg", Stamp(1, 1))
                job = Job(name, State.READY, pair, self.now, self.now, self.now, Order(name, "wan", SIZE, seconds))
                tx.jobs.add([replace(job, digest=name)])

    @rule(places=st.integers(1, 5), probing=st.booleans())
    def admit(self, places: int, probing: bool) -> None:
        with self.store.transaction() as tx:
            admitted = self.admission.admit(
                tx, places, [CATS, OLD], probing=probing, has_room=anything, is_present=lambda _: True
            )
            ready = tx.jobs.in_states([State.READY])
        for _, job in admitted.changes:
            if job.state is State.SUBMITTING:
                self.bought.append((job, self.now))
                self.open[job.id] = job
            else:
                assert job.state is State.REJECTED
                assert job.order is not None
                assert job.order.seconds > (8 if is_below(job.pair.folder, "cats") else 9)
        submits = len(admitted.submits)
        if admitted.reached or admitted.complete:
            closed_folders = [each.pause.folder for each in admitted.reached]
            assert submits == places or all(
                any(is_below(job.pair.folder, folder) for folder in closed_folders) for job in ready
            ), "nobody starves"
            assert all(each.pause.until is None or each.pause.until > self.now for each in admitted.reached)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9), fails=st.booleans())
    def end(self, which: int, fails: bool) -> None:
        job = self.open.pop(sorted(self.open)[which % len(self.open)])
        assert job.token is not None
        with self.store.transaction() as tx:
            tx.jobs.save(replace(job, state=State.FAILED if fails else State.DONE), job)
            tx.purchases.close(job.token, Standing.RELEASED if fails else Standing.SPENT)
        if fails:
            self.released.add(job.token)

    @rule(wait=st.sampled_from([300, 1_000, 2_500, DAY // 3, DAY, 20 * DAY]))
    def wait(self, wait: int) -> None:
        self.now += wait

    @invariant()
    def no_cap_is_passed(self) -> None:
        for scope in (LimitScope(WHOLE), CATS, OLD):
            spent: Counter[str] = Counter()
            for job, at in self.bought:
                if scope.covers(job.pair.folder) and job.token not in self.released:
                    local = datetime.fromtimestamp(at / 1000, UTC)
                    spent[f"{local:%Y-%m-%d}"] += job.price or 0
                    spent[f"{local:%Y-%m}"] += job.price or 0
            for period, micros in spent.items():
                cap = scope.limits.micros_per_month if len(period) == 7 else scope.limits.micros_per_day
                assert cap is None or micros <= cap
            running = sum(scope.covers(job.pair.folder) for job in self.open.values())
            assert scope.limits.in_flight is None or running <= scope.limits.in_flight

    @invariant()
    def the_pace_is_kept(self) -> None:
        times = [at for _, at in self.bought]
        for first, since in enumerate(times):
            for last, until in enumerate(times[first:], first):
                assert last - first + 1 <= 2 + (until - since) / 1_000


TestAdmissions = Admissions.TestCase
TestAdmissions.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
