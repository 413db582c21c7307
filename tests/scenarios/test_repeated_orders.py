"""Duplicates: the same order is bought once even if its files change, and again only on request."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sorawatch.daemon.upkeep import job_log
from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.paths import ROOT
from tests.support.workspace import Workspace, wait_until

pytestmark = pytest.mark.slow

STATES = ROOT / "tests/states"
"""A state of schema 3 and the pictures in it: ``beach`` was delivered, ``harbour`` is ready."""


def annotate(image: Path, note: str = "a caption") -> None:
    """Write metadata into a JPEG file without changing its picture, as photo managers do."""
    data, text = image.read_bytes(), note.encode()
    image.write_bytes(data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:])


@contextmanager
def drop_again(workspace: Workspace, name: str = "beach") -> Iterator[Path]:
    """Copy a pair from ``processed`` into the inbox again. The block may change it before."""
    copy = workspace.root / f"{name}.jpg"
    shutil.copy(workspace.processed / f"{name}.jpg", copy)
    yield copy
    shutil.copy(workspace.processed / f"{name}.yaml", workspace.inbox)
    copy.rename(workspace.inbox / copy.name)


def refused(workspace: Workspace, name: str = "beach") -> str:
    """The id of the job that was refused as a duplicate."""
    text = (workspace.errors / f"{name}.error.txt").read_text()
    assert "it is the same order as job" in text
    return text.partition("sorawatch retry --another ")[2].partition("`")[0]


class TestLateSidecars:
    """The picture was ordered with the default prompt, and then its sidecar came."""

    @pytest.fixture
    def ordered(self, stalled_workspace: Workspace) -> Iterator[Workspace]:
        workspace = stalled_workspace
        workspace.set("video", prompt="slow waves")
        workspace.drop("beach.jpg", prompt="")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            yield workspace

    def test_with_the_same_terms_buys_nothing(self, ordered: Workspace) -> None:
        (ordered.inbox / "beach.yaml").write_text("prompt: slow waves\n")
        wait_until(lambda: "cancelled" in ordered.states("beach.jpg"))
        ordered.simulator.finish_all()
        wait_until(lambda: "done" in ordered.states("beach.jpg"))
        assert ordered.simulator.ledger().creates == 1
        assert {*ordered.files("processed")} == {"beach.jpg", "beach.yaml"}

    def test_with_other_terms_makes_a_second_clip_and_says_so(
        self, ordered: Workspace, caplog: pytest.LogCaptureFixture
    ) -> None:
        (ordered.inbox / "beach.yaml").write_text("prompt: fast waves\n")
        wait_until(lambda: ordered.simulator.ledger().creates == 2)
        text = "a second clip of this picture"
        for change in ordered.changes:
            job_log.log_change(*change)
        assert len([each for each in caplog.records if each.levelname == "WARNING" and text in each.message]) == 1
        assert text in " ".join(ordered.cli("status").split())
        ordered.simulator.finish_all()
        wait_until(lambda: ordered.counts() == {"done": 2})
        assert len(ordered.files("outbox")) == 2

    def test_that_waits_at_a_limit_keeps_its_picture_when_the_first_is_delivered(
        self, stalled_workspace: Workspace
    ) -> None:
        workspace = stalled_workspace
        workspace.set("video", prompt="slow waves")
        workspace.set("limits", in_flight=1)
        workspace.drop("beach.jpg", prompt="")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            (workspace.inbox / "beach.yaml").write_text("prompt: fast waves\n")
            wait_until(lambda: workspace.counts() == {"ready": 1, "rendering": 1})
            (workspace.inbox / "PAUSE").touch()
            wait_until(lambda: "PAUSE" in workspace.cli("status"))
            workspace.simulator.finish_all()
            wait_until(lambda: workspace.counts() == {"ready": 1, "done": 1})
            assert {"beach.jpg", "beach.yaml"} <= {*workspace.files("inbox")}
            (workspace.inbox / "PAUSE").unlink()
            wait_until(lambda: workspace.counts() == {"rendering": 1, "done": 1})
            workspace.simulator.finish_all()
            wait_until(lambda: workspace.counts() == {"done": 2})
        assert len(workspace.files("outbox")) == 2
        assert {*workspace.files("processed")} == {"beach.jpg", "beach.yaml"}


class TestMovedInTheInbox:
    """The pair is renamed or moved while its clip is made: the job goes on under the new name."""

    @pytest.mark.parametrize(
        ("image", "sidecar"),
        [
            ("coast.jpg", "coast.yaml"),
            ("Beach.JPG", "Beach.yaml"),
            ("trip/beach.jpg", "trip/beach.yaml"),
            ("cheap/coast.jpg", "cheap/coast.yaml"),
        ],
    )
    def test_it_keeps_its_job(self, stalled_workspace: Workspace, image: str, sidecar: str) -> None:
        workspace = stalled_workspace
        (workspace.inbox / "trip").mkdir()
        (workspace.inbox / "cheap").mkdir()
        (workspace.inbox / "cheap/_defaults.yaml").write_text("seconds: 4\n")
        workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            (workspace.inbox / "beach.yaml").rename(workspace.inbox / sidecar)
            (workspace.inbox / "beach.jpg").rename(workspace.inbox / image)
            (job,) = workspace.status().jobs
            wait_until(lambda: workspace.pair_of(job.id) == (image, Path(sidecar).name))
            workspace.simulator.finish_all()
            wait_until(lambda: workspace.counts() == {"done": 1})
        assert workspace.simulator.ledger().creates == 1
        assert {*workspace.files("outbox")} == {str(Path(image).with_suffix(".mp4"))}
        assert {*workspace.files("processed")} == {image, sidecar}
        assert {*workspace.files("errors")} == set()

    @pytest.mark.parametrize(
        ("prepare", "moves", "clip", "left"),
        [
            pytest.param(None, {"beach.jpg": "coast.jpg"}, "coast.mp4", {"beach.yaml"}, id="without its sidecar"),
            pytest.param(None, {"beach.yaml": "beach.txt"}, "beach.mp4", set(), id="its sidecar alone, to no prompt"),
            pytest.param(
                ("wrong/_defaults.yaml", "sise: big\n"),
                {"beach.yaml": "wrong/beach.yaml", "beach.jpg": "wrong/beach.jpg"},
                "wrong/beach.mp4",
                {"wrong/_defaults.yaml"},
                id="to wrong defaults",
            ),
            pytest.param(
                ("full/beach.png", "no picture"),
                {"beach.yaml": "full/beach.yaml", "beach.jpg": "full/beach.jpg"},
                "full/beach.mp4",
                set(),
                id="beside a picture of its name",
            ),
        ],
    )
    def test_where_it_could_not_be_ordered(
        self,
        stalled_workspace: Workspace,
        prepare: tuple[str, str] | None,
        moves: dict[str, str],
        clip: str,
        left: set[str],
    ) -> None:
        workspace = stalled_workspace
        workspace.drop("beach.jpg")
        if prepare:
            (workspace.inbox / prepare[0]).parent.mkdir()
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            if prepare:
                (workspace.inbox / prepare[0]).write_text(prepare[1])
            for name, target in moves.items():
                (workspace.inbox / name).rename(workspace.inbox / target)
            moved, sidecar = moves.get("beach.jpg", "beach.jpg"), moves.get("beach.yaml")
            (job,) = workspace.status().jobs
            wait_until(lambda: workspace.pair_of(job.id) == (moved, sidecar and Path(sidecar).name))
            workspace.simulator.finish_all()
            wait_until(lambda: clip in workspace.files("outbox"))
            wait_until(lambda: {*workspace.files("inbox")} == left)
        assert workspace.simulator.ledger().creates == 1
        assert moved in workspace.files("processed")
        assert not [name for name in workspace.files("errors") if name.endswith(".jpg")]

    def test_before_its_sidecar_into_a_folder_with_a_default_prompt(self, stalled_workspace: Workspace) -> None:
        workspace = stalled_workspace
        workspace.drop("trip/beach.jpg", "waves")
        (workspace.inbox / "trip/_defaults.yaml").write_text("prompt: something else\n")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            (workspace.inbox / "trip/beach.jpg").rename(workspace.inbox / "trip/coast.jpg")
            (job,) = workspace.status().jobs
            wait_until(lambda: workspace.pair_of(job.id) == ("trip/coast.jpg", None))
            (workspace.inbox / "trip/beach.yaml").rename(workspace.inbox / "trip/coast.yaml")
            wait_until(lambda: workspace.counts() == {"rendering": 1, "cancelled": 1})
            workspace.simulator.finish_all()
            wait_until(lambda: {*workspace.files("inbox")} == {"trip/_defaults.yaml"})
        assert workspace.simulator.ledger().creates == 1
        assert {*workspace.files("outbox")} == {"trip/coast.mp4"}
        assert {*workspace.files("processed")} == {"trip/coast.jpg", "trip/coast.yaml"}

    def test_a_whole_folder_is_renamed(self, stalled_workspace: Workspace) -> None:
        workspace = stalled_workspace
        for number in range(3):
            workspace.drop(f"trip/{number}.jpg", f"waves {number}")
        with workspace.running():
            wait_until(lambda: workspace.counts() == {"rendering": 3})
            (workspace.inbox / "trip").rename(workspace.inbox / "voyage")
            wait_until(lambda: {job.pair.folder for job in workspace.status().jobs} == {"voyage"})
            workspace.simulator.finish_all()
            wait_until(lambda: workspace.counts() == {"done": 3})
        assert workspace.simulator.ledger().creates == 3
        assert {*workspace.files("outbox")} == {f"voyage/{number}.mp4" for number in range(3)}
        assert len(workspace.files("processed")) == 6
        assert workspace.files("errors") == {}

    def test_a_copy_is_an_order_of_its_own(self, stalled_workspace: Workspace) -> None:
        workspace = stalled_workspace
        workspace.set("duplicates", value="allow")
        workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            shutil.copy2(workspace.inbox / "beach.yaml", workspace.inbox / "coast.yaml")
            shutil.copy2(workspace.inbox / "beach.jpg", workspace.inbox / "coast.jpg")
            wait_until(lambda: workspace.counts() == {"rendering": 2})
        assert workspace.simulator.ledger().creates == 2


def test_a_sidecar_within_its_grace_is_the_order(workspace: Workspace) -> None:
    workspace.set("video", prompt="slow waves")
    workspace.set("watch", sidecar_grace_seconds=3600)
    workspace.drop("beach.jpg", prompt="")
    with workspace.running():
        wait_until(lambda: texts.WAITS_FOR_SIDECAR in " ".join(workspace.cli("status").split()))
        (workspace.inbox / "beach.yaml").write_text("prompt: fast waves\n")
        wait_until(lambda: "done" in workspace.states("beach.jpg"))
    assert [video.prompt for video in workspace.simulator.ledger().videos] == ["fast waves"]


class TestMetadata:
    def test_written_while_the_clip_is_rendered_buys_nothing(self, stalled_workspace: Workspace) -> None:
        workspace = stalled_workspace
        image = workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            annotate(image)
            wait_until(lambda: "cancelled" in workspace.states("beach.jpg"))
            workspace.simulator.finish_all()
            wait_until(lambda: "done" in workspace.states("beach.jpg"))
        assert workspace.simulator.ledger().creates == 1
        assert {*workspace.files("processed")} == {"beach.jpg", "beach.yaml"}
        assert b"a caption" in (workspace.processed / "beach.jpg").read_bytes()

    def test_written_at_a_reached_limit_does_not_refuse_the_pair(self, stalled_workspace: Workspace) -> None:
        """The limit is reached by the job of the same pair."""
        workspace = stalled_workspace
        workspace.set("limits", in_flight=1)
        image = workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            workspace.drop("other.jpg")
            wait_until(lambda: "ready" in workspace.states("other.jpg"))
            annotate(image)
            wait_until(lambda: "cancelled" in workspace.states("beach.jpg"))
            workspace.simulator.finish_all()
            workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
            workspace.simulator.finish_all()
            wait_until(lambda: len(workspace.files("processed")) == 4)
        assert workspace.files("errors") == {}

    def test_written_after_the_delivery_buys_nothing(self, workspace: Workspace) -> None:
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        with drop_again(workspace) as copy:
            annotate(copy)
        assert not workspace.run_once()
        assert workspace.simulator.ledger().creates == 1
        refused(workspace)

    def test_written_after_a_failed_download_leads_to_that_clip(self, workspace: Workspace) -> None:
        workspace.set("retries", attempts=2)
        workspace.simulator.inject(Fault("answer_before", on="content", status=404, times=2))
        workspace.drop("beach.jpg")
        assert not workspace.run_once()
        (job,) = workspace.status().jobs
        workspace.cli("cancel", job.id)
        assert workspace.run_once()
        annotate(workspace.errors / "beach.jpg")
        for name in ("beach.jpg", "beach.yaml"):
            (workspace.errors / name).rename(workspace.inbox / name)
        assert workspace.run_once()
        assert workspace.simulator.ledger().creates == 1
        assert {*workspace.files("outbox")} == {"beach.mp4"}


def test_a_reference_with_other_bytes_is_still_the_same_order(workspace: Workspace) -> None:
    """This happens with another version of the image libraries."""
    workspace.drop("beach.jpg")
    assert workspace.run_once()
    workspace.set("reference", quality=80)
    with drop_again(workspace):
        pass
    assert workspace.run_once()
    assert workspace.simulator.ledger().creates == 1
    assert "beach (2).returned.txt" in workspace.files("processed")


@pytest.mark.parametrize("terms", [{"seconds": 4}, {"fit": "pad"}, {"prompt": "other waves"}])
def test_other_settings_make_another_order(workspace: Workspace, terms: dict[str, Any]) -> None:
    workspace.drop("beach.jpg", "waves", seconds=8)
    assert workspace.run_once()
    workspace.drop("beach.jpg", **{"prompt": "waves", "seconds": 8, **terms})
    assert workspace.run_once()
    assert workspace.simulator.ledger().creates == 2


def test_another_picture_makes_another_order(workspace: Workspace) -> None:
    workspace.drop("a.jpg", "waves")
    workspace.drop("b.jpg", "waves")
    assert workspace.run_once()
    assert workspace.simulator.ledger().creates == 2


@pytest.mark.parametrize(("days", "creates"), [(89, 1), (91, 2)])
def test_an_order_is_a_duplicate_for_as_long_as_its_record_is_kept(
    workspace: Workspace, days: int, creates: int
) -> None:
    workspace.drop("beach.jpg")
    assert workspace.run_once()
    workspace.age(days=days)
    with drop_again(workspace) as copy:
        annotate(copy)
    assert workspace.run_once() == (creates == 2)
    assert workspace.simulator.ledger().creates == creates


def test_an_order_of_an_older_version_is_not_bought_again(workspace: Workspace) -> None:
    with closing(sqlite3.connect(workspace.root / "state.db")) as state:
        state.executescript((STATES / "schema3.sql").read_text())
        now = int(1000 * time.time())
        state.execute("UPDATE jobs SET created_at = ?, changed_at = ?, due_at = ?", (now, now, now))
        state.execute("UPDATE purchases SET at = ?", (now,))
        state.commit()
    for name in ("beach", "harbour"):
        (workspace.inbox / f"{name}.yaml").write_text(f"prompt: the {name} at dawn\nsize: auto\n")
        shutil.copy(STATES / f"{name}.jpg", workspace.inbox)
        for path in (workspace.inbox / f"{name}.yaml", workspace.inbox / f"{name}.jpg"):
            os.utime(path, ns=(10**18, 10**18))
    assert workspace.run_once()
    assert [video.prompt for video in workspace.simulator.ledger().videos] == ["the harbour at dawn"]
    assert workspace.states("harbour.jpg")[0] == "submitting"
    assert {"beach.jpg", "beach.yaml"} <= {*workspace.files("processed")}


class TestReturnedPairs:
    """A sync tool, another machine or a person puts the delivered pair back as it was."""

    @pytest.fixture
    def delivered(self, workspace: Workspace) -> Workspace:
        workspace.drop("trip/beach.jpg", "waves")
        assert workspace.run_once()
        return workspace

    @staticmethod
    def put_back(workspace: Workspace, *, times: int = 1, name: str = "beach") -> None:
        for _ in range(times):
            for suffix in (".yaml", ".jpg"):
                source = workspace.processed / f"trip/beach{suffix}"
                shutil.copy2(source, workspace.inbox / f"trip/{name}{suffix}")
            assert workspace.run_once()

    def test_are_filed_beside_the_first_and_told_once(self, delivered: Workspace) -> None:
        self.put_back(delivered, times=2)
        assert delivered.simulator.ledger().creates == 1
        assert delivered.files("errors") == {}
        assert delivered.files("inbox") == {}
        assert {*delivered.files("processed")} == {
            f"trip/beach{name}"
            for name in (".jpg", ".yaml", " (2).jpg", " (2).yaml", " (2).returned.txt", " (3).jpg", " (3).yaml")
        }
        text = (delivered.processed / "trip/beach (2).returned.txt").read_text()
        assert "delivered as trip/beach.mp4" in text
        assert "Was it charged?\n    No" in text

    def test_that_keep_coming_back_are_told_to_come_from_a_tool(self, delivered: Workspace) -> None:
        self.put_back(delivered, times=4)
        told = sorted(name for name in delivered.files("processed") if name.endswith(".returned.txt"))
        assert told == ["trip/beach (2).returned.txt", "trip/beach (4).returned.txt"]
        assert "Something keeps putting the pair back" in (delivered.processed / told[1]).read_text()
        assert delivered.simulator.ledger().creates == 1

    def test_that_come_back_in_another_case_are_the_same(self, delivered: Workspace) -> None:
        self.put_back(delivered, name="Beach")
        assert delivered.files("errors") == {}

    def test_can_be_ordered_once_more_but_not_retried_in_a_circle(self, delivered: Workspace) -> None:
        self.put_back(delivered)
        text = (delivered.processed / "trip/beach (2).returned.txt").read_text()
        job = text.partition("sorawatch retry --another ")[2].partition("`")[0]
        output = " ".join(delivered.cli("retry", job, status=1).split())
        assert "would end the same way" in output
        assert f"sorawatch retry --another {job}" in output
        delivered.cli("retry", "--another", job)
        assert delivered.run_once()
        assert delivered.simulator.ledger().creates == 2
        assert not [name for name in delivered.files("processed") if name.endswith(".returned.txt")]

    def test_after_a_rename_that_was_noticed_only_after_the_delivery(self, stalled_workspace: Workspace) -> None:
        workspace = stalled_workspace
        workspace.drop("beach.jpg")
        (workspace.inbox / "later").mkdir()
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
        for name in ("beach.jpg", "beach.yaml"):
            # The name is ignored, so the daemon sees neither the old nor the new pair until it is delivered.
            (workspace.inbox / name).rename(workspace.inbox / f".{name}")
        workspace.simulator.finish_all()
        with workspace.running():
            wait_until(lambda: "done" in workspace.states("beach.jpg"))
        for name in ("beach.jpg", "beach.yaml"):
            (workspace.inbox / f".{name}").rename(workspace.inbox / "later" / name.replace("beach", "coast"))
        assert workspace.run_once()
        assert workspace.simulator.ledger().creates == 1
        assert workspace.files("errors") == {}
        assert {"later/coast.jpg", "later/coast.yaml"} <= {*workspace.files("processed")}

    def test_a_duplicate_under_another_name_is_refused_once_and_then_filed(self, delivered: Workspace) -> None:
        for _ in range(3):
            for suffix in (".yaml", ".jpg"):
                shutil.copy2(delivered.processed / f"trip/beach{suffix}", delivered.inbox / f"coast{suffix}")
            delivered.run_once()
        assert {*delivered.files("errors")} == {"coast.jpg", "coast.yaml", "coast.error.txt"}
        assert {"coast.jpg", "coast (2).jpg", "coast.returned.txt"} <= {*delivered.files("processed")}
        assert delivered.simulator.ledger().creates == 1

    def test_a_refused_duplicate_is_not_retried_in_a_circle(self, delivered: Workspace) -> None:
        for suffix in (".yaml", ".jpg"):
            shutil.copy2(delivered.processed / f"trip/beach{suffix}", delivered.inbox / f"coast{suffix}")
        assert not delivered.run_once()
        assert "would end the same way" in delivered.cli("retry", refused(delivered, "coast"), status=1)


class TestAnotherTake:
    @pytest.fixture
    def duplicate(self, workspace: Workspace) -> str:
        """The id of a job that was refused as a duplicate of a delivered one."""
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        with drop_again(workspace) as copy:
            annotate(copy)
        assert not workspace.run_once()
        return refused(workspace)

    def test_is_ordered_of_a_refused_duplicate(self, workspace: Workspace, duplicate: str) -> None:
        assert f"Asked to order {duplicate} once more" in workspace.cli("retry", "--another", duplicate)
        assert workspace.run_once()
        assert workspace.simulator.ledger().creates == 2
        assert {*workspace.files("outbox")} == {"beach.mp4", "beach (2).mp4"}
        assert (workspace.files("errors"), workspace.files("inbox")) == ({}, {})
        assert {*workspace.files("processed")} == {"beach.jpg", "beach.yaml", "beach (2).jpg", "beach (2).yaml"}
        latest = next(job for job in workspace.status().jobs if job.clip == "beach (2).mp4")
        assert "take" in workspace.cli("show", latest.id)

    def test_must_be_requested_each_time(self, workspace: Workspace, duplicate: str) -> None:
        workspace.cli("retry", "--another", duplicate)
        assert workspace.run_once()
        with drop_again(workspace) as copy:
            annotate(copy, "another caption")
        assert not workspace.run_once()
        workspace.cli("retry", "--another", refused(workspace))
        assert workspace.run_once()
        assert workspace.simulator.ledger().creates == 3
        takes = sorted(job.order.take for job in workspace.status().jobs if job.clip and job.order)
        assert takes == [1, 2, 3]

    def test_is_ordered_of_a_delivered_job(self, workspace: Workspace) -> None:
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        (done,) = workspace.status().jobs
        workspace.cli("retry", "--another", done.id)
        assert workspace.run_once()
        assert workspace.simulator.ledger().creates == 2
        assert {*workspace.files("processed")} == {"beach.jpg", "beach.yaml"}
        with drop_again(workspace) as copy:
            annotate(copy)
        assert not workspace.run_once()
        assert workspace.simulator.ledger().creates == 2
        assert f"same order as job {done.id}" in (workspace.errors / "beach.error.txt").read_text()

    def test_is_ordered_of_a_failed_job(self, workspace: Workspace) -> None:
        workspace.set("retries", failed_generations=0)
        workspace.simulator.inject(Fault("generation_fails", times=1))
        workspace.drop("beach.jpg")
        assert not workspace.run_once()
        (failed,) = workspace.status().jobs
        workspace.cli("retry", "--another", failed.id)
        assert workspace.run_once()
        assert [job.order.take for job in workspace.status().jobs if job.clip and job.order] == [2]
        assert workspace.files("errors") == {}

    @pytest.mark.parametrize("by_hand", [False, True])
    def test_keeps_its_number_in_a_retry_after_a_failure(
        self, workspace: Workspace, duplicate: str, by_hand: bool
    ) -> None:
        workspace.set("retries", failed_generations=0)
        workspace.simulator.inject(Fault("generation_fails", times=1))
        workspace.cli("retry", "--another", duplicate)
        assert not workspace.run_once()
        if by_hand:
            for name in ("beach.jpg", "beach.yaml"):
                (workspace.errors / name).rename(workspace.inbox / name)
        else:
            workspace.cli(
                "retry", next(job.id for job in workspace.status().jobs if texts.GENERATION_FAILED in job.reason)
            )
        assert workspace.run_once()
        assert {*workspace.files("outbox")} == {"beach.mp4", "beach (2).mp4"}

    def test_keeps_its_number_if_metadata_are_written_during_the_render(self, stalled_workspace: Workspace) -> None:
        workspace = stalled_workspace
        image = workspace.drop("beach.jpg")
        with workspace.running():
            workspace.simulator.wait_for(lambda ledger: ledger.creates == 1)
            workspace.simulator.finish_all()
            wait_until(lambda: "done" in workspace.states("beach.jpg"))
            (done,) = workspace.status().jobs
            workspace.cli("retry", "--another", done.id)
            workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
            annotate(image)
            wait_until(lambda: workspace.states("beach.jpg").count("cancelled") == 2)
            workspace.simulator.finish_all()
            wait_until(lambda: workspace.states("beach.jpg").count("done") == 2)
        assert workspace.simulator.ledger().creates == 2
        assert workspace.files("errors") == {}

    def test_gets_another_name_if_its_own_exists_in_the_inbox(self, workspace: Workspace, duplicate: str) -> None:
        workspace.drop("beach.jpg", "something else")
        workspace.cli("retry", "--another", duplicate)
        assert workspace.run_once()
        assert workspace.simulator.ledger().creates == 3
        assert len(workspace.files("outbox")) == 3
        assert workspace.files("inbox") == {}

    def test_can_be_requested_while_a_daemon_runs(self, workspace: Workspace, duplicate: str) -> None:
        with workspace.running():
            workspace.cli("retry", "--another", duplicate)
            wait_until(lambda: len(workspace.files("outbox")) == 2)
            wait_until(lambda: len(workspace.files("processed")) == 4)
        assert workspace.simulator.ledger().creates == 2

    def test_is_refused_while_the_pair_is_in_the_inbox(self, stalled_workspace: Workspace) -> None:
        workspace = stalled_workspace
        workspace.drop("beach.jpg")
        (workspace.inbox / "PAUSE").touch()
        with workspace.running():
            wait_until(lambda: "ready" in workspace.states("beach.jpg"))
            output = workspace.cli("retry", "--another", "beach.jpg", status=1)
            assert f"{texts.NOT_AGAIN_NOW}: it waits in the inbox for its first order" in output
            (workspace.inbox / "PAUSE").unlink()
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            output = workspace.cli("retry", "--another", "beach.jpg", status=1)
            assert "it is rendering, and its pair is still in the inbox" in output
            assert f"Run `sorawatch retry --another {workspace.status().jobs[0].id}` once it is delivered." in output
            workspace.simulator.finish_all()
            wait_until(lambda: "done" in workspace.states("beach.jpg"))
        (done,) = workspace.status().jobs
        workspace.cli("retry", "--another", done.id)
        assert "its pair is no longer where sorawatch put it" in workspace.cli("retry", "--another", done.id, status=1)

    def test_is_refused_if_the_pair_was_removed(self, workspace: Workspace, duplicate: str) -> None:
        for name in ("beach.jpg", "beach.yaml"):
            (workspace.errors / name).unlink()
        workspace.cli("retry", "--another", duplicate)
        assert not workspace.run_once()
        assert "beach.jpg is no longer in the errors folder" in (workspace.errors / "beach.error.txt").read_text()
        assert workspace.simulator.ledger().creates == 1
