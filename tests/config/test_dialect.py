"""Other servers as data: what the configuration may say of one, and where its secrets never appear."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorawatch import config
from sorawatch.config import find_headers
from sorawatch.core.order import Size
from sorawatch.errors import ConfigError
from sorawatch.simulator import Fault, SimulatorSettings, running
from tests.support.workspace import Workspace


def load(folder: Path, text: str, **environ: str) -> config.Config:
    (folder / "config.yaml").write_text(text)
    return config.load(folder / "config.yaml", environ)


def test_every_key(tmp_path: Path) -> None:
    text = 'api: {image_field: image, extra_fields: {fps: "24", seed: 7}, send_size: false, headers: {X-Team: film}, auth: X-Api-Key}'
    api = load(tmp_path, text).api
    assert (api.image_field, api.extra_fields, api.send_size) == ("image", (("fps", "24"), ("seed", "7")), False)
    assert (api.headers, api.auth) == ((("X-Team", "film"),), "X-Api-Key")


def test_the_environment_says_them_too(tmp_path: Path) -> None:
    variables = {"SORAWATCH_API__EXTRA_FIELDS": "{fps: 24}", "SORAWATCH_API__AUTH": "None"}
    api = load(tmp_path, "", **variables).api
    assert (api.extra_fields, api.auth) == ((("fps", "24"),), "none")


def test_models_have_any_name_size_and_length(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        "models: {org/any-1.0: {sizes: any, seconds: any, usd_per_second: 0}, b: {sizes: [64x64], seconds: 2 - 9, usd_per_second: 0}}",
    )
    assert (found.catalogue["org/any-1.0"].sizes, found.catalogue["org/any-1.0"].seconds) == (None, None)
    assert (found.catalogue["b"].sizes, found.catalogue["b"].seconds) == ((Size(64, 64),), (2, 3, 4, 5, 6, 7, 8, 9))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("models: {m: {seconds: 9-2}}", 'is "9-2". Allowed: a list with at least one entry, a range such as 1-10, or any.'),
        ("models: {m: {seconds: 1-x}}", 'models.m.seconds: is "x". Allowed: a whole number of seconds'),
        ("models: {m: {sizes: any, seconds: 2-9, usd_per_second: 0}}\nvideo: {model: m, seconds: 12}", "Allowed: 2 to 9."),
        ("api: {auth: sk-s3cret}", "api.auth: looks like a key"),
        ("api: {auth: two words}", 'api.auth: is "two words". Allowed: bearer, none,'),
        ("api: {auth: null}", "api.auth: is empty. Allowed: bearer"),
        ("api: {image_field: size}", "api.image_field: is \"size\""),
        ("api: {extra_fields: {model: x}}", 'api.extra_fields: has "model", which every order sets for itself'),
        ("api: {extra_fields: {input_reference: x}}", 'api.extra_fields: has "input_reference", which is the picture'),
        ("api: {extra_fields: [fps]}", "api.extra_fields: is a list. Allowed: names with their values"),
        ("api: {headers: {X-Api-Key: s3cret}}", 'has the value of X-Api-Key, which is probably a secret. Put it into an environment'),
        ("api: {headers: {X-Team: $1}}", "has a value for X-Team that begins with $. Write $NAME"),
        ("api: {headers: {X-Team: Wärme}}", "has a value for X-Team that a header cannot have"),
        ("api: {headers: {Content-Type: text/plain}}", 'has "Content-Type", a header that cannot be set here'),
        ("api: {headers: {Authorization: $TOKEN}}", 'has "Authorization", which carries the API key'),
        ("api: {headers: {X-Team: a, x-team: b}}", "names a header twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_no_secret_with_it(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_header_without_its_variable_is_refused_at_the_start(tmp_path: Path) -> None:
    found = load(tmp_path, "api: {headers: {X-Token: $TOKEN, X-Team: film}}")
    with pytest.raises(ConfigError, match=r"api\.headers\.X-Token: the environment variable TOKEN is not set"):
        find_headers(found, {})
    with pytest.raises(ConfigError, match="contains a character that a header cannot have"):
        find_headers(found, {"TOKEN": "s3cret\nX-Other: 1"})
    assert find_headers(found, {"TOKEN": " s3cret\n"}) == {"X-Token": "s3cret", "X-Team": "film"}
    assert "s3cret" not in repr(found)


def test_plain_http_to_another_machine_is_for_servers_without_secrets(tmp_path: Path) -> None:
    address = "base_url: http://192.168.1.9:8000/v1, auth: none"
    assert load(tmp_path, f"api: {{{address}}}")
    with pytest.raises(ConfigError, match="would be sent unencrypted"):
        load(tmp_path, f"api: {{{address}, headers: {{X-Token: $TOKEN}}}}")


def test_what_echoes_a_secret_header_is_blotted_out(workspace: Workspace) -> None:
    workspace.set("api", headers={"X-Token": "$TOKEN"})
    workspace.simulator.inject(Fault("answer_before", status=400, message="bad token s3cret/9 for film"))
    workspace.drop("beach.jpg")
    assert not workspace.run_once(TOKEN="s3cret/9")
    told = (workspace.errors / "beach.error.txt").read_text()
    assert "bad token [key] for film" in told


def test_a_length_that_the_server_reckons_itself_disproves_nothing(tmp_path: Path) -> None:
    """Frames among the extra fields decide the length that such servers list: another one is no other order."""
    settings = SimulatorSettings(generation_seconds=0.1, frames_per_second=1, extra_fields=frozenset({"num_frames"}))
    with running(settings) as server:
        workspace = Workspace(tmp_path, server)
        workspace.set("api", extra_fields={"num_frames": "33"})
        server.inject(Fault("lost_after", on="create"), Fault("seconds_other", times=None))
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        assert server.ledger().creates == 1
