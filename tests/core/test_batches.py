"""Which orders wait for approval, and what is told of them."""

from __future__ import annotations

import pytest

from sorawatch.core.batches import (
    NOTICE_HEADING,
    Batch,
    Recent,
    Share,
    expected_price,
    must_wait,
    needs_no_approval,
    notice,
    pause_of,
)
from sorawatch.core.order import Aim, Model, Order, Size

LANDSCAPE, PORTRAIT = Size(1280, 720), Size(720, 1280)


@pytest.mark.parametrize(
    ("limit", "recent", "waits"),
    [
        (None, Recent(10**9, has_waiting=True), False),
        (5, Recent(5, has_waiting=False), False),
        (5, Recent(6, has_waiting=False), True),
        (5, Recent(1, has_waiting=True), True),
        (0, Recent(1, has_waiting=False), True),
        (0, Recent(0, has_waiting=False), False),
    ],
)
def test_orders_wait_above_the_limit_or_if_they_join_a_batch(limit: int | None, recent: Recent, waits: bool) -> None:
    assert must_wait(limit, recent) is waits


@pytest.mark.parametrize(("limit", "goes"), [(None, True), (9, False), (10, True), (11, True)])
def test_a_batch_goes_by_itself_when_it_is_no_longer_above_the_limit(limit: int | None, goes: bool) -> None:
    assert needs_no_approval(limit, Batch(1, {"anna": Share(2, 4)}, 10)) is goes


@pytest.mark.parametrize(
    ("size", "price"),
    [(LANDSCAPE, 80), (PORTRAIT, 160), (Aim.AUTO, 160), (Aim.LANDSCAPE, 80), (Aim.PORTRAIT, 160), (Size(9, 9), None)],
)
def test_an_aim_costs_what_the_dearest_size_costs(size: Size | Aim, price: int | None) -> None:
    model = Model("m", (LANDSCAPE, PORTRAIT), None, None, ((LANDSCAPE, 10), (PORTRAIT, 20)))
    assert expected_price(model, Order("waves", "m", size, 8)) == price


def test_a_pause_names_folders_money_and_commands() -> None:
    batch = Batch(3, {"": Share(1, 400_000), "b\udcff": Share(2, 800_000)}, 5_200_000)
    pause = pause_of(batch, 5_000_000)
    assert pause.headline == "a batch waits for approval"
    assert pause.reason == (
        "3 orders for $1.20 from the inbox itself, b\\udcff wait for approval: "
        "with $4.00 sent or approved before, they cost more than limits.confirm_above_usd of $5.00"
    )
    for command in ("`sorawatch plan`", "`sorawatch approve`", "`sorawatch approve FOLDER`"):
        assert command in pause.hint
    assert pause_of(batch, 5_000_000).cause != pause_of(Batch(4, batch.shares, 1), 5_000_000).cause
    assert pause_of(batch, None).reason.endswith(" wait for approval")
    assert "waits for approval: it costs more" in pause_of(Batch(1, {"": Share(1, 9)}, 9), 8).reason


def test_a_notice_says_what_waits_whether_it_was_charged_and_what_to_do() -> None:
    text = notice("b\udcff", Share(1, 400_000), 5_000_000)
    assert text.startswith(f"{NOTICE_HEADING}\n    1 order for $0.40 in b\\udcff waits")
    assert "`sorawatch approve b\\udcff` orders those of b\\udcff" in text
    assert "\n\nWas it charged?\n    No." in text
    whole = notice("", Share(2, 400_000), None)
    assert "2 orders for $0.40 in the inbox wait" in whole
    assert "sorawatch approve b" not in whole
