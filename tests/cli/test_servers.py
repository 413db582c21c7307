"""``sorawatch servers``, ``init --server``, and what ``check`` says of each kind of server."""

from __future__ import annotations

import json
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sorawatch import config
from sorawatch.cli.main import cli
from sorawatch.config import dialect_file
from sorawatch.errors import ConfigError
from sorawatch.simulator import SimulatorSettings, running
from tests.support.slotted_graph import slotted_graph
from tests.support.workspace import Workspace


def sorawatch(folder: Path, *arguments: str, status: int = 0, **environ: str) -> str:
    with chdir(folder):
        done = CliRunner().invoke(cli, arguments, env=environ)
    assert done.exit_code == status, done.output
    return " ".join(done.output.split())


def test_each_is_listed_with_what_it_needs_and_whether_it_was_tried(tmp_path: Path) -> None:
    told = sorawatch(tmp_path, "servers")
    assert all(name in told for name in dialect_file.names())
    assert "OpenAI's own service ended" in told
    assert "your own GPU" in told
    assert "its documentation and source only" in told


def test_a_dialect_is_printed_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "target_video_length: <frames>" in sorawatch(tmp_path, "servers", "show", "lightx2v")
    with chdir(tmp_path):
        refused = CliRunner().invoke(cli, ["servers", "show", "comfy"])
    assert isinstance(refused.exception, ConfigError) or refused.exit_code


def test_the_schema_is_json(tmp_path: Path) -> None:
    with chdir(tmp_path):
        told = CliRunner().invoke(cli, ["servers", "schema"]).output
    assert json.loads(told)["properties"]["poll"]["properties"]["done"]


@pytest.mark.parametrize(
    ("name", "model"), [("new-api", "kling-v2-6"), ("openai", "sora-2"), ("lightx2v", "wan2.1-i2v")]
)
def test_the_request_is_shown_without_the_key(tmp_path: Path, name: str, model: str) -> None:
    told = sorawatch(tmp_path, "servers", "check", name, "--offline", "--model", model, SORAWATCH_API_KEY="sk-s3cret")
    assert "POST http" in told
    assert "Gentle waves" in told
    assert ("Bearer [key]" in told) is (name != "lightx2v")
    assert "s3cret" not in told


def test_a_file_of_ones_own_is_tried_with_what_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: lightx2v\nname: mine\n")
    with running(SimulatorSettings(api="lightx2v")) as server:
        told = sorawatch(tmp_path, "servers", "check", "./mine.yaml", "--url", server.url)
        assert server.ledger().creates == 0
    assert "the look-up by tag: is answered, and finds nothing" in told
    assert "its free request: is answered" in told


@pytest.mark.parametrize("name", dialect_file.names())
def test_init_writes_a_configuration_that_loads(tmp_path: Path, name: str) -> None:
    told = sorawatch(tmp_path, "init", "v", "--server", name)
    if name == "comfyui":
        (tmp_path / "v/workflow.json").write_text(json.dumps(slotted_graph()))
    loaded = config.load(tmp_path / "v/config.yaml", {})
    assert loaded.api.dialect.name == name
    assert ("OpenAI's own video service ended" in told) is (name == "openai")
    assert ("SORAWATCH_API_KEY" in told) is (loaded.api.dialect.key is not None)
    if name in {"litellm", "new-api"}:
        assert "Replace YOUR-MODEL" in told
        assert "nothing limits what is spent in a day" in told
        assert loaded.limits.micros_per_day is None


def test_init_takes_the_model_and_its_price(tmp_path: Path) -> None:
    arguments = ("init", "v", "--server", "litellm", "--model", "sora-2", "--usd-per-second", "0.125")
    told = sorawatch(tmp_path, *arguments)
    loaded = config.load(tmp_path / "v/config.yaml", {})
    assert (loaded.defaults.model, loaded.catalogue["sora-2"].micros_per_second) == ("sora-2", 125_000)
    assert loaded.limits.micros_per_day == 20_000_000
    assert "num_retries: 0" in told


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("litellm", "sk-simulated", "answers and accepts the key"),
        ("litellm", "sk-wrong", "the server refuses the API key"),
        ("new-api", "sk-wrong", "the server refuses the API key"),
    ],
)
def test_check_proves_the_key_where_that_is_free(tmp_path: Path, name: str, key: str, said: str) -> None:
    with running(SimulatorSettings(api=name)) as server:
        workspace = Workspace(tmp_path, server)
        workspace.set("api", dialect=name)
        workspace.set("models", **{"sora-2": {"sizes": "any", "seconds": "any", "usd_per_second": 0.1}})
        (tmp_path / "api.key").write_text(key)
        told = " ".join(workspace.cli("check", status=int(key == "sk-wrong")).split())
        assert server.ledger().creates == 0
    assert said in told
    assert "to 0" in told or "num_retries: 0" in told  # the retries of the gateway
