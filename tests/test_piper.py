from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.stage import StageError
from stages.models.piper import Piper
from tests.models_here import needs


@pytest.fixture
def piper(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of piper-tts: a voice that says a second a call, as `length_scale` makes it longer."""

    class Voice:
        config = SimpleNamespace(sample_rate=16000)

        @classmethod
        def load(cls, path: str) -> Voice:
            if "broken" in path:
                raise ValueError("no config\nin there")
            return cls()

        def synthesize(self, text: str, config: Any) -> Any:
            for _sentence in text.split():
                yield SimpleNamespace(audio_float_array=np.ones(int(16000 * config.length_scale), np.float32))

    module = ModuleType("piper")
    module.PiperVoice = Voice  # type: ignore[attr-defined]
    module.SynthesisConfig = lambda length_scale: SimpleNamespace(length_scale=length_scale)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "piper", module)


def voice(folder: Path, name: str) -> Path:
    (folder / f"{name}.onnx").touch()
    (folder / f"{name}.onnx.json").touch()
    return folder / f"{name}.onnx"


@pytest.mark.usefixtures("piper")
def test_each_sentence_comes_at_the_voices_own_rate_and_the_speed_wanted(tmp_path: Path) -> None:
    needs("onnxruntime")
    spoken = Piper.load(voice(tmp_path, "mine"))
    assert spoken.rate == 16000
    assert [len(sound) for sound in spoken.speak("one two", 2.0)] == [8000, 8000]


@pytest.mark.usefixtures("piper")
def test_what_is_no_voice_is_refused_in_one_line(tmp_path: Path) -> None:
    needs("onnxruntime")
    with pytest.raises(StageError, match=r"no Piper voice in .*broken.onnx: no config$"):
        Piper.load(voice(tmp_path, "broken"))
    (tmp_path / "alone.onnx").touch()
    with pytest.raises(StageError, match=r"has no alone.onnx.json beside it"):
        Piper.load(tmp_path / "alone.onnx")


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(StageError, match=r"pip install 'dragoman\[piper\]'"):
        Piper.load(voice(tmp_path, "mine"))
