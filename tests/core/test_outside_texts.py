"""Texts and lists of a server are cut and made safe, whatever it sends."""

from __future__ import annotations

import json

import pytest

from sorawatch.core.error_bodies import LONGEST_QUOTE
from sorawatch.core.error_text import MOST_NAMED, may_be
from sorawatch.core.outcome import Candidate
from sorawatch.core.video_responses import MOST_ENTRIES, HttpResponse, read_models, read_page, read_submit, read_video
from sorawatch.errors import SorawatchError

NOW = 1_760_000_000.0
NASTY = "\x1b[2J\x07\u202e\r\n\ud800" + "x" * 2_000_000
JOB = {"id": "video_1", "object": "video", "model": "sora-2", "status": "queued", "progress": 0}


def answer(status: int, document: object) -> HttpResponse:
    return HttpResponse(status, {}, json.dumps(document).encode())


def assert_safe(text: str | None, longest: int = LONGEST_QUOTE) -> None:
    assert text is None or (text.isprintable() and len(text) <= longest)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize(
    "document",
    [
        {"error": {"code": NASTY, "type": NASTY, "message": "no"}},
        {"error": {"code": NASTY, "type": NASTY}},
        {"error": {"message": NASTY}},
        {"error": NASTY, "code": NASTY},
        {"code": NASTY, "message": NASTY, "data": None},
        {"detail": [{"loc": [NASTY], "msg": NASTY}] * 3},
        {"detail": NASTY},
        {"status": NASTY},
        {NASTY: 1},
    ],
    ids=["all", "no message", "message", "text", "flat", "list", "detail", "status", "key"],
)
def test_errors_are_short_and_on_one_line(status: int, document: object) -> None:
    response = answer(status, document)
    if response.error is not None:
        assert_safe(response.error.code, 100)
        assert_safe(response.error.type, 100)
        assert_safe(str(response.error))
    for read in (read_submit, read_video, read_page):
        try:
            read(response, NOW)
        except SorawatchError as error:
            assert_safe(str(error), 3 * LONGEST_QUOTE)


def test_a_failure_is_short_and_on_one_line() -> None:
    for reason in ({"code": NASTY, "message": NASTY}, NASTY, None):
        failure = read_video(answer(200, {**JOB, "status": "failed", "error": reason}), NOW).failure
        assert failure is not None
        assert_safe(failure.code)
        assert_safe(failure.message)


def test_the_words_of_a_video_are_short_and_on_one_line() -> None:
    changes = {"status": NASTY, "model": NASTY, "size": NASTY, "seconds": NASTY, "prompt": "waves"}
    video = read_video(answer(200, JOB | changes), NOW)
    for text in (video.unknown_status, video.model, video.size, video.seconds):
        assert text
        assert_safe(text)
    assert video.prompt == "waves"


def test_a_prompt_that_no_order_has_is_not_known_and_so_not_another() -> None:
    (video,) = read_page(answer(200, {"data": [{**JOB, "prompt": "x" * 2_000_000}]}), NOW).videos
    assert video.prompt is None


@pytest.mark.parametrize("video_id", [NASTY, "a\x1b[2J", "v" * 2_001])
def test_an_id_that_cannot_be_shown_is_none(video_id: str) -> None:
    with pytest.raises(SorawatchError):
        read_submit(answer(200, {**JOB, "id": video_id}), NOW)


def test_a_long_list_is_cut_and_proves_nothing_about_the_rest() -> None:
    entries = [{**JOB, "id": f"video_{number}"} for number in range(MOST_ENTRIES + 1)]
    listed = {"data": entries, "has_more": False, "last_id": entries[-1]["id"]}
    page = read_page(answer(200, listed), NOW)
    assert len(page.videos) == MOST_ENTRIES
    assert page.has_more
    assert not page.filtered
    assert read_page(answer(200, {**listed, "data": entries[1:]}), NOW).has_more is False


def test_a_long_list_of_models_is_cut_and_has_each_once() -> None:
    names = [{"id": f"model {number // 2}"} for number in range(3 * MOST_ENTRIES)]
    assert len(read_models(answer(200, {"data": names}), NOW)) == MOST_ENTRIES
    assert read_models(answer(200, {"data": [{"id": "sora-2"}] * 5}), NOW) == ("sora-2",)


def test_texts_name_a_dozen_candidates_and_count_the_rest() -> None:
    candidates = [Candidate(f"video_{number}", certain=False) for number in range(MOST_NAMED + 5_000)]
    text = may_be(candidates)
    assert "video_11 and 5,000 more" in text
    assert "video_12" not in text
    assert "more" not in may_be(candidates[:MOST_NAMED])
