"""Every shipped dialect against a simulated server that was written from the facts and not from the dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sorawatch.simulator import Fault, SimulatorSettings, running
from tests.support.slotted_graph import slotted_graph
from tests.support.workspace import Workspace, wait_until


@dataclass(frozen=True)
class Server:
    """A dialect as a person would configure it. ``found_by`` is how a lost answer is found."""

    name: str
    found_by: str
    settings: dict[str, Any] = field(default_factory=dict)
    video: dict[str, Any] = field(default_factory=dict)


SMALL = {"sizes": ["320x192", "192x320"], "seconds": [1, 2]}
LITTLE = {"size": "auto", "seconds": 2}
WAN = "Wan-AI/Wan2.2-I2V-A14B-Diffusers"
FAST = "FastVideo/FastWan2.2-TI2V-5B-FullAttn-Diffusers"
KLING = {"models": {"kling-v2-6": {"usd_per_second": 0.07}}}
SERVERS = {
    server.name: server
    for server in (
        Server("openai", "list", video={"seconds": 4}),
        Server("litellm", "nothing", {"models": {"sora-2": {"usd_per_second": 0.1}}}, {"seconds": 4}),
        Server("new-api", "nothing", KLING, {"model": "kling-v2-6", "seconds": 5}),
        Server("vllm-omni", "list", {"models": {WAN: SMALL}}, LITTLE),
        Server("sglang", "list without prompts", {"models": {WAN: SMALL}}, LITTLE),
        Server("fastvideo", "list without prompts", {"models": {FAST: SMALL}}, LITTLE),
        Server("lightx2v", "tag", {"models": {"wan2.1-i2v": SMALL | {"fps": 16}}}, LITTLE),
        Server("comfyui", "tag", {"models": {"workflow": SMALL}}, LITTLE),
    )
}


@contextmanager
def serving(server: Server, folder: Path, **options: Any) -> Iterator[Workspace]:
    settings = SimulatorSettings(api=server.name, **{"generation_seconds": 0.05, "frames_per_second": 1} | options)
    with running(settings) as simulator:
        workspace = Workspace(folder, simulator)
        workspace.set("api", dialect=server.name)
        if server.name == "comfyui":
            (folder / "graph.json").write_text(json.dumps(slotted_graph()))
            workspace.set("api", graph="graph.json")
        for section, values in server.settings.items():
            workspace.set(section, **values)
        workspace.set("video", **server.video)
        try:
            yield workspace
        finally:
            workspace.close()


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_pictures_of_two_shapes_become_clips(server: Server, tmp_path: Path) -> None:
    with serving(server, tmp_path) as workspace:
        workspace.drop("a.jpg")
        (workspace.inbox / "b.yaml").write_text("prompt: a tower\nsize: portrait\n")
        workspace.drop("b.jpg", prompt="")
        assert workspace.run_once(), [path.read_text() for path in workspace.errors.glob("*.txt")]
        assert {*workspace.files("outbox")} == {"a.mp4", "b.mp4"}
        ledger, submits = workspace.simulator.ledger(), workspace.simulator.submits()
    assert (ledger.creates, ledger.duplicates) == (2, 0)
    assert not any(submit.ignored for submit in submits)
    assert {video.prompt for video in ledger.videos} == {"waves around a", "a tower"}


LISTED = [server for server in SERVERS.values() if server.found_by in {"list", "tag"}]


@pytest.mark.parametrize("server", LISTED, ids=[server.name for server in LISTED])
def test_an_order_whose_answer_was_lost_is_found_again(server: Server, tmp_path: Path) -> None:
    with serving(server, tmp_path) as workspace:
        workspace.set("api", timeout_seconds=0.5)
        workspace.drop("a.jpg")
        workspace.simulator.inject(Fault("lost_after", on="create"))
        assert workspace.run_once()
        ledger = workspace.simulator.ledger()
        assert (ledger.creates, ledger.duplicates, workspace.counts()) == (1, 0, {"done": 1})


@pytest.mark.parametrize("server", [SERVERS["lightx2v"], SERVERS["comfyui"]], ids=["lightx2v", "comfyui"])
def test_an_order_that_did_not_arrive_is_sent_again(server: Server, tmp_path: Path) -> None:
    with serving(server, tmp_path) as workspace:
        workspace.set("api", timeout_seconds=0.5)
        workspace.drop("a.jpg")
        workspace.simulator.inject(Fault("lost_before", on="create"))
        assert workspace.run_once()
        assert workspace.simulator.ledger().creates == 1


def test_a_lost_answer_costs_nothing_more_where_prompts_are_not_listed(tmp_path: Path) -> None:
    """At price 0 the order is sent again; at any other it is held, and the text names the videos that it may be."""
    with serving(SERVERS["sglang"], tmp_path) as workspace:
        workspace.set("api", timeout_seconds=0.5)
        workspace.drop("a.jpg")
        workspace.simulator.inject(Fault("lost_after", on="create"))
        assert workspace.run_once()
        assert workspace.simulator.ledger().creates == 2
    priced = {**SMALL, "usd_per_second": 0.5}
    (tmp_path / "priced").mkdir()
    with serving(SERVERS["sglang"], tmp_path / "priced") as workspace:
        workspace.set("models", **{WAN: priced})
        workspace.set("api", timeout_seconds=0.5)
        workspace.drop("a.jpg")
        workspace.simulator.inject(Fault("lost_after", on="create"))
        assert not workspace.run_once()
        assert workspace.counts() == {"held": 1}
        assert workspace.simulator.ledger().creates == 1
        assert "the server lists videos that may be this one" in workspace.status().jobs[0].reason


def test_a_server_that_can_be_asked_nothing_leaves_a_lost_answer_to_a_person(tmp_path: Path) -> None:
    with serving(SERVERS["new-api"], tmp_path) as workspace:
        workspace.set("api", timeout_seconds=0.5)
        workspace.drop("a.jpg")
        workspace.simulator.inject(Fault("lost_after", on="create"))
        assert not workspace.run_once()
        (job,) = workspace.status().jobs
        assert (workspace.counts(), workspace.simulator.ledger().creates) == ({"held": 1}, 1)
    assert "the server cannot say whether it arrived: new-api has no request that lists its videos" in job.reason
    assert "It may have been charged ($0.35)" in job.reason
    assert f"sorawatch adopt {job.id}" in job.hint


REFUSALS = [
    ("openai", "credit", "the account has no credit left"),
    ("openai", "moderation", "the server's moderation refused the order"),
    ("openai", "capacity", "the server accepts no orders now"),
    ("new-api", "credit", "the account has no credit left"),
    ("new-api", "moderation", "the server's moderation refused the order"),
    ("new-api", "capacity", "the server does not offer the model"),
]


@pytest.mark.parametrize(("name", "word", "told"), REFUSALS, ids=[f"{name}, {word}" for name, word, _ in REFUSALS])
def test_what_a_refusal_means_is_told(name: str, word: str, told: str, tmp_path: Path) -> None:
    with serving(SERVERS[name], tmp_path) as workspace:
        workspace.drop("a.jpg")
        workspace.simulator.inject(Fault("refused", on="create", word=word, times=None))
        with workspace.running():
            if word == "moderation":
                text = workspace.errors / "a.error.txt"
                wait_until(text.exists)
                shown = text.read_text()
            else:
                wait_until(lambda: told in workspace.told())
                shown = workspace.told()
        assert told in shown
        assert workspace.simulator.ledger().creates == 0


@pytest.mark.parametrize("name", ["openai", "new-api", "vllm-omni"])
def test_a_wrong_key_pauses_everything(name: str, tmp_path: Path) -> None:
    with serving(SERVERS[name], tmp_path, key="sk-another") as workspace:
        workspace.set("api", auth="bearer")
        workspace.drop("a.jpg")
        with workspace.running():
            wait_until(lambda: "the server refuses the API key" in workspace.told())
        assert workspace.simulator.ledger().creates == 0


@pytest.mark.parametrize("name", ["vllm-omni", "new-api"])
def test_an_unknown_model_pauses_the_orders_for_it(name: str, tmp_path: Path) -> None:
    with serving(SERVERS[name], tmp_path) as workspace:
        workspace.set("models", unknown={"sizes": ["320x192"], "seconds": [2], "usd_per_second": 0.1})
        workspace.drop("a.jpg", model="unknown", size="320x192", seconds=2)
        with workspace.running():
            wait_until(lambda: "the server does not offer the model" in workspace.told())
        assert workspace.simulator.ledger().creates == 0


def test_a_graph_that_the_server_refuses_is_told_with_the_node(tmp_path: Path) -> None:
    with serving(SERVERS["comfyui"], tmp_path) as workspace:
        nodes = slotted_graph()
        nodes["37"]["inputs"]["unet_name"] = "missing.safetensors"
        (tmp_path / "graph.json").write_text(json.dumps(nodes))
        workspace.drop("a.jpg")
        assert not workspace.run_once()
        assert "missing.safetensors" in (workspace.errors / "a.error.txt").read_text()


def test_a_full_queue_is_waited_for(tmp_path: Path) -> None:
    with serving(SERVERS["lightx2v"], tmp_path, max_running=1) as workspace:
        workspace.drop("a.jpg")
        workspace.drop("b.jpg")
        assert workspace.run_once()
        ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates, ledger.max_in_flight) == (2, 0, 1)


def test_fields_reach_the_server_with_the_types_of_yaml(tmp_path: Path) -> None:
    with serving(SERVERS["comfyui"], tmp_path) as workspace:
        workspace.drop("a.jpg", fields={"3": {"inputs": {"steps": 30, "cfg": 4.5}}, "seed": 7})
        assert workspace.run_once()
        (sent,) = workspace.simulator.submits()
    node = json.loads(sent.fields["prompt"])["3"]["inputs"]
    assert (node["steps"], node["cfg"], node["seed"], node["denoise"]) == (30, 4.5, 7, 1)


@pytest.mark.parametrize("name", ["comfyui", "lightx2v", "vllm-omni"])
def test_a_gpu_server_that_was_restarted_makes_the_clip_again(name: str, tmp_path: Path) -> None:
    """It forgets its videos; as they cost nothing, they are ordered again."""
    with serving(SERVERS[name], tmp_path, generation_seconds=float("inf")) as workspace:
        workspace.set("retries", first_seconds=0.05, max_seconds=0.1, attempts=2)
        workspace.drop("a.jpg")
        with workspace.running():
            workspace.wait_for_creates(1)
            wait_until(lambda: workspace.counts() == {"rendering": 1})
            workspace.simulator.restart()
            workspace.wait_for_creates(2)
            workspace.simulator.finish_all()
            workspace.wait_for_clips(1)
