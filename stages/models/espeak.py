"""espeak-ng through ctypes: what a sentence sounds like in the phonetic alphabet, or, as a last resort, as sound.

The library keeps its state in globals: two threads inside it at once crash the process, so every call holds
one lock. It is GPL-3 and stays a package of its own, loaded only where a voice needs it.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pipeline.items import Samples
from pipeline.stage import StageError
from stages.models.weights import package_folder

__all__ = ["RATE", "EspeakVoice", "phonemes", "speak"]

RATE = 22050

_lock = threading.Lock()

# Constants of espeak-ng's speak_lib.h.
_OUTPUT_SYNCHRONOUS = 2
_CHARS_UTF8 = 1
_IPA = 0x02
_TIE = 0x80
_PARAMETER_RATE = 1
_NORMAL_WORDS_PER_MINUTE = 175

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_PUNCTUATION = re.compile(r"""(\s*[;:,.!?¡¿—…"«»“”()\[\]{}。！？、，；：]+(?=\s|$)\s*|\s*[¡¿"«“(\[{]+)""")
_LANGUAGE_SWITCH = re.compile(r"\([a-z-]+\)")


@cache
def _library() -> ctypes.CDLL:
    """The initialised library; it exists once a process, as its state does."""
    folder = package_folder("espeakng_loader", "voices")
    found = [folder / name for name in ("libespeak-ng.so", "libespeak-ng.dylib", "espeak-ng.dll")]
    path = next((path for path in found if path.exists()), None)
    if path is None:
        raise StageError(f"espeak-ng has no library for this system in {folder}: reinstall 'dragoman[voices]'")
    library = ctypes.CDLL(str(path))
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    data: Path = folder / "espeak-ng-data"
    if library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 60, str(data.parent).encode(), 0) < 0:
        raise StageError(f"espeak-ng cannot read its data in {data}: reinstall 'dragoman[voices]'")
    return library


def _use(library: ctypes.CDLL, voice: str) -> None:
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise StageError(f"espeak-ng has no voice {voice!r}")


def phonemes(text: str, voice: str, tie: str) -> str:
    """`text` in the International Phonetic Alphabet, punctuation kept, sounds of one symbol tied by `tie`."""
    parts = _PUNCTUATION.split(text)
    with _lock:
        library = _library()
        _use(library, voice)
        spoken = [part if index % 2 else _clause(library, part, tie) for index, part in enumerate(parts)]
    return "".join(spoken).strip()


def _clause(library: ctypes.CDLL, text: str, tie: str) -> str:
    if not text.strip():
        return text
    rest = ctypes.c_char_p(text.encode())
    found = []
    while rest.value is not None:
        piece = library.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, _IPA | _TIE | ord(tie) << 8)
        found.append((piece or b"").decode().strip())
    return _LANGUAGE_SWITCH.sub("", " ".join(found)).strip()


def speak(text: str, voice: str, speed: float) -> Samples:
    """`text` as mono sound of shape (frames,) at 22050 Hz, spoken `speed` times as fast as usual."""
    blocks: list[Samples] = []

    def keep(sound: ctypes._Pointer[ctypes.c_short], frames: int, _events: int | None) -> int:
        if sound and frames > 0:
            blocks.append(np.ctypeslib.as_array(sound, (frames,)).copy())
        return 0

    callback = _Callback(keep)
    encoded = text.encode()
    with _lock:
        library = _library()
        _use(library, voice)
        library.espeak_SetSynthCallback(callback)
        library.espeak_SetParameter(_PARAMETER_RATE, round(_NORMAL_WORDS_PER_MINUTE * speed), 0)
        library.espeak_Synth(encoded, len(encoded) + 1, 0, 0, 0, _CHARS_UTF8, None, None)
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)


@frozen
class EspeakVoice:
    """espeak-ng as a voice. Outside English a listener barely understands it: the fallback, not the product."""

    _voice: str
    rate: int = RATE

    def speak(self, text: str, speed: float) -> Iterator[NDArray[np.float32]]:
        """`text` as sound at 22050 Hz (full scale 1.0), all at once: it takes a millisecond."""
        yield speak(text, self._voice, speed).astype(np.float32) / np.float32(32768)
