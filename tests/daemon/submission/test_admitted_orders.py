"""Which of the ready orders are submitted, and what becomes of the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from sorawatch.core import outcome as o
from sorawatch.core.budget import Exclusion, LimitReached, LimitScope
from sorawatch.core.concurrency_limit import ConcurrencyLimit
from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.limits import Limits
from sorawatch.core.order import Aim, Model, Order, Size
from sorawatch.core.pause import Pause
from sorawatch.core.purchase import Standing
from sorawatch.core.retry_policy import Policy
from sorawatch.core.waits import Waits
from sorawatch.daemon.submission.admission import Admission, Admitted
from sorawatch.daemon.submission.usage_values import concurrency_limit, write_concurrency_limit
from sorawatch.edges.store import Transaction
from sorawatch.errors import Cause
from tests.support.clocked_state import NOW, SERVER, ClockedState, order

SIZE = Size(1280, 720)
DAY = 86_400_000
CATALOGUE = {
    "sora-2": Model("sora-2", None, None, micros_per_second=100_000),
    "free": Model("free", None, None, micros_per_second=0),
    "unpriced": Model("unpriced", None, None),
}
ADMISSION = Admission(Limits(in_flight=9), Policy(Waits()), CATALOGUE, True, UTC, 90 * DAY, SERVER)
CATS = LimitScope(Limits(in_flight=1), "cats", "cats/_defaults.yaml")


def ready(job_id: str, model: str = "sora-2", folder: str = "", **changes: Any) -> Job:
    """A job that waits for its submit; each has its own picture and prompt."""
    job = order(job_id, State.READY, model, price=None, token=None, submitted_at=None, charged=Charged.NO)
    pair = Pair(folder, f"{job_id}.jpg", Stamp(1, 1))
    return replace(job, **{"pair": pair, "order": Order(f"prompt of {job_id}", model, SIZE, 8), **changes})


def admit(
    tx: Transaction,
    *jobs: Job,
    admission: Admission = ADMISSION,
    places: int = 5,
    probing: bool = False,
    stopped: str = "",
    folder_limits: tuple[LimitScope, ...] = (),
) -> Admitted:
    """What is admitted of these jobs, which are new in the state; the model ``stopped`` has no room."""
    tx.jobs.add(jobs)
    return admission.admit(
        tx,
        places,
        folder_limits,
        probing=probing,
        has_room=lambda model, price: model != stopped,
        is_present=lambda path: True,
    )


def submitted(admitted: Admitted) -> list[str]:
    return [job.id for job in admitted.submits]


def limited(**limits: Any) -> Admission:
    return replace(ADMISSION, limits=Limits(**{"in_flight": 9, **limits}))


def test_what_is_submitted_is_written_with_its_purchase(state: ClockedState) -> None:
    with state.at(5000) as tx:
        admitted = admit(tx, ready("a"))
        ((before, after),) = admitted.changes
        assert (before.state, after.state) == (State.READY, State.SUBMITTING)
        assert (after.price, after.submitted_at, after.charged) == (800_000, NOW + 5000, Charged.PERHAPS)
        assert after.token is not None
        assert len(after.token) == 24
        assert tx.jobs.get("a") == after
        assert ADMISSION.spent_today(tx) == 800_000
        assert (admitted.reached, admitted.complete) == ((), True)


def test_no_more_than_the_places_go(state: ClockedState) -> None:
    with state.at() as tx:
        first = admit(tx, *(ready(job_id) for job_id in "abc"), places=2)
        assert (len(first.submits), first.complete) == (2, False)
        second = admit(tx, places=2)
        assert (len(second.submits), second.complete) == (1, True)


def test_nothing_is_examined_while_the_server_is_full(state: ClockedState) -> None:
    with state.at() as tx:
        running = order("running", State.RENDERING, video_id="video_1")
        full = admit(tx, running, ready("a"), admission=limited(in_flight=1))
        assert (full.changes, full.complete) == ((), False)
        assert [(each.pause.limit, each.pause.folder) for each in full.reached] == [("limits.in_flight", "")]
        assert submitted(admit(tx, admission=limited(in_flight=2))) == ["a"]


def test_while_the_server_is_full_the_full_folders_are_named_too(state: ClockedState) -> None:
    dogs = LimitScope(Limits(in_flight=2), "dogs", "dogs/_defaults.yaml")
    with state.at() as tx:
        cat = order("cat", State.RENDERING, video_id="video_1")
        running = replace(cat, pair=Pair("cats", "cat.jpg", Stamp(1, 1)))
        blocked = LimitReached(Pause("cannot be read", folder="birds", limit="birds"), lasting=True)
        birds = LimitScope(Limits(), "birds", "birds/_defaults.yaml", blocked)
        full = admit(tx, running, admission=limited(in_flight=1), folder_limits=(CATS, dogs, birds))
        assert [each.pause.limit for each in full.reached] == [
            "limits.in_flight in cats/_defaults.yaml",
            "limits.in_flight",
        ]


def test_an_order_like_one_in_submit_is_named(state: ClockedState) -> None:
    with state.at() as tx:
        like = order("like")
        waiting = replace(ready("a"), order=like.order)
        assert admit(tx, like, waiting, ready("b")).alike == ("a",)


def test_without_a_number_of_places_there_is_one(state: ClockedState) -> None:
    assert [limited(in_flight=places).places for places in (None, 1, 7)] == [1, 1, 7]
    with state.at() as tx:
        assert len(admit(tx, ready("a"), ready("b"), admission=limited(in_flight=None)).submits) == 1


def test_a_server_that_takes_fewer_gets_fewer(state: ClockedState) -> None:
    with state.at() as tx:
        write_concurrency_limit(tx, ConcurrencyLimit(2, NOW))
        admitted = admit(tx, *(ready(job_id) for job_id in "abc"))
        assert len(admitted.submits) == 2
        assert [each.pause.reason for each in admitted.reached] == ["2 of 2 places in flight are taken"]
        assert not admitted.complete


def test_a_probe_is_the_one_that_was_not_tried_for_the_longest(state: ClockedState) -> None:
    urgent = ready("urgent", changed_at=NOW - 1)
    urgent = replace(urgent, order=Order("hurry", "sora-2", SIZE, 8, priority=9))
    with state.at() as tx:
        assert submitted(admit(tx, urgent, ready("old", changed_at=NOW - 2), places=1, probing=True)) == ["old"]
        assert submitted(admit(tx, ready("new", changed_at=NOW - 3), places=1)) == ["urgent"]


def test_an_order_waits_while_one_like_it_is_submitted(state: ClockedState) -> None:
    words = Order("the same words", "sora-2", SIZE, 8)
    with state.at() as tx:
        admitted = admit(tx, ready("a", order=words), ready("b", order=words))
        assert (len(admitted.changes), len(admitted.submits)) == (1, 1)


def test_a_model_without_room_is_passed_over(state: ClockedState) -> None:
    with state.at() as tx:
        admitted = admit(tx, ready("a"), ready("b", "free"), ready("c"), stopped="sora-2")
        assert (submitted(admitted), admitted.reached, admitted.complete) == (["b"], (), True)


def test_the_others_are_reached_behind_any_number_of_a_model_without_room(state: ClockedState) -> None:
    with state.at() as tx:
        many = [ready(f"{number:03}", created_at=NOW - 1000) for number in range(70)]
        assert submitted(admit(tx, *many, ready("z", "free"), stopped="sora-2")) == ["z"]


def test_a_folder_whose_limit_is_reached_is_passed_over(state: ClockedState) -> None:
    with state.at() as tx:
        jobs = ready("a", folder="cats"), ready("b", folder="cats/old"), ready("c", folder="dogs")
        admitted = admit(tx, *jobs, folder_limits=(CATS,))
        assert sorted(submitted(admitted)) in (["a", "c"], ["b", "c"])
        assert [each.pause.folder for each in admitted.reached] == ["cats"]
        assert admitted.complete


def test_the_pace_ends_the_pass(state: ClockedState) -> None:
    with state.at() as tx:
        admitted = admit(tx, ready("a"), ready("b"), admission=limited(submits_per_minute=1))
        assert (len(admitted.submits), admitted.complete) == (1, False)
        assert [each.pause.until for each in admitted.reached] == [NOW + 60_000]
    with state.at(59_999) as tx:
        assert admit(tx, admission=limited(submits_per_minute=1)).submits == []
    with state.at(60_000) as tx:
        assert len(admit(tx, admission=limited(submits_per_minute=1)).submits) == 1


@pytest.mark.parametrize("cap", ["micros_per_day", "micros_per_month"])
def test_where_a_cap_is_reached_what_is_free_goes_on(state: ClockedState, cap: str) -> None:
    with state.at() as tx:
        admitted = admit(tx, ready("a"), ready("b"), ready("c", "free"), admission=limited(**{cap: 1_000_000}))
        assert len(admitted.submits) == 2
        assert "c" in submitted(admitted)
        assert [(each.priced, each.lasting) for each in admitted.reached] == [(True, True)]
        assert admitted.complete


def test_a_lasting_limit_is_told_before_one_that_ends_in_a_moment(state: ClockedState) -> None:
    cats = LimitScope(Limits(micros_per_day=1_000_000), "cats", "cats/_defaults.yaml")
    with state.at() as tx:
        jobs = ready("a", folder="cats"), ready("b", folder="cats")
        admitted = admit(tx, *jobs, admission=limited(submits_per_minute=1), folder_limits=(cats,))
        assert [each.pause.limit for each in admitted.reached] == ["limits.usd_per_day in cats/_defaults.yaml"]


def test_what_the_limits_can_never_let_through_is_rejected(state: ClockedState) -> None:
    with state.at() as tx:
        dear, unpriced = ready("dear"), ready("unpriced", "unpriced")
        admitted = admit(tx, dear, unpriced, admission=limited(micros_per_clip=1))
        assert {after.state for _, after in admitted.changes} == {State.REJECTED}
        assert [tx.jobs.get(job.id) for job, _ in admitted.changes] == [after for _, after in admitted.changes]
        assert admitted.submits == []


def test_limits_are_checked_as_far_as_the_price_is_known_and_only_before_the_purchase() -> None:
    admission = limited(micros_per_clip=1)
    for job in (ready("b", order=None), order("c", State.RENDERING)):
        assert admission.check_limits(job, NOW, []) is job
    sizeless = ready("a", order=Order("waves", "sora-2", Aim.AUTO, 8))
    assert limited(micros_per_clip=800_000).check_limits(sizeless, NOW, []) is sizeless
    assert admission.check_limits(sizeless, NOW, []).state is State.REJECTED
    rejected = admission.check_limits(ready("d"), NOW, [])
    assert (rejected.state, rejected.changed_at) == (State.REJECTED, NOW)
    cats = LimitScope(Limits(micros_per_clip=1), "cats", "cats/_defaults.yaml")
    assert ADMISSION.check_limits(ready("e", folder="dogs"), NOW, [cats]).state is State.READY
    assert ADMISSION.check_limits(ready("f", folder="cats"), NOW, [cats]).state is State.REJECTED


def test_a_price_is_known_of_a_model_in_the_catalogue_and_a_final_size() -> None:
    jobs = (
        ready("a"),
        ready("b", "free"),
        ready("c", "unpriced"),
        ready("d", "elsewhere"),
        ready("e", order=None),
        ready("f", order=Order("waves", "sora-2", Aim.AUTO, 8)),
    )
    assert [ADMISSION.price(job) for job in jobs] == [800_000, 0, None, None, None, None]


def test_the_orders_that_may_cost_money_are_those_of_a_model_or_of_all_that_are_not_free() -> None:
    assert ADMISSION.priced("sora-2") == Exclusion(models=("sora-2",))
    assert ADMISSION.priced("") == Exclusion(models=("sora-2", "unpriced"))


@pytest.mark.parametrize(
    ("earlier", "told"),
    [
        (order("a", State.DONE, clip="a.mp4", filed=("a.jpg",)), "it is the same order as job a, delivered as a.mp4"),
        (order("a", State.HELD, reason="nobody knows"), "it is the same order as job a, which is held: nobody knows"),
    ],
)
def test_the_same_order_is_refused(state: ClockedState, earlier: Job, told: str) -> None:
    again = ready("b", order=earlier.order, digest=earlier.digest)
    with state.at() as tx:
        ((_, after),) = admit(tx, earlier, again).changes
        assert (after.state, after.reason, tx.jobs.get("b")) == (State.REJECTED, told, after)
        assert "`sorawatch retry --another b`" in after.hint


@pytest.mark.parametrize("filed", [("b.jpg", "b.yaml"), ()])
def test_a_delivered_pair_that_comes_back_is_filed_beside_the_first(
    state: ClockedState, filed: tuple[str, ...]
) -> None:
    earlier = order("a", State.DONE, clip="a.mp4", filed=filed)
    again = ready("b", order=earlier.order, digest=earlier.digest)
    if filed:
        earlier = replace(earlier, pair=again.pair)
    with state.at() as tx:
        ((_, after),) = admit(tx, earlier, again).changes
        assert (after.state, after.clip, tx.jobs.get("b")) == (State.WITHDRAWN, "a.mp4", after)
        assert after.reason == "it came back unchanged: it is the same order as job a, delivered as a.mp4"
        assert "`sorawatch retry --another b`" in after.hint


def test_the_same_order_waits_for_one_that_is_under_way(state: ClockedState) -> None:
    earlier = order("a", State.RENDERING, video_id="video_1")
    again = ready("b", order=earlier.order, digest=earlier.digest)
    with state.at() as tx:
        ((_, after),) = admit(tx, earlier, again).changes
        assert (after.state, after.due_at) == (State.READY, NOW + 1000)
        assert after.reason == "waits for job a, which is the same order"


def test_the_same_order_is_bought_where_that_is_allowed(state: ClockedState) -> None:
    earlier = order("a", State.DONE, clip="a.mp4")
    with state.at() as tx:
        again = ready("b", order=earlier.order, digest=earlier.digest)
        assert submitted(admit(tx, earlier, again, admission=replace(ADMISSION, refuse_duplicates=False))) == ["b"]


@pytest.mark.parametrize(("after", "refused"), [(90 * DAY, True), (90 * DAY + 1, False)])
def test_a_delivery_is_remembered_for_ninety_days(state: ClockedState, after: int, refused: bool) -> None:
    earlier = order("a", State.DONE, clip="a.mp4")
    with state.at() as tx:
        tx.jobs.add([earlier])
    with state.at(after) as tx:
        again = ready("b", order=earlier.order, digest=earlier.digest, due_at=NOW)
        assert (submitted(admit(tx, again)) == []) is refused


def test_a_delivery_whose_job_is_forgotten_is_refused_too(state: ClockedState) -> None:
    earlier = order("a")
    with state.at() as tx:
        tx.purchases.add(earlier)
        tx.purchases.close("token of a", Standing.SPENT, "a.mp4")
        ((_, after),) = admit(tx, ready("b", order=earlier.order, digest=earlier.digest)).changes
        assert after.reason == "it is the same order as job a, delivered as a.mp4"


def test_a_pair_that_was_touched_goes_on_as_the_older_job(state: ClockedState) -> None:
    older = order("a", State.RENDERING, video_id="video_1")
    touched = ready("b", pair=Pair("", "a.jpg", Stamp(1, 2)), order=older.order, digest=older.digest)
    with state.at() as tx:
        changes = admit(tx, older, touched).changes
        assert [(after.id, after.state, after.pair) for _, after in changes] == [
            ("a", State.RENDERING, touched.pair),
            ("b", State.CANCELLED, touched.pair),
        ]
        assert [tx.jobs.get(job_id) for job_id in "ab"] == [after for _, after in changes]
        assert changes[1][1].reason == "it is the same pair and order as job a, which continues"


def test_only_a_ready_job_with_the_same_order_goes_on_as_another(state: ClockedState) -> None:
    older = order("a", State.RENDERING, video_id="video_1", reference_digest="r")
    with state.at() as tx:
        tx.jobs.add([older])
        assert ADMISSION.compare_with_older(tx, ready("b", pair=older.pair), lambda path: True) == []
        same = ready("c", pair=older.pair, order=older.order, digest="another", reference_digest="r")
        assert ADMISSION.compare_with_older(tx, replace(same, state=State.FOUND), lambda path: True) == []
        tx.jobs.add([same])
        (_, merged), _ = ADMISSION.compare_with_older(tx, same, lambda path: True)
        assert (merged.digest, merged.reference_digest) == ("another", "r")


def test_what_an_earlier_try_of_the_order_bought_is_followed(state: ClockedState) -> None:
    bought = order("a")
    with state.at() as tx:
        tx.purchases.add(bought)
        again = ready("a", order=bought.order, token="token of a")
        ((_, after),) = admit(tx, again).changes
        assert (after.state, after.token) == (State.UNCERTAIN, "token of a")


def test_what_the_job_itself_had_delivered_is_not_bought_again(state: ClockedState) -> None:
    bought = order("a")
    with state.at() as tx:
        tx.purchases.add(bought)
        tx.purchases.close("token of a", Standing.SPENT, "a.mp4")
        ((_, after),) = admit(tx, ready("a", order=bought.order, digest=bought.digest)).changes
        assert (after.state, after.clip) == (State.DELIVERED, "a.mp4")


@pytest.mark.parametrize(
    ("buyer", "video_id", "state_after"),
    [
        (order("a", State.FAILED, token=None), "video_1", State.RENDERING),
        (order("a", State.CANCELLED, token=None), "video_1", State.RENDERING),
        (order("a", State.FAILED, token=None), None, State.SUBMITTING),
        (order("a", State.REJECTED, token=None), "video_1", State.SUBMITTING),
        (None, None, State.UNCERTAIN),
        (None, "video_1", State.RENDERING),
    ],
)
def test_what_another_job_bought_is_followed_once_that_job_is_given_up(
    state: ClockedState, buyer: Job | None, video_id: str | None, state_after: State
) -> None:
    bought = order("a")
    with state.at() as tx:
        tx.purchases.add(bought)
        if video_id is not None:
            tx.purchases.set_video("token of a", video_id)
        tx.jobs.add([buyer] if buyer else [])
        ((_, after),) = admit(tx, ready("b", order=bought.order, digest=bought.digest)).changes
        assert after.state is state_after


@pytest.mark.parametrize(("after", "lost"), [(90 * DAY, True), (90 * DAY + 1, False)])
def test_a_purchase_without_a_job_is_lost_for_as_long_as_jobs_are_kept(
    state: ClockedState, after: int, lost: bool
) -> None:
    bought = order("a")
    with state.at() as tx:
        tx.purchases.add(bought)
    with state.at(after) as tx:
        again = ready("b", order=bought.order, digest=bought.digest)
        assert (submitted(admit(tx, again)) == []) is lost


def test_too_many_of_ours_halve_the_places_and_each_clip_adds_one(state: ClockedState) -> None:
    crowd = o.Blocked(Cause("too many", "", temporary=True, too_many_running=True))
    with state.at() as tx:
        tx.jobs.add([order(job_id, State.RENDERING, video_id=f"video of {job_id}") for job_id in "abcd"])
        tx.jobs.add([order("refused")])
        ADMISSION.adapt_concurrency(tx, order("refused"), o.Accepted("video_1"))
        ADMISSION.adapt_concurrency(tx, order("refused"), o.Blocked(Cause("no credit", "", temporary=False)))
        assert concurrency_limit(tx) is None
        ADMISSION.adapt_concurrency(tx, order("refused"), crowd)
        assert concurrency_limit(tx) == ConcurrencyLimit(2, NOW)
        ADMISSION.adapt_concurrency(tx, order("late", submitted_at=NOW - 1), crowd)
        assert concurrency_limit(tx) == ConcurrencyLimit(2, NOW)
        ADMISSION.adapt_concurrency(tx, order("a"), o.Rendered())
        assert concurrency_limit(tx) == ConcurrencyLimit(3, NOW)
