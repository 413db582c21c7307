"""Dialect files: the shipped ones are sound, and what is wrong in one of a person's own is said with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sorawatch import config
from sorawatch.config import dialect_file
from sorawatch.config.dialect_keys import schema
from sorawatch.core.dialect import Encoding, KeyHeader, Needs
from sorawatch.core.order import Aim, Size
from sorawatch.core.yaml_tree import plain
from sorawatch.edges import yamlfile
from sorawatch.errors import ConfigError

MINIMAL = """
name: mine
about: a server of my own
server: {url: "http://127.0.0.1:9/v1", key: none}
create: {url: /jobs, json: {p: <prompt>, i: <image.base64>}, id: /id}
poll: {url: /jobs/<id>, done: {/s: ok}, failed: {/s: bad}}
clip: {url: /jobs/<id>/clip}
"""


def problems(folder: Path, text: str) -> str:
    (folder / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        dialect_file.from_file(folder / "mine.yaml")
    return str(caught.value)


@pytest.mark.parametrize("name", dialect_file.names())
def test_the_shipped_dialects_are_sound(name: str) -> None:
    dialect = dialect_file.shipped(name)
    assert dialect.name == name
    assert dialect.source
    assert (dialect.key is None) == (dialect.needs is Needs.GPU)
    if dialect.needs is Needs.GPU:
        assert all(each.model.is_free for each in dialect.models)


@pytest.mark.parametrize("name", dialect_file.names())
def test_the_schema_has_every_key_of_the_shipped_files(name: str) -> None:
    tree = yamlfile.load(dialect_file.source(name).encode(), name)
    assert unknown_keys(plain(tree), schema()) == []


def unknown_keys(value: Any, described: Mapping[str, Any], path: str = "") -> list[str]:
    found = []
    if isinstance(value, dict) and described.get("additionalProperties") is False:
        for key, below in value.items():
            if key not in described["properties"]:
                found.append(f"{path}/{key}")
            else:
                found += unknown_keys(below, described["properties"][key], f"{path}/{key}")
    return found


def test_a_file_of_ones_own_and_one_that_extends_another(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINIMAL)
    mine = dialect_file.from_file(tmp_path / "mine.yaml")
    assert (mine.create.body.encoding, mine.key, mine.create.id) == (Encoding.JSON, None, ("/id",))
    (tmp_path / "other.yaml").write_text("extends: new-api\nname: ours\nserver: {url: https://ours.example/v1}\n")
    ours = dialect_file.from_file(tmp_path / "other.yaml")
    assert (ours.name, ours.base_url, ours.key) == ("ours", "https://ours.example/v1", KeyHeader())
    assert ours.described("kling-v3") is not None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("/id}\npoll", "id}\npoll"),
        ("<prompt>", '<promt>'),
        ("url: /jobs,", "url: jobs,"),
        ("json:", "jsonn:"),
        ("{/s: ok}", "[ok]"),
        ("<image.base64>", "<image.file>"),
        ("<image.base64>", "<upload>"),
        ("about: a server of my own\n", ""),
        ("poll: {url: /jobs/<id>,", "poll: {url: <answer/url>,"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, change: str, told: str) -> None:
    expected = {
        "id}\npoll": 'mine.yaml line 5, create.id: is "id". Allowed: a JSON pointer such as /data/0/url.',
        "<promt>": 'create: has <promt>, which is no placeholder. Did you mean "prompt"?',
        "url: jobs,": 'create.url: is "jobs". Allowed: a path such as /videos/<id>',
        "jsonn:": 'create.jsonn: is not a known key. Did you mean "json"?',
        "[ok]": "poll.done: is a list. Allowed: pointers with words",
        "<image.file>": "create: has <image.file> in JSON",
        "<upload>": "create: has <upload>, but there is no upload step",
        "": "about: is missing",
        "poll: {url: <answer/url>,": "poll: has only addresses of the answer to the order",
    }[told]
    assert expected in problems(tmp_path, MINIMAL.replace(change, told))


def test_a_key_twice_and_yaml_1_1_are_no_surprise(tmp_path: Path) -> None:
    assert 'has the key "name" a second time' in problems(tmp_path, f"{MINIMAL}name: again\n")
    (tmp_path / "mine.yaml").write_text(
        MINIMAL.replace("{p: <prompt>", "{ratio: 16:9, on: off, v: 2024-11-06, p: <prompt>")
    )
    template = dialect_file.from_file(tmp_path / "mine.yaml").create.body.template
    assert (template["ratio"], template["on"], template["v"]) == ("16:9", "off", "2024-11-06")


def load(folder: Path, text: str) -> config.Config:
    (folder / "config.yaml").write_text(text)
    return config.load(folder / "config.yaml", {})


def test_a_configuration_with_one_line_is_enough(tmp_path: Path) -> None:
    found = load(tmp_path, "api: {dialect: fastvideo}")
    assert found.api.base_url == "http://127.0.0.1:8000/v1"
    assert (found.defaults.size, found.defaults.seconds, found.limits.in_flight) == (Aim.AUTO, 5, 1)
    assert found.defaults.model == "FastVideo/FastWan2.2-TI2V-5B-FullAttn-Diffusers"
    own = load(tmp_path, "api: {dialect: fastvideo, auth: X-Api-Key}\nlimits: {in_flight: 2}")
    assert (own.limits.in_flight, own.api.contract.key) == (2, KeyHeader("X-Api-Key", ""))


def test_the_models_of_a_gateway_are_named_by_the_person(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"video\.model: is missing, and new-api has no models"):
        load(tmp_path, "api: {dialect: new-api}")
    found = load(tmp_path, "api: {dialect: new-api}\nmodels: {kling-v2-6: {usd_per_second: 0.07}}")
    assert (found.defaults.model, found.catalogue["kling-v2-6"].seconds) == ("kling-v2-6", (5, 10))
    assert Size(1280, 720) in (found.catalogue["kling-v2-6"].sizes or ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("api: {dialect: vlm-omni}", 'api.dialect: is "vlm-omni". Did you mean "vllm-omni"?'),
        ("api: {dialect: ./none.yaml}", "api.dialect"),
        ("api: {dialect: comfyui}", "api.graph: is missing"),
        ("api: {dialect: openai, graph: g.json}", "api.graph: is not used by openai"),
        ("api: {query: {api_key: x}}", 'has "api_key", which is probably a secret'),
    ],
)
def test_what_is_wrong_in_the_section_api(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("graph", "told"),
    [
        ('{"nodes": [], "links": []}', "is a workflow for the editor and not for the API"),
        ('{"1": {"inputs": {"image": "a.png"}}}', "has no slot for the picture"),
        ('{"1": {"inputs": {"image": "<upload>", "text": "<promt>"}}}', 'has <promt>, which is no slot. Did you mean "prompt"?'),
        ('{"1": {"inputs": {"image": "<upload>"}}}', "has no slot for the prompt"),
        ("{", "is not JSON"),
    ],
)  # fmt: skip
def test_a_graph_that_cannot_be_used(tmp_path: Path, graph: str, told: str) -> None:
    (tmp_path / "graph.json").write_text(graph)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "api: {dialect: comfyui, graph: graph.json}")
    assert told in str(caught.value)
