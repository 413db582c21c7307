"""What ``status`` says of each order: by what it waits, what it costs, and when its clip is to be expected."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sorawatch.core.job import State
from sorawatch.simulator import Fault
from tests.support.sampling import sampled
from tests.support.workspace import Workspace, wait_until

NOSUCH = {"nosuch-1": {"sizes": ["1280x720", "720x1280"], "seconds": [8], "usd_per_second": 0.1}}


def reasons(workspace: Workspace) -> dict[str, str]:
    """Why each picture waits, by its path in the inbox."""
    return {each.job.pair.path: each.waits_for for each in workspace.status().shown if each.waits_for}


def wait_for_reason(workspace: Workspace, path: str, words: str) -> str:
    def found() -> str | None:
        reason = reasons(workspace).get(path, "")
        return reason if words in reason else None

    return str(wait_until(found, told=lambda: (reasons(workspace), workspace.told())))


def wait_for_one(workspace: Workspace, words: str) -> str:
    """The path of the picture that waits with these words in its reason; which of several it is does not matter."""

    def found() -> str | None:
        return next((path for path, reason in reasons(workspace).items() if words in reason), None)

    return str(wait_until(found, told=lambda: (reasons(workspace), workspace.told())))


def defaults(workspace: Workspace, folder: str, text: str) -> None:
    (workspace.inbox / folder).mkdir()
    (workspace.inbox / folder / "_defaults.yaml").write_text(text)


def test_full_places_are_named_for_all_and_those_of_a_folder_for_its_own(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("limits", in_flight=3)
    defaults(workspace, "cats", "limits: {in_flight: 1}")
    workspace.drop("cats/a.jpg")
    workspace.drop("cats/b.jpg")
    own, total = "limits.in_flight in cats/_defaults.yaml: 1 of 1 places", "limits.in_flight: 3 of 3 places"
    with workspace.running():
        cat = wait_for_one(workspace, own)
        for number in range(4):
            workspace.drop(f"dogs/{number}.jpg")
        workspace.wait_for_creates(3)
        wait_for_one(workspace, total)
        waiting = wait_until(lambda: len(found := reasons(workspace)) == 3 and found, told=workspace.told)
        assert waiting.pop(cat).startswith(own)
        assert all(reason.startswith(total) for reason in waiting.values())


@pytest.mark.parametrize(
    ("text", "words"),
    sampled(
        [
            ("limits: {usd_per_day: 1}", "limits.usd_per_day in cats/_defaults.yaml of $1.00 is reached: $0.80 spent"),
            (
                "limits: {usd_per_month: 1}",
                "limits.usd_per_month in cats/_defaults.yaml of $1.00 is reached: $0.80 spent",
            ),
            ("limits: {usd_per_day: 0}", "limits.usd_per_day in cats/_defaults.yaml is $0.00"),
            (
                "limits: {submits_per_minute: 0.1}",
                "limits.submits_per_minute in cats/_defaults.yaml: the pace is 0.1 submits a minute; it goes on by itself at",
            ),
        ],
        3,
    ),
)
def test_a_limit_of_a_folder_is_named(stalled_workspace: Workspace, text: str, words: str) -> None:
    workspace = stalled_workspace
    defaults(workspace, "cats", text)
    workspace.drop("cats/a.jpg")
    workspace.drop("cats/b.jpg")
    workspace.drop("free.jpg")
    with workspace.running():
        assert wait_for_one(workspace, words).startswith("cats/")
        wait_until(lambda: "free.jpg" not in reasons(workspace), told=workspace.told)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"usd_per_day": 1}, "limits.usd_per_day of $1.00 is reached: $0.80 spent or reserved"),
        ({"submits_per_minute": 0.1}, "limits.submits_per_minute: the pace is 0.1 submits a minute"),
        ({"in_flight": 1}, "limits.in_flight: 1 of 1 places in flight are taken"),
    ],
)
def test_a_limit_of_the_configuration_is_named(
    stalled_workspace: Workspace, limits: dict[str, Any], words: str
) -> None:
    workspace = stalled_workspace
    workspace.set("limits", **limits)
    workspace.drop("a.jpg")
    workspace.drop("b.jpg")
    with workspace.running():
        wait_for_one(workspace, words)


def test_a_folder_whose_limits_cannot_be_read_is_named(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("watch", settle_seconds=0.2)
    defaults(workspace, "cats", "limits: {in_flight: 1}")
    workspace.drop("cats/a.jpg")
    workspace.drop("cats/b.jpg")
    with workspace.running():
        cat = wait_for_one(workspace, "limits.in_flight in cats/_defaults.yaml")
        (workspace.inbox / "cats" / "_defaults.yaml").write_text("limits: {in_flght: 1}")
        wait_for_reason(workspace, cat, "cats/_defaults.yaml cannot be understood")


def test_the_circuit_breaker_of_a_model_is_named_for_its_orders_only(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("models", value=NOSUCH)
    workspace.set("limits", in_flight=1)
    workspace.drop("a.jpg", model="nosuch-1")
    with workspace.running():
        wait_for_reason(workspace, "a.jpg", "the server does not offer the model")
        workspace.drop("b.jpg", model="nosuch-1")
        workspace.drop("c.jpg")
        workspace.wait_for_creates(1)
        workspace.drop("d.jpg")
        assert wait_for_reason(workspace, "b.jpg", "does not offer the model").count("does not offer") == 1
        wait_for_reason(workspace, "d.jpg", "limits.in_flight: 1 of 1")


def test_a_pause_is_named_for_every_order(workspace: Workspace) -> None:
    workspace.drop("a.jpg")
    (workspace.inbox / "PAUSE").touch()
    with workspace.running():
        wait_for_reason(workspace, "a.jpg", "a file named PAUSE is in the inbox; remove it to continue")
        workspace.cli("pause")
        wait_for_reason(workspace, "a.jpg", "paused with `sorawatch pause`; `sorawatch resume` ends the pause")
    wait_for_reason(workspace, "a.jpg", "sorawatch is not running")


def test_a_refused_key_is_named(workspace: Workspace) -> None:
    (workspace.root / "api.key").write_text("sk-wrong")
    workspace.drop("a.jpg")
    with workspace.running():
        reason = wait_for_reason(workspace, "a.jpg", "the server refuses the API key")
        assert "; tried again at " in reason


def test_an_order_that_waits_for_its_twin_is_told_with_it(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    first = workspace.drop("a.jpg", "the same waves")
    with workspace.running():
        workspace.wait_for_creates(1)
        (workspace.inbox / "b.yaml").write_text("prompt: the same waves\n")
        (workspace.inbox / "b.jpg").write_bytes(first.read_bytes())
        wait_for_reason(workspace, "b.jpg", "which is the same order")


def test_an_order_that_could_not_be_told_from_a_lost_one_says_so(workspace: Workspace) -> None:
    workspace.simulator.inject(Fault("lost_after", on="create"))
    workspace.simulator.inject(Fault("answer_before", on="list", status=503, shape="html", times=None))
    workspace.set("retries", attempts=1_000, first_seconds=0.5, max_seconds=0.5)
    workspace.drop("a.jpg", "the same waves")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"uncertain": 1}, told=workspace.told)
        workspace.drop("b.jpg", "the same waves")
        wait_for_reason(workspace, "b.jpg", "its order could not be told from one whose answer is awaited")


def test_prices_and_their_sums(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("limits", in_flight=1)
    by_size = {"1280x720": 0.1, "720x1280": 0.3}
    workspace.set("models", value={"vary": {"sizes": [*by_size], "seconds": [8], "usd_per_second": by_size}})
    workspace.drop("a.jpg")
    with workspace.running():
        workspace.wait_for_creates(1)
        for number in range(3):
            workspace.drop(f"b{number}.jpg", seconds=4)
        wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 3}, told=workspace.told)
        told = workspace.told()
        assert "waiting: 3 orders ready, $1.20\n" in told
        assert "in flight: 1 of 1; $0.80 reserved\n" in told
        as_json = json.loads(workspace.cli("status", "--json"))
        assert as_json["ready"] == {"orders": 3, "lowest_usd": 1.2, "highest_usd": 1.2, "unpriced": 0}
        assert as_json["in_flight"]["reserved_usd"] == 0.8
        prices = {job["image"]: (job["lowest_price_usd"], job["highest_price_usd"]) for job in as_json["jobs"]}
        assert prices == {"a.jpg": (0.8, 0.8), **{f"b{number}.jpg": (0.4, 0.4) for number in range(3)}}
        # More than are prepared ahead, so that the sizes of some are not known yet.
        for number in range(12):
            workspace.drop(f"c{number}.jpg", model="vary", size="auto")
        wait_until(lambda: sum(workspace.counts().values()) == 16, told=workspace.told)
        assert "orders to be prepared, $" in (told := workspace.told())
        status = workspace.status()
        assert status.found.orders == workspace.counts()["found"]
        assert (status.found.lowest, status.found.highest) == (
            800_000 * status.found.orders,
            2_400_000 * status.found.orders,
        )
        assert "  $0.80 to $2.40  " in told


def test_an_unknown_price_is_said_to_be_unknown(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("models", value={"own": {"sizes": ["1280x720"], "seconds": [8]}})
    workspace.set("limits", in_flight=1)
    workspace.drop("a.jpg")
    with workspace.running():
        workspace.wait_for_creates(1)
        workspace.drop("b.jpg", model="own")
        workspace.drop("c.jpg")
        wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 2}, told=workspace.told)
        assert "waiting: 2 orders ready, $0.80 and 1 of unknown price\n" in workspace.told()
        assert "  unknown  b.jpg" in workspace.told()


@pytest.mark.slow
def test_prices_are_those_by_which_the_daemon_counts(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.cli("pause", status=2)
    (workspace.inbox / "PAUSE").touch()
    workspace.drop("a.jpg")
    with workspace.running() as daemon:
        wait_until(lambda: workspace.counts() == {"ready": 1})
        workspace.set("models", value={"sora-2": {"usd_per_second": 0.5}})
        workspace.write_config()
        assert "1 order ready, $0.80\n" in workspace.told()
        daemon.reload()
        wait_until(lambda: "1 order ready, $4.00\n" in workspace.told(), told=workspace.told)


@pytest.mark.slow
def test_a_clip_is_promised_only_once_renders_are_learned(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("limits", in_flight=1)
    workspace.drop("a.jpg")
    workspace.drop("b.jpg")
    workspace.drop("c.jpg", seconds=4)
    with workspace.running():
        workspace.wait_for_creates(1)
        wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 2}, told=workspace.told)
        assert {each.rendered_in for each in workspace.status().shown} == {None}
        assert "clip in" not in workspace.told()
        workspace.simulator.finish_all()
        workspace.wait_for_creates(2)
        wait_until(lambda: "longer than usual" in workspace.told(), told=workspace.told)
        shown = {each.job.state: each for each in workspace.status().shown}
        assert shown[State.READY].rendered_in is None, "its place is not free at any known time"
        assert shown[State.DONE].rendered_in is None
