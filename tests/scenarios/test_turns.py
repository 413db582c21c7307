"""People share one inbox: their folders take turns, whoever came first and whoever has more."""

from __future__ import annotations

from sorawatch.simulator import Fault
from tests.support.workspace import Workspace, wait_until


def ordered(workspace: Workspace) -> list[str]:
    """The prompts of the accepted orders, the first first."""
    return [video.prompt for video in workspace.simulator.ledger().videos]


def wait_for_jobs(workspace: Workspace, count: int) -> None:
    wait_until(lambda: sum(workspace.counts().values()) == count, told=workspace.told)


def finish_until(workspace: Workspace, prompt: str) -> None:
    """Let videos finish until this order was accepted."""

    def has_been_ordered() -> bool:
        workspace.simulator.finish_all()
        return prompt in ordered(workspace)

    wait_until(has_been_ordered, told=workspace.told)


def test_few_pictures_do_not_wait_for_the_many_of_another_folder(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("limits", in_flight=2)
    for number in range(500):
        workspace.drop(f"anna/{number:03}.jpg", f"anna {number:03}")
    with workspace.running():
        wait_for_jobs(workspace, 500)
        workspace.wait_for_creates(2)
        for number in range(3):
            workspace.drop(f"ben/trip/{number}.jpg", f"ben {number}")
        wait_for_jobs(workspace, 503)
        finish_until(workspace, "ben 2")
        assert [prompt for prompt in ordered(workspace)[:16] if "ben" in prompt] == ["ben 0", "ben 1", "ben 2"]
        workspace.drop("carla/1.jpg", "carla")
        workspace.drop("anna/urgent.jpg", "urgent", priority=1)
        wait_for_jobs(workspace, 505)
        finish_until(workspace, "carla")
        orders = ordered(workspace)
    assert orders.index("urgent") < orders.index("carla"), "a priority comes before a turn"
    assert len({*orders}) == len(orders), "nothing was ordered twice"


def test_a_folder_at_its_own_limit_does_not_hold_up_the_others(workspace: Workspace) -> None:
    workspace.simulator.inject(Fault("generation_hangs", prompt="slow", times=None))
    (workspace.inbox / "anna").mkdir()
    (workspace.inbox / "anna" / "_defaults.yaml").write_text("limits: {in_flight: 1}\n")
    workspace.set("limits", in_flight=2)
    for number in range(20):
        workspace.drop(f"anna/{number}.jpg", f"slow {number}")
    with workspace.running():
        workspace.wait_for_creates(1)
        for number in range(6):
            workspace.drop(f"ben/{number}.jpg")
            workspace.drop(f"{number}.jpg")
        workspace.wait_for_clips(12)
    folders = ["anna" if "slow" in prompt else "others" for prompt in ordered(workspace)]
    assert (folders.count("anna"), folders.count("others")) == (1, 12)
