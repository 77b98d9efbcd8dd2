"""Whether a session can be what a client asks for. Pure: liberal in spelling, and a code for each thing wrong."""

from __future__ import annotations

from attrs import evolve

from pipeline.serve.engine import Engine
from pipeline.serve.limits import Refusal
from stages.languages import LANGUAGES
from stages.translate.realtime.config import (
    AUTO,
    CANDIDATES_LIMIT,
    MODALITIES,
    MODES,
    SPEAKER_SETUPS,
    service_language,
)
from stages.translate.realtime.events import SessionConfig, SessionUpdate

__all__ = ["changed", "opened", "spoken"]


def opened(wish: SessionConfig, engine: Engine) -> SessionConfig:
    """The session that `wish` asks for, in canonical spelling. Raises: Refusal with the field at fault."""
    if wish.mode not in MODES:
        raise Refusal.of("unsupported_mode", f"mode must be fast or slow, not {wish.mode[:40]!r}", "session.mode")
    if wish.voice_id is not None and not engine.clones:
        raise Refusal.of("unsupported_voice", "this server has no cloned voices", "session.voice")
    session = evolve(
        wish,
        source_language=_source(wish.source_language),
        target_language=_target(wish.target_language) if wish.target_language else "",
        output_modalities=_modalities(wish),
        source_language_candidates=_candidates(wish),
        speaker_setup=_setup(wish),
    )
    return _possible(session, engine)


def changed(session: SessionConfig, update: SessionUpdate, engine: Engine) -> SessionConfig:
    """The session with other languages. Raises: Refusal where it cannot have them; it goes on as it was."""
    source, target = update.source_language, update.target_language
    return _possible(
        evolve(
            session,
            source_language=session.source_language if source is None else _source(source),
            target_language=session.target_language if target is None else _target(target),
        ),
        engine,
    )


def spoken(wish: SessionConfig) -> SessionConfig:
    """A session for what is spoken alone: others say what it is translated into. Raises: Refusal."""
    return SessionConfig(_source(wish.source_language), output_modalities=("text",))


def _possible(session: SessionConfig, engine: Engine) -> SessionConfig:
    if not session.target_language and session.source_language != AUTO:
        raise Refusal.of(
            "missing_field", "target_language may be left out with auto only", "session.target_language"
        )
    try:
        engine.check(session)
    except ValueError as wrong:
        raise Refusal.of("unsupported_language", str(wrong), "session.target_language") from None
    return session


def _source(tag: str) -> str:
    return AUTO if tag.strip().lower() == AUTO else _language(tag, "session.source_language")


def _target(tag: str) -> str:
    return _language(tag, "session.target_language")


def _language(tag: str, param: str) -> str:
    try:
        return service_language(tag[:40])
    except ValueError:
        message = f"{tag[:40]!r} is not supported; there is {', '.join(LANGUAGES)}"
        raise Refusal.of("unsupported_language", message, param) from None


def _modalities(wish: SessionConfig) -> tuple[str, ...]:
    """Those asked for, once each, in the usual order."""
    unknown = [each for each in wish.output_modalities if each not in MODALITIES]
    if unknown or not wish.output_modalities:
        came = f"{unknown[0][:40]!r}" if unknown else "none"
        raise Refusal.of(
            "unsupported_modality",
            f"output_modalities are text, audio, or both, not {came}",
            "session.output_modalities",
        )
    return tuple(each for each in MODALITIES if each in wish.output_modalities)


def _candidates(wish: SessionConfig) -> tuple[str, ...]:
    param = "session.source_language_candidates"
    if len(wish.source_language_candidates) > CANDIDATES_LIMIT:
        raise Refusal.of("too_many_candidates", f"at most {CANDIDATES_LIMIT} candidates", param)
    return tuple(_language(each, param) for each in wish.source_language_candidates)


def _setup(wish: SessionConfig) -> str | None:
    if wish.speaker_setup is not None and wish.speaker_setup not in SPEAKER_SETUPS:
        raise Refusal.of(
            "unsupported_speaker_setup",
            f"speaker_setup must be {' or '.join(SPEAKER_SETUPS)}",
            "session.speaker_setup",
        )
    return wish.speaker_setup
