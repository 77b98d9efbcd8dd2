from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.stage import StageError
from stages.models import kokoro, kokoro_graph
from stages.models.kokoro import VOICES, KokoroVoice, symbols, symbols_of
from stages.models.weights import KOKORO
from tests.models_here import needs


def test_the_voices_are_those_of_the_notice() -> None:
    notice = (VOICES / "NOTICE").read_text(encoding="utf-8")
    voices = sorted(VOICES.glob("*.bin"))
    assert [voice.stem for voice in voices] == ["ef_dora", "pf_dora", "pm_alex"]
    for voice in voices:
        assert f"{hashlib.sha256(voice.read_bytes()).hexdigest()}  {voice.name}" in notice
        assert voice.stat().st_size == 510 * 256 * 4


def test_symbols_have_the_numbers_of_the_model() -> None:
    known = {
        ";": 1,
        ".": 4,
        "—": 9,
        " ": 16,
        "A": 24,
        "O": 31,
        "a": 43,
        "z": 68,
        "ɐ": 70,
        "ʤ": 82,
        "ˈ": 156,
        "ᵻ": 177,
    }
    assert {symbol: kokoro._NUMBERS[symbol] for symbol in known} == known
    assert len(kokoro._NUMBERS) == 114


@pytest.mark.models
@pytest.mark.parametrize(
    ("text", "voice", "sounds"),
    [
        (
            "Olá, bem-vindo à demonstração do sistema de tradução.",
            "pt-br",
            "olˈa, bˈAŋvˈiŋdw ˌaː dˌemoŋstrasˈɐ̃ʊ̃ dʊ sˌistˈemæ ʤy trˌadusˈɐ̃ʊ̃.",
        ),
        ("¿Qué hora es? Son las tres; ¡vámonos!", "es", "kˈe ˈoɾa ˈes? sˈon las tɾˈes; bˈamonos!"),
        ("Às 7:30.", "pt-br", "aːs sˈɛʧy trˈiŋtæ."),
        ("", "pt-br", ""),
    ],
)
def test_text_becomes_sounds_as_the_model_was_taught(text: str, voice: str, sounds: str) -> None:
    """The first two as misaki's EspeakG2P gives them (inverted marks are no symbols of the model's)."""
    needs("espeakng_loader")
    assert symbols(text, voice) == sounds


@pytest.mark.models
def test_long_texts_come_in_pieces_that_bound_the_memory() -> None:
    needs("espeakng_loader")
    endless = "uma coisa e outra coisa " * 100
    found = list(symbols_of(f"Sim. {endless}", "pt-br"))
    assert found[0].startswith("s")
    assert all(len(piece) <= 250 for piece in found)
    assert sum(piece.count("kˈo") for piece in found) > 150


def test_a_file_that_is_no_voice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.bin").write_bytes(b"123")
    with pytest.raises(StageError, match="no Kokoro voice in"):
        KokoroVoice.load(tmp_path / "odd.bin", "pt-br")


@pytest.mark.models
@pytest.mark.parametrize("signed", [True, False])
def test_the_quicker_graph_says_the_same(signed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(*kokoro.MODEL_PACKAGES)
    import onnxruntime

    spoken = symbols("Cada compra é um voto.", "pt-br")
    style = np.fromfile(VOICES / "pf_dora.bin", np.float32).reshape(-1, 1, 256)[len(spoken)]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    plain = kokoro.Kokoro(onnxruntime.InferenceSession(KOKORO.read(), options)).sound(spoken, style, 1.0)
    monkeypatch.setattr(kokoro_graph, "_multiplies_signed_bytes", lambda: signed)
    quick = kokoro.Kokoro._load(1).sound(spoken, style, 1.0)
    assert len(quick) == len(plain)
    # The voice's noise is drawn at random, so only loudness over time can be compared.
    assert np.corrcoef(_loudness(plain), _loudness(quick))[0, 1] > 0.98


def _loudness(sound: np.ndarray[tuple[int], np.dtype[np.float32]]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.sqrt(np.square(sound[: len(sound) // 600 * 600].reshape(-1, 600)).mean(axis=1))
