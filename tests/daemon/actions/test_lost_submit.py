"""What a server's list proves of a submit whose answer was lost, where it tells prompts its own way."""

from __future__ import annotations

import pytest

from sorawatch.simulator import Fault
from tests.support.workspace import Workspace


@pytest.mark.parametrize(
    "told",
    [
        "Caf\u00e9 &amp; \u201cwaves\u201d, slow push-in",
        "cafe\u0301 & \u201cwaves\u201d\u2026",
        "A film of: Cafe\u0301 & \u201cwaves\u201d, slow push-in. Cinematic.",
        "",
    ],
    ids=["composed and escaped", "cut short", "put between other words", "emptied"],
)
def test_a_lost_order_that_is_listed_with_its_prompt_changed_is_not_bought_again(
    workspace: Workspace, told: str
) -> None:
    workspace.set("api", timeout_seconds=0.5)
    workspace.drop(prompt="Cafe\u0301 & \u201cwaves\u201d, slow push-in")
    workspace.simulator.inject(Fault("lost_after", on="create"), Fault("prompt_other", word=told, times=None))
    assert not workspace.run_once()
    assert workspace.counts() == {"held": 1}
    assert workspace.simulator.ledger().creates == 1


def test_a_list_that_rewords_an_order_that_is_known_proves_nothing_of_another(workspace: Workspace) -> None:
    workspace.set("api", timeout_seconds=0.5)
    workspace.drop("a.jpg", priority=1)
    workspace.drop("b.jpg")
    workspace.simulator.inject(
        Fault("lost_after", on="create", prompt="around b"),
        Fault("prompt_other", word="An enhanced seascape at dusk", times=None),
    )
    assert not workspace.run_once()
    assert workspace.counts() == {"done": 1, "held": 1}
    assert workspace.simulator.ledger().creates == 2


def test_another_order_in_the_list_does_not_keep_a_lost_one_from_being_sent_again(workspace: Workspace) -> None:
    workspace.set("api", timeout_seconds=0.5)
    workspace.drop("a.jpg", priority=1)
    workspace.drop("a long day.jpg")
    workspace.simulator.inject(Fault("lost_before", on="create", prompt="around a long day"))
    assert workspace.run_once()
    assert workspace.counts() == {"done": 2}
    assert workspace.simulator.ledger().creates == 2
