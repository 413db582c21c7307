"""The server's own parameters of an order: how layers combine, and that they are part of what is bought."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sorawatch.config.dialect_file import shipped
from sorawatch.core.naming import order_key
from sorawatch.core.order import Order
from sorawatch.core.order_fields import from_text, layered, to_text
from sorawatch.core.sidecar import OrderSettings, make_order, read_settings
from sorawatch.edges import yamlfile
from sorawatch.errors import Rejected

CATALOGUE = dict(shipped("openai").catalogue)
BASE = OrderSettings(model="sora-2", size=next(iter(CATALOGUE["sora-2"].sizes or ())), seconds=8)


def settings(text: str, *, of_folder: bool = False) -> OrderSettings:
    return read_settings(yamlfile.load(text.encode(), "beach.yaml"), of_folder=of_folder)


def ordered(*layers: OrderSettings, model_fields: str = "") -> Order:
    models = {**CATALOGUE, "sora-2": replace(CATALOGUE["sora-2"], fields=model_fields)}
    return make_order([*layers, BASE], models)


def test_each_value_keeps_the_type_that_yaml_gives_it() -> None:
    order = ordered(
        settings("prompt: waves\nfields: {seed: 7, scale: 1.5, loop: false, ratio: 16:9, no: null, list: [1, a]}")
    )
    assert from_text(order.fields) == {
        "seed": 7,
        "scale": 1.5,
        "loop": False,
        "ratio": "16:9",
        "no": None,
        "list": [1, "a"],
    }


def test_the_sidecar_comes_before_the_folder_and_the_folder_before_the_model() -> None:
    sidecar = settings("prompt: waves\nfields: {seed: 7, steps: null}")
    folder = settings("fields: {seed: 1, steps: 30, style: film}", of_folder=True)
    order = ordered(sidecar, folder, model_fields='{"fps": 16, "style": "plain"}')
    assert from_text(order.fields) == {"seed": 7, "steps": None, "style": "film", "fps": 16}


def test_an_order_without_any_is_the_same_as_before() -> None:
    plain = ordered(settings("prompt: waves"))
    assert plain.fields == ordered(settings("prompt: waves\nfields: {}")).fields == ""
    assert order_key("d", plain) == order_key("d", ordered(settings("prompt: waves\nfields: {}")))


def test_other_fields_are_another_order() -> None:
    one, other, again = (
        ordered(settings(f"prompt: w\nfields: {each}")) for each in ("{a: 1, b: 2}", "{a: 1}", "{b: 2, a: 1}")
    )
    assert order_key("d", one) == order_key("d", again)
    assert len({order_key("d", each) for each in (one, other, ordered(settings("prompt: w")))}) == 3


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(Rejected, match=r"fields: is a list\. Allowed: names with their values, such as \{seed: 7\}"):
        ordered(settings("prompt: waves\nfields: [seed]"))


def test_layers_keep_their_nulls() -> None:
    assert layered('{"a": null}', '{"a": 1, "b": 2}') == to_text({"a": None, "b": 2})
    assert layered() == ""
