from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from pipeline.stage import StageError
from stages.models import weights
from stages.models.weights import HIBARI, KOKORO, SILERO, WHISPER_BASE, Weights, installed, package_folder, shared
from tests.models_here import needs


def package(folder: Path, name: str, content: bytes) -> str:
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    (folder / name / "part.bin").write_bytes(content)
    return name


def test_parts_are_joined_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    parts = tuple(
        (package(tmp_path, f"weights_part_{n}", content), "part.bin") for n, content in ((1, b"ab"), (2, b"c"))
    )
    right = Weights("abc", parts, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert right.read() == b"abc"
    wrong = Weights("abc", parts[:1], right.sha256)
    with pytest.raises(StageError, match=r"the weights of abc are not the ones tested.*dragoman\[local\]"):
        wrong.read()


def test_a_missing_package_is_named_with_what_to_install() -> None:
    assert installed("json", "pathlib")
    assert not installed("json", "no_such_package_at_all")
    with pytest.raises(StageError, match=r"no_such_package is not installed: pip install 'dragoman\[voices\]'"):
        package_folder("no_such_package", "voices")


class Model:
    pass


def test_a_model_is_loaded_once_however_many_ask_at_once() -> None:
    loads = []
    first_is_loading, all_have_asked = threading.Event(), threading.Event()

    def load() -> Model:
        loads.append(1)
        first_is_loading.set()
        all_have_asked.wait(5)
        return Model()

    found: list[Model] = []
    threads = [threading.Thread(target=lambda: found.append(shared("test/once", load))) for _ in range(4)]
    for thread in threads:
        thread.start()
    first_is_loading.wait(5)
    all_have_asked.set()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert len({id(model) for model in found}) == 1


def test_a_model_that_nobody_holds_is_let_go() -> None:
    shared("test/freed", Model)
    gc.collect()
    assert "test/freed" not in weights._models


@pytest.mark.models
@pytest.mark.parametrize("known", [WHISPER_BASE, SILERO, HIBARI, KOKORO], ids=lambda known: known.name.split()[0])
def test_the_packages_hold_the_weights_that_were_tested(known: Weights) -> None:
    needs(*(name for name, _ in known.parts))
    assert len(known.read()) > 10**6
