from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Text
from pipeline.loading.options import options_of
from stages.captions.text import clean
from stages.post_captions import PostCaptions
from stages.posting.services import SERVICES, Caption, Post, ServiceName, Verdict, captions_of
from tests.cue_texts import SAMPLES

YOUTUBE, ZOOM = SERVICES["youtube"], SERVICES["zoom"]


def utc(ms: int) -> str:
    return f"2012-12-24T00:00:{ms / 1000:06.3f}"


@given(
    st.text(), st.integers(0, 10**7), st.integers(0, 10**5), st.sampled_from(["en-us", "ja-jp", "ar-eg", "", "??"])
)
def test_captions_are_the_text_in_order_of_time(text: str, start_ms: int, span_ms: int, language: str) -> None:
    captions = captions_of(Text(text, start_ms, start_ms + span_ms, language))
    shown = "".join(line for caption in captions for line in caption.lines)
    assert shown.replace(" ", "") == clean(text).replace(" ", "")
    starts = [caption.start_ms for caption in captions]
    assert starts == sorted(starts)
    assert all(start_ms <= start <= start_ms + span_ms for start in starts)
    assert all(1 <= len(caption.lines) <= 2 for caption in captions)


@pytest.mark.parametrize("language", SAMPLES)
def test_a_long_text_is_several_captions(language: str) -> None:
    text = Text(" ".join([SAMPLES[language]] * 3), 1000, 21000, language, 1)
    captions = captions_of(text)
    assert len(captions) > 1
    (post,) = YOUTUBE.posts(text, 5.0)
    assert post == Post(tuple(captions), language, 5.0)
    assert [each.captions for each in ZOOM.posts(text, 5.0)] == [(caption,) for caption in captions]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_to_show_is_no_post(name: ServiceName) -> None:
    assert not list(SERVICES[name].posts(Text(" \u202e\n", 0, 1, "en-us"), 0.0))


def test_the_body_for_youtube() -> None:
    post = Post((Caption(873, ("Yes,", "of course.")), Caption(1974, ("Olá <b>",))), "en-us", 0.0)
    assert YOUTUBE.body(post, utc).decode() == (
        "2012-12-24T00:00:00.873\nYes,<br>of course.\n2012-12-24T00:00:01.974\nOlá ‹b›\n"
    )
    assert YOUTUBE.query(7, "en-us") == ["seq=7"]


@given(st.text(max_size=200))
def test_no_text_looks_like_another_caption(text: str) -> None:
    for hostile in (text, f"2012-12-24T00:00:00.000 {text}", f"x\n2012-12-24T00:00:00.000\n{text}"):
        for post in YOUTUBE.posts(Text(hostile, 0, 1000, "en-us"), 0.0):
            lines = YOUTUBE.body(post, utc).decode().split("\n")
            assert lines.pop() == ""
            assert len(lines) == 2 * len(post.captions)
            assert not any(line.startswith("2012-") for line in lines[1::2])
            assert not any(sign in line.replace("<br>", "") for line in lines for sign in "<>\r")


def test_the_body_for_zoom() -> None:
    post = Post((Caption(873, ("Yes,", "of course.")),), "en-us", 0.0)
    assert ZOOM.body(post, utc) == b"Yes,\nof course."


@pytest.mark.parametrize(
    ("tag", "told"), [("pt-br", "pt-BR"), ("ja-jp", "jp-JP"), ("EN-us", "en-US"), ("pt", None), ("x&y=z", None)]
)
def test_the_language_for_zoom(tag: str, told: str | None) -> None:
    assert ZOOM.query(7, tag) == (["seq=7", f"lang={told}"] if told else ["seq=7"])


def test_what_answers_mean() -> None:
    for service in SERVICES.values():
        assert service.verdict(200) is service.verdict(204) is Verdict.TAKEN
        assert {service.verdict(status) for status in (408, 425, 429, 500, 502, 503, 504)} == {Verdict.AGAIN}
        assert {service.verdict(status) for status in (301, 302, 307, 401, 403, 404, 410)} == {Verdict.REFUSED}
        assert {service.verdict(status) for status in (405, 411, 413, 422)} == {Verdict.SKIPPED}
        assert "again" in service.hint(403)
        assert service.hint(503) == ""
    assert YOUTUBE.verdict(400) is Verdict.SKIPPED
    assert ZOOM.verdict(400) is Verdict.AGAIN
    assert "not started" in ZOOM.hint(400)


def test_where_the_address_is_found_is_told_by_the_option_and_by_a_refusal() -> None:
    told = options_of(PostCaptions)["url"].help
    for service, where in ((YOUTUBE, "POST captions to URL"), (ZOOM, "Copy the API token")):
        assert where in service.hint(403)
        assert where in told
