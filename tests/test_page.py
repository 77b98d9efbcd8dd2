from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.loading.page import MOST_PROBLEMS, Findings, Page, looks_secret, shown


@given(st.text("ab\n\r", max_size=40), st.integers(0, 45))
def test_a_place_is_inside_the_text(text: str, index: int) -> None:
    where = Page("g", text).where(index)
    assert where is not None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert where.text == lines[where.line - 1]
    assert 1 <= where.column <= len(where.text) + 1


def test_lines_and_columns_count_from_one() -> None:
    page = Page("g", "ab\ncd\r\ne\n")
    places = [(where.line, where.column) for where in map(page.where, (0, 1, 3, 4, 7, 9)) if where]
    assert places == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]
    assert page.where(-1) is None


def test_a_mask_hides_and_keeps_columns() -> None:
    page = Page("g", "key: abcdef, b: c\nk: ab\n  cd\n")
    page.mask(5, 11)
    page.mask(21, 28)
    texts = [where.text for where in map(page.where, (0, 18, 24)) if where]
    assert texts == ["key: ***   , b: c", "k: **", "*   "]


def test_a_text_is_masked_wherever_it_stands() -> None:
    page = Page("g", "a: secret # secret!\n")
    page.mask_text("secret")
    where = page.where(0)
    assert where is not None
    assert where.text == "a: ***    # ***   !"


def test_what_a_broken_file_might_keep_secret_is_masked() -> None:
    page = Page("g", "a: b\nx: {api_key: k1, b: c}\nToken:\n  k2\n  k3\nb: k4\n  'my-passwd' : k5\nc: k6")
    page.mask_suspects()
    lines = [where.text for where in map(page.where, (0, 5, 29, 36, 41, 46, 53, 72)) if where]
    for secret, seen in (("k1", False), ("k2", False), ("k3", False), ("k4", True), ("k5", False), ("k6", True)):
        assert (secret in "\n".join(lines)) is seen, secret


def test_names_that_look_secret() -> None:
    assert [name for name in ("api_key", "TOKEN", "rate", "password", "path") if looks_secret(name)] == [
        "api_key",
        "TOKEN",
        "password",
    ]


def test_a_message_shows_little_and_only_what_prints() -> None:
    assert shown("a\n\x1b\udc80") == r"'a\n\x1b\udc80'"
    assert len(shown("x" * 1000)) == 62


def test_problems_are_bounded() -> None:
    findings = Findings(Page("g", "a"))
    for number in range(1000):
        findings.say(f"number {number}", 0)
    assert findings.full
    assert len(findings) == len(findings.problems()) == MOST_PROBLEMS + 1
