from __future__ import annotations

import pytest

from stages.languages import LANGUAGES, base, canonical, checked, full_tag, spoken_name


@pytest.mark.parametrize(
    ("written", "tag"),
    [("EN", "en-us"), ("pt_BR", "pt-br"), (" fr-CA ", "fr-ca"), ("it-it", "it-it"), ("ru", "ru")],
)
def test_a_tag_is_understood_however_it_is_written(written: str, tag: str) -> None:
    assert canonical(written) == tag
    assert checked(written) is None


@pytest.mark.parametrize("wrong", ["english", "xx", "", "en us", "e", "pt-"])
def test_what_is_no_language_is_refused_with_the_list(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"ar-ae, ar-eg.*zh-cn"):
        canonical(wrong)
    assert checked(wrong) is not None


def test_a_near_miss_is_guessed() -> None:
    assert "did you mean pt-br?" in str(checked("portuguese"))
    assert "did you mean ja-jp?" in str(checked("jp-jp"))


def test_every_bare_language_of_the_table_has_a_usual_region() -> None:
    assert {canonical(base(tag)) for tag in LANGUAGES} <= LANGUAGES.keys()
    assert {base(full_tag(base(tag))) for tag in LANGUAGES} == {base(tag) for tag in LANGUAGES}


def test_names() -> None:
    assert spoken_name("pt-br") == "Portuguese (Brazil)"
    assert spoken_name("it-it") == "it-it"
