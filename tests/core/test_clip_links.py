"""Where JSON says that a clip is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorawatch.core.clip_links import MAX_LINKS, clip_links, holds_clip

LINK = "https://files.example/clip.mp4?signature=a%2Fb&expires=1"


@pytest.mark.parametrize(
    "document",
    [
        {"url": LINK},
        {"video_url": LINK},
        {"result_url": LINK},
        {"metadata": {"url": LINK}},
        {"output": LINK},
        {"output": [LINK, "https://files.example/other.mp4"]},
        {"output": {"video_url": LINK, "task_status": "SUCCEEDED"}},
        {"data": {"url": LINK}},
        {"data": {"task_result": {"videos": [{"url": LINK}]}}},
        {"data": [{"url": LINK}]},
        {"content": {"video_url": LINK}},
        {"result": {"video": {"url": LINK}}},
        {"video": {"url": LINK, "content_type": "video/mp4"}},
        {"videos": [{"url": LINK}, {"url": "https://files.example/other.mp4"}]},
        {"videos": [LINK]},
        {"outputs": [{"url": LINK}]},
        {"generations": [{"url": LINK}]},
        {"id": "video_1", "status": "completed", "progress": 100, "url": f"  {LINK}\n"},
    ],
    ids=str,
)
def test_a_link_is_found_wherever_servers_put_it(document: object) -> None:
    assert clip_links(document) == (LINK,)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        LINK,
        {},
        {"url": None, "video_url": "", "output": 7, "videos": [], "metadata": []},
        {"url": "ftp://files.example/clip.mp4"},
        {"url": "s3://bucket/clip.mp4"},
        {"url": "javascript:alert(1)"},
        {"url": "no link at all"},
        {"url": "https://files.example/" + "x" * 10_000},
        {"output": "done", "result": "success", "content": "a beach"},
        {"thumbnail_url": LINK, "input": {"image_url": LINK}, "error": {"url": LINK}},
        {"urls": {"get": LINK, "cancel": LINK}},
        {"url": "data:text/html;base64,PGh0bWw+"},
    ],
    ids=lambda document: str(document)[:60],
)
def test_what_is_no_link_to_a_clip_is_none(document: object) -> None:
    assert clip_links(document) == ()


def test_the_likeliest_comes_first_and_each_once() -> None:
    other = "https://files.example/self"
    assert clip_links({"url": other, "video_url": LINK, "data": {"url": LINK}}) == (LINK, other)
    assert (
        len(clip_links({"videos": [{"url": "a", "video_url": "b", "data": {"url": "c"}}], "url": "d", "data": "/e"}))
        == MAX_LINKS
    )


def test_relative_links_are_left_as_they_are() -> None:
    assert clip_links({"url": "files/clip.mp4", "output": "/files/clip.mp4"}) == ("files/clip.mp4", "/files/clip.mp4")


def test_a_link_may_hold_the_clip() -> None:
    link = "data:video/mp4;base64," + "A" * 100_000
    assert clip_links({"video": {"url": link}}) == (link,)
    assert clip_links({"output": link}) == (link,)
    assert holds_clip(link)
    assert not holds_clip(LINK)


def test_a_document_may_be_deep() -> None:
    document: dict[str, Any] = {"url": LINK}
    for _ in range(100):
        document = {"data": document, "video": document}
    assert clip_links(document) == ()


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["url", "data", "output", "videos", "x"]), inner),
)


@given(json)
def test_any_json_gives_a_few_texts(document: object) -> None:
    found = clip_links(document)
    assert len(found) <= MAX_LINKS
    assert all(found)
