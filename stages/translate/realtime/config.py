"""What a session is asked for, checked before anything is sent: what is wrong is told in one line, and at once."""

from __future__ import annotations

import os
from collections.abc import Sequence

from stages.languages import LANGUAGES, canonical
from stages.translate.realtime.events import SessionConfig, SessionUpdate

__all__ = ["AUTO", "KEY_VARIABLE", "api_key_or_env", "language_change", "service_language", "session_config"]

AUTO = "auto"
"""As source language: the service finds out what is spoken."""
KEY_VARIABLE = "CAMB_API_KEY"
MODES = ("fast", "slow")
MODALITIES = ("text", "audio")
SPEAKER_SETUPS = ("changing_speakers", "single_known_speaker")
CANDIDATES_LIMIT = 10
"""The most languages that detection can be told to choose from (the vendor's SDK)."""


def service_language(tag: str) -> str:
    """`tag` as the service writes it: `pt_BR` is `pt-br`. Raises ValueError for what is none of its languages."""
    language = canonical(tag)
    if language not in LANGUAGES:
        raise ValueError(f"wanted a language of the service: {', '.join(LANGUAGES)}, came {tag!r}")
    return language


def session_config(
    *,
    source_language: str,
    target_language: str | None = None,
    output_modalities: Sequence[str] = MODALITIES,
    mode: str = "fast",
    voice_id: int | None = None,
    speaker_setup: str | None = None,
    source_language_candidates: Sequence[str] = (),
) -> SessionConfig:
    """What to open a session with. Raises ValueError, naming the argument, for what the service cannot do.

    `speaker_setup` and `source_language_candidates` help to tell what is spoken, so only go with `auto`; without
    a `target_language`, which needs `auto` as well, a session transcribes until it is given one.
    """
    source = _source(source_language) or ""
    automatic = source == AUTO
    if not automatic and not target_language:
        raise ValueError(
            "target_language: wanted a language, came none; only with source_language auto can it wait"
        )
    if not automatic and (speaker_setup is not None or source_language_candidates):
        raise ValueError("speaker_setup and source_language_candidates only go with source_language auto")
    _check_one_of("mode", mode, MODES)
    for modality in output_modalities or [""]:
        _check_one_of("output_modalities", modality, MODALITIES)
    if speaker_setup is not None:
        _check_one_of("speaker_setup", speaker_setup, SPEAKER_SETUPS)
    if len(source_language_candidates) > CANDIDATES_LIMIT:
        raise ValueError(
            f"source_language_candidates: wanted up to {CANDIDATES_LIMIT}, came {len(source_language_candidates)}"
        )
    return SessionConfig(
        source_language=source,
        target_language=_language("target_language", target_language) if target_language else "",
        output_modalities=tuple(dict.fromkeys(output_modalities)),
        mode=mode,
        voice_id=voice_id,
        speaker_setup=speaker_setup,
        source_language_candidates=tuple(
            _language("source_language_candidates", tag) for tag in source_language_candidates
        ),
    )


def language_change(source_language: str | None, target_language: str | None) -> SessionUpdate:
    """The message that changes the languages of a running session. Raises ValueError, naming the argument."""
    if not source_language and not target_language:
        raise ValueError("wanted source_language, target_language or both, came neither")
    return SessionUpdate(
        _source(source_language), target_language and _language("target_language", target_language)
    )


def api_key_or_env(api_key: str | None) -> str:
    """`api_key`, else what `CAMB_API_KEY` holds. Raises ValueError where there is neither."""
    key = (os.environ.get(KEY_VARIABLE, "") if api_key is None else api_key).strip()
    if not key:
        raise ValueError(f"no API key: set {KEY_VARIABLE} in the environment, or pass api_key")
    return key


def _source(tag: str | None) -> str | None:
    if tag is None or tag.strip().lower() == AUTO:
        return tag and AUTO
    return _language("source_language", tag)


def _language(name: str, tag: str) -> str:
    try:
        return service_language(tag)
    except ValueError as wrong:
        raise ValueError(f"{name}: {wrong}") from None


def _check_one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: wanted {' or '.join(allowed)}, came {value!r}")
