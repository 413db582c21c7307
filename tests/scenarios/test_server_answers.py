"""Every answer in `server_answers` with the whole daemon: what is bought, held, charged and reported.

Whatever a server answers, no picture is bought twice, and only a refused key is blamed on the key.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sorawatch import config, simulator
from sorawatch.app import build
from sorawatch.core.job import Charged, Job
from sorawatch.simulator import Fault
from tests.support import server_answers as rows
from tests.support import texts
from tests.support.sampling import sampled
from tests.support.server_answers import Row
from tests.support.workspace import Workspace, wait_until

pytestmark = pytest.mark.slow

PRICE = 800_000
"""Micro-dollars: the price of one clip with the workspace's defaults."""

NO_LIST = Fault("answer_before", on="list", status=404, shape="detail_text", times=None)

LATE = 0.5
"""The time-out of a request in seconds. Tests that need a proof by lists wait 1.5 times as long."""


def each(answers: Iterable[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", sampled(answers, 4), ids=lambda row: row.name)


def drained(workspace: Workspace, seconds: float = 250) -> bool:
    """As `Workspace.run_once`, but fail after so many seconds, because a pause may not end."""
    loaded = config.load(workspace.write_config(), {})
    late = threading.Event()
    with build.opened(loaded, {}, [lambda before, after: workspace.changes.append((before, after))]) as daemon:

        def give_up() -> None:
            late.set()
            daemon.stop()

        timer = threading.Timer(seconds, give_up)
        timer.start()
        try:
            well = daemon.run(once=True)
        finally:
            timer.cancel()
    assert not late.is_set(), f"not drained within {seconds:g} s: {told_of(workspace)}"
    return well


def latest(workspace: Workspace) -> dict[str, Job]:
    """Every job by the path of its picture."""
    return {after.pair.path: after for _, after in workspace.changes}


def only_job(workspace: Workspace) -> Job:
    (job,) = workspace.status().jobs
    return job


def told_of(workspace: Workspace) -> str:
    """All texts about the jobs and the pauses."""
    snapshot = workspace.status()
    errors = [path.read_text() for path in workspace.errors.rglob("*.error.txt")]
    pauses = [text for pause in snapshot.pauses for text in (pause.reason, pause.hint)]
    return "\n".join([text for job in snapshot.jobs for text in (job.reason, job.hint, job.obstacle)] + errors + pauses)


def assert_no_key_is_blamed(text: str) -> None:
    for words in ("refuses the API key", "valid key", "SORAWATCH_API_KEY"):
        assert words not in text


def assert_held_as_lost(workspace: Workspace, creates: int, says: Iterable[str] = ()) -> None:
    """Assert that the only job is held, that it may be charged, and that its pair was not moved."""
    assert workspace.simulator.ledger().creates == creates
    job = only_job(workspace)
    assert (job.state.value, job.charged) == ("held", Charged.PERHAPS), job.reason
    today = workspace.status().today
    assert today.spent + today.reserved == PRICE
    assert set(workspace.files("inbox")) == {"beach.jpg", "beach.yaml"}
    text = told_of(workspace)
    for words in (f"It {texts.MAYBE_CHARGED} ($0.80)", f"sorawatch adopt {job.id}", *says):
        assert words in text
    assert_no_key_is_blamed(text)


def assert_delivered(workspace: Workspace, creates: int = 1, pictures: int = 1) -> None:
    assert workspace.counts() == {"done": pictures}, told_of(workspace)
    assert len(workspace.files("outbox")) == pictures
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (creates, creates - pictures)


def sold(count: int) -> dict[str, dict[str, Any]]:
    """The first ``count`` models of the simulator of `apart`, as in a configuration."""
    return {f"m{number}": {"sizes": ["320x180"], "seconds": [8], "usd_per_second": 0.1} for number in range(count)}


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace whose simulator has many models with small clips, so that each order can use another model."""
    prices = {"320x180": Decimal("0.10")}
    models = tuple(simulator.ModelCard(f"m{number}", "standard", prices, ("8",)) for number in range(50))
    settings = simulator.SimulatorSettings(generation_seconds=0.1, frames_per_second=1, models=models)
    with simulator.running(settings) as sim:
        workspace = Workspace(tmp_path, sim)
        yield workspace
        workspace.close()


@pytest.fixture
def beach(workspace: Workspace) -> Workspace:
    workspace.drop("beach.jpg")
    return workspace


# Orders that may have been accepted


def bought_apart(workspace: Workspace, answers: list[Row], kind: str, **options: Any) -> dict[str, Job]:
    """Order one picture for each answer, each with another model. Returns the jobs by the name of the answer's row.

    The models differ so that lost answers and refusals do not stop the other orders.
    """
    workspace.set("limits", in_flight=2 * len(answers))
    workspace.set("models", **sold(len(answers)))
    for number, row in enumerate(answers):
        workspace.drop(f"{number}.jpg", f"picture {number};", model=f"m{number}", size="320x180")
        workspace.simulator.inject(row.fault(kind, "create", prompt=f"picture {number};", **options))
    drained(workspace)
    jobs = latest(workspace)
    return {row.name: jobs[f"{number}.jpg"] for number, row in enumerate(answers)}


OF_ONE_MODEL = [row for row in rows.LOST if row.name not in rows.LOST_FOR_ALL]


def as_lost(jobs: dict[str, Job]) -> dict[str, tuple[str, Charged]]:
    return {name: (job.state.value, job.charged) for name, job in jobs.items()}


@pytest.mark.parametrize("kind", ["answer_after", "answer_before"], ids=["taken", "not taken"])
def test_lost_answers_are_held_and_never_sent_again(apart: Workspace, kind: str) -> None:
    answers = [row for row in OF_ONE_MODEL if kind == "answer_after" or "{id}" not in str(row.body)]
    apart.simulator.inject(NO_LIST)
    jobs = bought_apart(apart, answers, kind)
    held = dict.fromkeys(jobs, ("held", Charged.PERHAPS))
    assert as_lost(jobs) == held
    says = {row.name: (*row.says, f"It {texts.MAYBE_CHARGED} ($0.80)", "sorawatch adopt") for row in answers}
    missing = {
        name: [words for words in says[name] if words not in f"{job.reason} {job.hint}"] for name, job in jobs.items()
    }
    assert {name: words for name, words in missing.items() if words} == {}
    assert_no_key_is_blamed(told_of(apart))
    assert len(apart.files("inbox")) == 2 * len(answers)
    assert apart.simulator.ledger().creates == (len(answers) if kind == "answer_after" else 0)
    # A restart changes nothing.
    drained(apart)
    assert as_lost(latest(apart)) == {job.pair.path: held[name] for name, job in jobs.items()}
    assert apart.simulator.ledger().creates == (len(answers) if kind == "answer_after" else 0)


@each([row for row in rows.LOST if row.name in rows.LOST_FOR_ALL])
def test_a_lost_answer_with_a_general_cause_is_held_too(beach: Workspace, row: Row) -> None:
    beach.simulator.inject(row.fault("answer_after", "create"), NO_LIST)
    assert not drained(beach)
    assert_held_as_lost(beach, 1, row.says)
    assert not drained(beach)
    assert_held_as_lost(beach, 1, row.says)


def test_lost_answers_are_found_in_the_list(apart: Workspace) -> None:
    jobs = bought_apart(apart, OF_ONE_MODEL, "answer_after")
    assert {name: job.state.value for name, job in jobs.items()} == dict.fromkeys(jobs, "done")
    assert (apart.simulator.ledger().creates, apart.simulator.ledger().duplicates) == (len(jobs), 0)
    assert all("uncertain" in apart.states(job.pair.path) for job in jobs.values())


def test_a_possible_charge_is_reserved_until_it_is_resolved(beach: Workspace) -> None:
    beach.simulator.inject(Fault("answer_after", on="create", status=504, shape="html", times=None), NO_LIST)
    assert not drained(beach)
    assert (beach.status().today.spent, beach.status().today.reserved) == (0, PRICE)
    (video,) = beach.simulator.ledger().videos
    beach.cli("adopt", "beach.jpg", video.id)
    assert drained(beach)
    assert (beach.status().today.spent, beach.status().today.reserved) == (PRICE, 0)


@each([row for row in rows.LOST if row.name in rows.SHOWN_ID])
def test_a_possible_id_is_shown_for_adoption(beach: Workspace, row: Row) -> None:
    beach.simulator.inject(row.fault("answer_after", "create"), NO_LIST)
    assert not drained(beach)
    (video,) = beach.simulator.ledger().videos
    assert video.id in told_of(beach)


def test_the_video_of_another_job_is_a_lost_answer(workspace: Workspace) -> None:
    workspace.drop("first.jpg")
    assert drained(workspace)
    (first,) = workspace.simulator.ledger().videos
    workspace.simulator.inject(
        Row("", 200, {"id": first.id, "status": "queued"}).fault("answer_after", "create"), NO_LIST
    )
    workspace.drop("beach.jpg")
    assert not drained(workspace)
    assert workspace.counts() == {"done": 1, "held": 1}
    assert list(workspace.files("outbox")) == ["first.mp4"]
    assert workspace.simulator.ledger().creates == 2


# Orders that were accepted


def test_an_id_is_found_anywhere_in_the_answer(apart: Workspace) -> None:
    apart.simulator.inject(NO_LIST)
    jobs = bought_apart(apart, rows.TAKEN, "answer_after")
    assert {name: job.state.value for name, job in jobs.items()} == dict.fromkeys(jobs, "done")
    assert {name for name, job in jobs.items() if "uncertain" in apart.states(job.pair.path)} == set()
    assert apart.simulator.ledger().creates == len(jobs)


# Orders that were not accepted


def test_a_temporary_refusal_is_sent_again(apart: Workspace) -> None:
    apart.set("retries", attempts=1000, first_seconds=0.01, max_seconds=0.05)
    jobs = bought_apart(apart, rows.LATER, "answer_before", times=2)
    assert {name: job.state.value for name, job in jobs.items()} == dict.fromkeys(jobs, "done")
    assert {name for name, job in jobs.items() if "uncertain" in apart.states(job.pair.path)} == set()
    assert apart.simulator.ledger().creates == len(jobs)


def refused(workspace: Workspace, answers: list[Row]) -> dict[str, str]:
    """Order one picture for each answer. Returns the error texts by the name of the answer's row."""
    names = {f"{number:02}": row.name for number, row in enumerate(answers)}
    for (name, _), row in zip(names.items(), answers, strict=True):
        workspace.drop(f"{name}.jpg", f"picture {name}")
        workspace.simulator.inject(row.fault("answer_before", "create", prompt=f"picture {name}"))
    assert not drained(workspace)
    errors = {path.name.partition(".")[0]: path.read_text() for path in workspace.errors.glob("*.error.txt")}
    assert workspace.counts() == {"failed": len(answers)}, {names[name] for name in names.keys() - errors.keys()}
    assert workspace.simulator.ledger().creates == 0
    return {names[name]: text for name, text in errors.items()}


def test_a_refused_order_goes_to_errors_uncharged_and_quoted(workspace: Workspace) -> None:
    errors = refused(workspace, rows.REFUSED)
    for row in rows.REFUSED:
        assert f"{texts.WAS_IT_CHARGED}\n    No." in errors[row.name]
        for words in row.says:
            assert words in errors[row.name]
    assert_no_key_is_blamed("".join(errors.values()))


def test_a_moderation_refusal_at_the_submit_is_reported_as_such(workspace: Workspace) -> None:
    errors = refused(workspace, rows.MODERATED)
    assert {
        name for name, text in errors.items() if "moderation" not in text.partition(texts.WAS_IT_CHARGED)[0]
    } == set()
    assert workspace.simulator.ledger().rejected == len(rows.MODERATED)


def paused(workspace: Workspace) -> str:
    """The texts after submissions are paused. Asserts that nothing was bought, failed or moved."""
    with workspace.running():
        wait_until(lambda: workspace.status().pauses, told=lambda: told_of(workspace))
        text = told_of(workspace)
        assert texts.NOTHING_IS_SUBMITTED in workspace.told() or "paused" in workspace.told()
    assert workspace.files("errors") == {}
    assert workspace.counts() == {"ready": 1}
    assert workspace.simulator.ledger().creates == 0
    return text


@each(rows.KEY)
def test_a_refused_key_stops_all_orders(beach: Workspace, row: Row) -> None:
    beach.simulator.inject(row.fault("answer_before", "create"))
    text = paused(beach)
    for words in row.says:
        assert words in text


@each(rows.CREDIT)
def test_an_empty_account_stops_all_orders_and_does_not_blame_the_key(beach: Workspace, row: Row) -> None:
    beach.simulator.inject(row.fault("answer_before", "create"))
    text = paused(beach)
    assert "credit" in text
    assert_no_key_is_blamed(text)


@each(rows.NEUTRAL)
def test_an_unknown_error_is_quoted_and_does_not_blame_the_key(beach: Workspace, row: Row) -> None:
    beach.simulator.inject(row.fault("answer_before", "create"))
    text = paused(beach)
    for words in row.says:
        assert words in text
    assert_no_key_is_blamed(text)


def test_an_unavailable_model_stops_only_its_own_orders(apart: Workspace) -> None:
    apart.set("models", **sold(len(rows.MODEL) + 1))
    for number, row in enumerate(rows.MODEL):
        apart.drop(f"{number}.jpg", f"picture {number};", model=f"m{number}", size="320x180", priority=1)
        apart.simulator.inject(row.fault("answer_before", "create", prompt=f"picture {number};"))
    apart.drop("other.jpg", "another picture", model=f"m{len(rows.MODEL)}", size="320x180")
    with apart.running():
        wait_until(lambda: apart.counts() == {"ready": len(rows.MODEL), "done": 1}, told=apart.told)
        wait_until(lambda: len(apart.status().pauses) == len(rows.MODEL), told=apart.told)
        pauses = [pause.model for pause in apart.status().pauses]
        text = told_of(apart)
    assert sorted(pauses) == sorted(sold(len(rows.MODEL)))
    assert_no_key_is_blamed(text)
    assert apart.files("errors") == {}
    assert list(apart.files("outbox")) == ["other.mp4"]


def test_a_check_with_a_key_that_litellm_refuses_does_not_say_ready(workspace: Workspace) -> None:
    (row,) = [row for row in rows.KEY if "LiteLLM" in row.name]
    workspace.simulator.inject(row.fault("answer_before", "any"))
    text = workspace.cli("check", status=1)
    assert texts.READY_TO_RUN not in text
    assert "No connected db" in text


# Answers to polls


def test_a_job_that_moderation_ended_is_not_ordered_again(workspace: Workspace) -> None:
    names = list(rows.FAILED_BY_MODERATION)
    for number, (code, message) in enumerate(rows.FAILED_BY_MODERATION.values()):
        workspace.drop(f"{number:02}.jpg", f"picture {number:02}")
        workspace.simulator.inject(
            Fault("generation_fails", prompt=f"picture {number:02}", code=code, message=message, times=None)
        )
    assert not drained(workspace)
    bought = [video.prompt for video in workspace.simulator.ledger().videos]
    assert [names[int(prompt[-2:])] for prompt in bought if bought.count(prompt) > 1] == []
    assert workspace.counts() == {"failed": len(names)}
    for path in workspace.errors.glob("*.error.txt"):
        assert "moderation" in path.read_text()


def polled(workspace: Workspace, faults: dict[str, Fault]) -> dict[str, Job]:
    """Order one picture for each fault. Returns the jobs by the name of the fault."""
    workspace.set("limits", in_flight=2 * len(faults))
    for number, fault in enumerate(faults.values()):
        workspace.drop(f"{number}.jpg", f"picture {number};", seconds=4)
        workspace.simulator.inject(replace(fault, prompt=f"picture {number};"))
    drained(workspace)
    jobs = latest(workspace)
    assert workspace.simulator.ledger().creates == len(faults)
    return {name: jobs[f"{number}.jpg"] for number, name in enumerate(faults)}


def test_a_finished_video_is_recognized_by_any_word_at_any_place(workspace: Workspace) -> None:
    words = ("succeed", "Succeed", "ready", "Ready", "finish", "FINISH")
    faults = {word: Fault("status_word", on="retrieve", when="completed", word=word, times=None) for word in words}
    faults |= {row.name: row.fault("answer_after", "retrieve", when="completed") for row in rows.FINISHED}
    # Unknown words count as still rendering.
    numbers = {f"status {number}": {"id": "{id}", "object": "video", "status": number} for number in (0, 1, 5)}
    faults |= {name: Row("", 200, body).fault("answer_after", "retrieve", times=2) for name, body in numbers.items()}
    jobs = polled(workspace, faults)
    assert {name: job.state.value for name, job in jobs.items()} == dict.fromkeys(faults, "done")


WORDS_FOR_FAILED = [
    "aborted", "rejected", "timeout", "timed_out", "TIMED_OUT", "blocked", "Request Moderated", "Content Moderated",
]  # fmt: skip


def test_words_for_a_video_that_was_not_made(workspace: Workspace) -> None:
    workspace.set("retries", failed_generations=0)
    faults = {word: Fault("status_word", on="retrieve", word=word, times=None) for word in WORDS_FOR_FAILED}
    assert {
        name for name, job in polled(workspace, faults).items() if job.state.value not in {"failed", "held"}
    } == set()


def test_a_job_whose_polls_stay_unreadable_is_held(workspace: Workspace) -> None:
    workspace.set("polling", stall_minutes=0.01, abandon_hours=0.0003)
    jobs = polled(workspace, {row.name: row.fault("answer_before", "retrieve") for row in rows.UNREADABLE_POLLS})
    assert as_lost(jobs) == dict.fromkeys(jobs, ("held", Charged.PERHAPS))
    assert {name for name, job in jobs.items() if texts.MAYBE_CHARGED not in job.reason} == set()
    assert_no_key_is_blamed(told_of(workspace))


@pytest.mark.parametrize(
    "row",
    sampled(
        [
            Row("404", 404, {"detail": "Video not found"}),
            Row("400", 400, rows.new_api("task_not_exist", "task_not_exist")),
        ],
        2,
    ),
    ids=lambda row: row.name,
)
def test_a_temporarily_unknown_video_is_delivered(beach: Workspace, row: Row) -> None:
    beach.simulator.inject(row.fault("answer_before", "retrieve", times=3))
    assert drained(beach)
    assert_delivered(beach)


@pytest.mark.parametrize(
    "row",
    sampled(
        [
            Row("404", 404, {"detail": "Video not found"}),
            Row("400", 400, rows.new_api("task_not_exist", "task_not_exist")),
        ],
        2,
    ),
    ids=lambda row: row.name,
)
def test_a_permanently_unknown_paid_video_is_not_bought_again(beach: Workspace, row: Row) -> None:
    beach.simulator.inject(row.fault("answer_before", "retrieve"))
    assert not drained(beach)
    assert (only_job(beach).state.value, only_job(beach).charged) in {
        ("failed", Charged.PERHAPS),
        ("held", Charged.PERHAPS),
    }
    assert "erhaps" in told_of(beach) or texts.MAYBE_CHARGED in told_of(beach)
    assert beach.simulator.ledger().creates == 1


# What a list proves


@pytest.mark.parametrize("faults", sampled(rows.NO_PROOF.values(), 2), ids=rows.NO_PROOF)
def test_a_list_that_proves_nothing_orders_nothing_again(beach: Workspace, faults: list[Fault]) -> None:
    beach.set("api", timeout_seconds=LATE)
    beach.simulator.inject(Fault("answer_after", on="create", status=504, shape="html", times=None), *faults)
    assert not drained(beach)
    assert_held_as_lost(beach, 1)


def test_a_list_of_finished_videos_only_proves_nothing(stalled_workspace: Workspace) -> None:
    stalled_workspace.set("api", timeout_seconds=LATE)
    stalled_workspace.drop("beach.jpg")
    stalled_workspace.simulator.inject(
        Fault("answer_after", on="create", status=504, shape="html", times=None),
        Fault("list_unfinished_hidden", times=None),
    )
    assert not drained(stalled_workspace)
    assert_held_as_lost(stalled_workspace, 1)


def test_a_good_list_without_a_witness_proves_nothing(beach: Workspace) -> None:
    beach.set("api", timeout_seconds=LATE)
    beach.simulator.inject(Fault("lost_before", on="create"))
    assert not drained(beach)
    assert_held_as_lost(beach, 0)


def delivered_before(workspace: Workspace) -> None:
    """Deliver one clip with a daemon that has ended."""
    workspace.set("api", timeout_seconds=LATE)
    workspace.drop("first.jpg")
    assert drained(workspace)
    workspace.drop("beach.jpg")


def test_a_good_list_that_shows_an_earlier_video_proves_that_an_order_never_arrived(workspace: Workspace) -> None:
    delivered_before(workspace)
    workspace.simulator.inject(Fault("lost_before", on="create"))
    assert drained(workspace)
    assert_delivered(workspace, 2, 2)
    assert workspace.simulator.ledger().lists >= 2


def test_a_good_list_proves_it_even_if_another_picture_has_the_same_prompt(workspace: Workspace) -> None:
    workspace.set("api", timeout_seconds=LATE)
    workspace.drop("first.jpg", "the same words")
    assert drained(workspace)
    workspace.drop("beach.jpg", "the same words")
    workspace.simulator.inject(Fault("lost_before", on="create"))
    assert drained(workspace)
    assert_delivered(workspace, 2, 2)


def test_a_good_list_proves_it_for_an_order_whose_first_video_failed_too(workspace: Workspace) -> None:
    delivered_before(workspace)
    workspace.simulator.inject(Fault("generation_fails"), Fault("lost_before", on="create", after=1))
    assert drained(workspace)
    assert [video.status for video in workspace.simulator.ledger().videos] == ["completed", "failed", "completed"]


def test_a_good_list_that_shows_a_later_video_proves_that_an_order_never_arrived(workspace: Workspace) -> None:
    workspace.set("api", timeout_seconds=LATE)
    workspace.drop("beach.jpg", priority=1)
    workspace.drop("later.jpg")
    workspace.simulator.inject(Fault("lost_before", on="create", prompt="beach"))
    assert drained(workspace)
    assert_delivered(workspace, 2, 2)


HIDING = {
    "another account's": Fault("list_foreign", times=None),
    "hides all of ours": Fault("list_hidden", times=None),
    "empty": Fault("list_empty", times=None),
    "lagging": Fault("list_lagging", seconds=3600, times=None),
    "drops what is not in the gateway's books": Fault("list_filtered", word="beach", times=None),
    "without an end": Fault("list_without_has_more", times=None),
}


@pytest.mark.parametrize("fault", sampled(HIDING.values(), 2), ids=HIDING)
def test_a_list_that_hides_accepted_orders_buys_nothing_after_a_restart(workspace: Workspace, fault: Fault) -> None:
    delivered_before(workspace)
    hidden = [Fault("list_hidden", word="beach", times=None)] if fault.kind == "list_without_has_more" else []
    workspace.simulator.inject(Fault("answer_after", on="create", status=504, shape="html", times=None), fault, *hidden)
    assert not drained(workspace)
    assert workspace.counts() == {"done": 1, "held": 1}
    assert workspace.simulator.ledger().creates == 2
    assert_no_key_is_blamed(told_of(workspace))


@pytest.mark.parametrize("before", [True, False], ids=["witness", "no witness"])
def test_an_order_is_found_in_a_delayed_list(workspace: Workspace, before: bool) -> None:
    if before:
        delivered_before(workspace)
    workspace.drop("beach.jpg")
    workspace.simulator.inject(
        Fault("answer_after", on="create", status=504, shape="html"), Fault("list_hidden", word="beach", times=1)
    )
    assert drained(workspace)
    assert_delivered(workspace, 1 + before, 1 + before)


# Downloads


ARRIVES = {
    "404 SGLang": Row("", 404, {"detail": "Generation is still in-progress"}).fault("answer_before", "content", times=3),
    "400 new-api": Row("", 400, rows.openai("Task is not completed yet, current status: IN_PROGRESS", None, "invalid_request_error")).fault("answer_before", "content", times=3),
    "403 new-api": Row("", 403, rows.openai("request blocked: private IP address not allowed: 10.0.0.5")).fault("answer_before", "content", times=2),
    "500 FastVideo": Row("", 500, {"detail": "Video generation failed"}).fault("answer_before", "content", times=2),
    "502 new-api": Row("", 502, rows.openai("Upstream service returned status 404")).fault("answer_before", "content", times=5),
    "502 page": Fault("answer_before", on="content", status=502, shape="html", times=5),
    "page": Fault("answer_before", on="content", status=200, shape="html", times=2),
    "MP4 declared as JSON": Fault("mistyped", media_type="application/json", times=None),
    "MP4 declared as a page": Fault("mistyped", media_type="text/html", times=None),
    "MP4 declared as text": Fault("mistyped", media_type="text/plain; charset=utf-8", times=None),
    "MP4 declared as bytes": Fault("mistyped", media_type="application/octet-stream", times=None),
}  # fmt: skip


@pytest.mark.parametrize("fault", sampled(ARRIVES.values(), 4), ids=ARRIVES)
def test_a_clip_is_delivered_whatever_the_server_answers_meanwhile(beach: Workspace, fault: Fault) -> None:
    beach.simulator.inject(fault)
    assert drained(beach)
    assert_delivered(beach)


@pytest.mark.parametrize(
    "row",
    [
        Row("404", 404, rows.openai("Video content has expired.", "video_expired")),
        Row("410", 410, {"detail": "Gone"}),
        Row("400", 400, {"error": "The video is no longer available"}),
    ],
    ids=lambda row: row.name,
)
def test_a_clip_that_has_expired_is_not_bought_again(beach: Workspace, row: Row) -> None:
    beach.simulator.inject(row.fault("answer_before", "content"))
    assert not drained(beach)
    text = (beach.errors / "beach.error.txt").read_text()
    assert "expired" in text
    assert "Yes ($0.80)" in text
    assert beach.simulator.ledger().creates == 1


@pytest.mark.parametrize("status", [403, 404])
def test_a_clip_that_can_never_be_downloaded_is_held(beach: Workspace, status: int) -> None:
    beach.simulator.inject(Fault("answer_before", on="content", status=status, shape="html", times=None))
    assert not drained(beach)
    assert (only_job(beach).state.value, only_job(beach).charged) == ("held", Charged.YES)
    assert beach.simulator.ledger().creates == 1
    assert_no_key_is_blamed(told_of(beach))


def test_a_paid_video_that_a_restarted_server_lost_is_not_bought_again(tmp_path: Path) -> None:
    quick = simulator.SimulatorSettings(generation_seconds=0.1, frames_per_second=1)
    with simulator.running(simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)) as before:
        port = int(before.root.rpartition(":")[2])
        workspace = Workspace(tmp_path, before)
        workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: workspace.counts() == {"rendering": 1})
    with simulator.running(quick, port=port) as after:
        assert not drained(workspace)
        assert after.ledger().creates == 0
    assert only_job(workspace).state.value in {"held", "failed"}
    assert only_job(workspace).charged is Charged.PERHAPS
