"""Languages by their tags: what a tag means to each model, as data.

A tag is lower-case BCP-47 such as `pt-br`. Written otherwise (`PT_BR`, a bare `pt`) it is understood all the
same. The fourteen tags here are those of live translation services; the recogniser alone knows more languages.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from attrs import frozen

__all__ = ["LANGUAGES", "Language", "base", "canonical", "checked", "checked_or_auto", "full_tag", "spoken_name"]


@frozen
class Language:
    """A language of the table: its name, espeak-ng's voice for it, and its own voice in NLLB's alphabet of tags.

    espeak-ng silently keeps the previous voice for `en-gb`, `fr-fr` and `fr-ca`: hence `en` and `fr`.
    """

    name: str
    espeak: str
    nllb: str


LANGUAGES: Mapping[str, Language] = {
    "ar-ae": Language("Arabic (United Arab Emirates)", "ar", "acm_Arab"),
    "ar-eg": Language("Arabic (Egypt)", "ar", "arz_Arab"),
    "ar-sa": Language("Arabic (Saudi Arabia)", "ar", "arb_Arab"),
    "de-de": Language("German", "de", "deu_Latn"),
    "en-gb": Language("English (United Kingdom)", "en", "eng_Latn"),
    "en-us": Language("English (United States)", "en-us", "eng_Latn"),
    "es-es": Language("Spanish (Spain)", "es", "spa_Latn"),
    "fr-ca": Language("French (Canada)", "fr", "fra_Latn"),
    "fr-fr": Language("French (France)", "fr", "fra_Latn"),
    "hi-in": Language("Hindi", "hi", "hin_Deva"),
    "ja-jp": Language("Japanese", "ja", "jpn_Jpan"),
    "ko-kr": Language("Korean", "ko", "kor_Hang"),
    "pt-br": Language("Portuguese (Brazil)", "pt-br", "por_Latn"),
    "zh-cn": Language("Chinese (Mandarin)", "cmn", "zho_Hans"),
}

_USUAL: Mapping[str, str] = {
    "ar": "ar-sa", "de": "de-de", "en": "en-us", "es": "es-es", "fr": "fr-fr",
    "hi": "hi-in", "ja": "ja-jp", "ko": "ko-kr", "pt": "pt-br", "zh": "zh-cn",
}  # fmt: skip

_SPOKEN = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy "
    "id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru "
    "sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh "
)
"""What Whisper was trained to recognise (openai/whisper, `tokenizer.py`)."""

_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")


def canonical(tag: str) -> str:
    """`tag` in lower case, with `-`, and with its usual region where it names none: `EN` is `en-us`.

    Raises: ValueError, saying which tags there are.
    """
    lower = tag.strip().lower().replace("_", "-")
    if not _TAG.fullmatch(lower) or base(lower) not in _SPOKEN.split():
        raise ValueError(f"wanted {_wanted(lower)}, came {tag!r}")
    return _USUAL.get(lower, lower)


def base(tag: str) -> str:
    """The language without its region: `en` of `en-us`."""
    return tag.strip().lower().replace("_", "-").partition("-")[0]


def full_tag(code: str) -> str:
    """The usual tag for a recogniser's code: `pt-br` for `pt`; a code that is not in the table stays."""
    return _USUAL.get(code, code)


def checked_or_auto(language: str) -> str | None:
    """As `checked`, for a source that may also be `auto`: found out by listening."""
    return None if language == "auto" else checked(language)


def checked(tag: str) -> str | None:
    """What was wanted where `tag` is no language, else None: the check of an option."""
    try:
        canonical(tag)
    except ValueError:
        return _wanted(tag.strip().lower())
    return None


def spoken_name(tag: str) -> str:
    """`Portuguese (Brazil)` for `pt-br`; the tag itself for one that is not in the table."""
    return LANGUAGES[tag].name if tag in LANGUAGES else tag


def _wanted(tag: str) -> str:
    names = {language.name.lower(): known for known, language in LANGUAGES.items()}
    close = difflib.get_close_matches(tag, [*LANGUAGES, *names], n=1, cutoff=0.5)
    hint = f" (did you mean {names.get(close[0], close[0])}?)" if close else ""
    return f"a language{hint}: {', '.join(LANGUAGES)}"
