from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.stage import StageError
from stages.models.ct2_translation import Ct2Translation
from tests.models_here import needs

WORDS = ("one two three four five six seven", "um dois três quatro cinco seis sete")


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    """A SentencePiece model of a few words."""
    needs("ctranslate2", "sentencepiece")
    import sentencepiece

    (tmp_path / "words.txt").write_text("\n".join(WORDS * 20), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "words.txt"), model_prefix=str(tmp_path / "pieces"), vocab_size=28, minloglevel=2
    )
    return tmp_path / "pieces.model"


WIDTH = 16


def tiny_model(folder: Path, vocabulary: list[str]) -> None:
    """A translation model of one layer with random weights: it says nonsense, and the same each time."""
    import ctranslate2
    import numpy as np

    dice = np.random.default_rng(0)

    def linear(layer: Any, rows: int, columns: int = WIDTH) -> None:
        layer.weight = dice.normal(size=(rows, columns)).astype(np.float32)
        layer.bias = np.zeros(rows, np.float32)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)

    def attention(layer: Any, *sizes: int) -> None:
        norm(layer.layer_norm)
        for part, size in zip(layer.linear, sizes, strict=True):
            linear(part, size * WIDTH)

    spec = ctranslate2.specs.TransformerSpec.from_config(1, 2)
    encoder, decoder = spec.encoder, spec.decoder
    for stack in (encoder, decoder):
        norm(stack.layer_norm)
        attention(stack.layer[0].self_attention, 3, 1)
        norm(stack.layer[0].ffn.layer_norm)
        linear(stack.layer[0].ffn.linear_0, 4 * WIDTH)
        linear(stack.layer[0].ffn.linear_1, WIDTH, 4 * WIDTH)
    attention(decoder.layer[0].attention, 1, 2, 1)
    encoder.embeddings[0].weight = dice.normal(size=(len(vocabulary), WIDTH)).astype(np.float32)
    decoder.embeddings.weight = dice.normal(size=(len(vocabulary), WIDTH)).astype(np.float32)
    linear(decoder.projection, len(vocabulary))
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.validate()
    folder.mkdir(exist_ok=True)
    spec.save(str(folder))


def vocabulary_of(pieces: Path) -> list[str]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    found = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
    return [*found, "eng_Latn", "deu_Latn"]


@pytest.mark.parametrize("layout", ["opus", "argos", "nllb"])
def test_the_usual_layouts_of_a_model_are_understood(layout: str, pieces: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    tiny_model(home / "model" if layout == "argos" else home, vocabulary_of(pieces))
    names = {
        "opus": ("source.spm", "target.spm"),
        "argos": ("sentencepiece.model",),
        "nllb": ("sentencepiece.bpe.model",),
    }
    for name in names[layout]:
        (home / name).write_bytes(pieces.read_bytes())
    model = Ct2Translation.load(home, "en-us", "de-de")
    said = model.translate("one two three")
    assert said == model.translate("one two three")
    assert "deu_Latn" not in said
    if layout == "nllb":
        with pytest.raises(StageError, match="a model of many languages needs one of"):
            Ct2Translation.load(home, "en-us", "it-it")


def test_a_model_without_its_pieces_is_refused(pieces: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    tiny_model(home, vocabulary_of(pieces))
    with pytest.raises(StageError, match=r"has no SentencePiece file: one of source.spm"):
        Ct2Translation.load(home, "en-us", "de-de")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    needs("ctranslate2")
    with pytest.raises(StageError, match=f"no CTranslate2 translation model in {tmp_path}"):
        Ct2Translation.load(tmp_path, "en-us", "de-de")
