"""``config.example.yaml`` says what the code does."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from sorawatch import config
from sorawatch.core.reference_format import ReferenceOptions
from sorawatch.core.yaml_tree import Node
from sorawatch.edges import yamlfile
from tests.support.paths import ROOT

EXAMPLE = ROOT / "config.example.yaml"


def keys(node: Node, path: str = "") -> set[str]:
    if not isinstance(node.value, Mapping) or not node.value:
        return {path}
    return set().union(*(keys(value, f"{path}.{key}" if path else key) for key, value in node.value.items()))


def test_it_says_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(config.example(), encoding="utf-8")
    (tmp_path / "empty.yaml").touch()
    said = config.load(tmp_path / "config.yaml", {})
    silent = config.load(tmp_path / "empty.yaml", {})
    assert replace(said, path=silent.path) == silent


def test_every_key_stands_in_it() -> None:
    found = keys(yamlfile.load(EXAMPLE.read_bytes(), EXAMPLE.name))
    sections = {
        "folders": config.Folders,
        "api": config.Api,
        "reference": ReferenceOptions,
        "decoders": config.DecoderOptions,
        "watch": config.WatchOptions,
        "limits": config.Limits,
        "logging": config.Logging,
        "billing": config.Billing,
    }
    expected = {
        f"{section}.{field.name.replace('micros', 'usd')}"
        for section, kind in sections.items()
        for field in fields(kind)
    }
    expected |= {f"video.{key}" for key in ("prompt", "model", "size", "seconds", "fit", "focus")}
    expected |= {f"polling.{key}" for key in ("min_seconds", "max_seconds", "stall_minutes", "abandon_hours")}
    expected |= {f"retries.{key}" for key in ("first_seconds", "max_seconds", "attempts", "failed_generations")}
    expected |= {"api.unresolved_submit", "watch.damaged_grace_seconds"}
    expected |= {"state", "work", "timezone", "duplicates", "keep_days"}
    assert {key for key in found if not key.startswith("models.")} == expected
    # Every field of the whole is a section or key above, so a new one cannot be forgotten.
    renamed = {"defaults": "video", "catalogue": "models", "path": None, "digest": None, "unset_video_keys": None}
    whole = {renamed.get(field.name, field.name) for field in fields(config.Config)} - {None, "policy"}
    whole |= {"polling", "retries", "billing"}
    assert whole == {key.partition(".")[0] for key in found}


def test_every_key_has_its_comment() -> None:
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line.strip()]
    bare = {line.split(":")[0].strip() for line in lines if "#" not in line and line[-1] != ":"}
    # A repeated key, and a pair that its section's comment explains.
    assert bare <= {
        "sizes",
        "seconds",
        "usd_per_second",
        "usd_per_video",
        "min_seconds",
        "max_seconds",
        "submits_per_minute",
    }


def test_the_starter_keeps_the_state_beside_it(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(config.starter(), encoding="utf-8")
    assert config.load(tmp_path / "config.yaml", {}).state == str(tmp_path / "state.db")
    assert config.starter().count("\n") == config.example().count("\n")


def test_its_lines_fit_a_screen() -> None:
    assert max(map(len, config.example().splitlines())) <= 130
