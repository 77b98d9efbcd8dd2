"""Ten minutes of 48 kHz stereo float WAV to 24 kHz mono PCM16 WAV, in times real time and peak memory.

Peers in the same run, each in a process of its own: soxr in one call with soundfile on both sides, and `sox` and
`ffmpeg` where they are installed.

    python -m benchmarks.file [--json] [--minutes 10]
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import show

BLOCK_MS = 100


def dragoman(source: str, target: str, backend: str = "asyncio") -> None:
    import anyio

    from pipeline.graph import Graph
    from pipeline.runner import run
    from stages.chunk import Chunk
    from stages.file import File
    from stages.resample import Resample
    from stages.wav import Wav

    graph = Graph().add("file", File(path=Path(source), block_ms=BLOCK_MS))
    graph.add("pcm", Resample(rate=24000, channels=1), "file").add("blocks", Chunk(ms=BLOCK_MS), "pcm")
    report = anyio.run(run, graph.add("wav", Wav(path=Path(target)), "blocks"), backend=backend)
    assert report.balanced
    assert not report.lost


def dragoman_trio(source: str, target: str) -> None:
    dragoman(source, target, "trio")


def soxr_once(source: str, target: str) -> None:
    import soundfile
    import soxr

    samples, rate = soundfile.read(source, dtype="float32")
    mono = soxr.resample(samples.mean(axis=1), rate, 24000)
    soundfile.write(target, mono, 24000, subtype="PCM_16")


def sox(source: str, target: str) -> None:
    subprocess.run(["sox", source, "-r", "24000", "-c", "1", "-b", "16", target], check=True)


def ffmpeg(source: str, target: str) -> None:
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-i",
        source,
        "-ar",
        "24000",
        "-ac",
        "1",
        "-c:a",
        "pcm_s16le",
        target,
    ]
    subprocess.run(command, check=True)


WAYS = {way.__name__: way for way in (dragoman, dragoman_trio, soxr_once, sox, ffmpeg)}


def make_source(path: Path, minutes: float) -> None:
    """Pink-ish noise: something to filter, and the same every time."""
    import numpy as np
    import soundfile

    dice = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", 48000, 2, "FLOAT") as sound:
        for _ in range(round(minutes * 60)):
            sound.write((dice.standard_normal((48000, 2)) * 0.1).astype(np.float32))


def measure(way: str, source: Path, target: Path, minutes: float) -> dict[str, Any]:
    """Run one way in a process of its own, three times, and keep the middle one."""
    taken = []
    for _ in range(3):
        command = [sys.executable, "-m", "benchmarks.file", "--one", way, str(source), str(target)]
        seconds, peak_mb = map(float, subprocess.check_output(command, text=True).split())
        taken.append((seconds, peak_mb))
    seconds, peak_mb = sorted(taken)[1]
    return {"way": way, "times real time": minutes * 60 / seconds, "peak MB": peak_mb}


def one(way: str, source: str, target: str) -> None:
    """Print the seconds and the peak memory in MB of this process and its children."""
    begin = time.perf_counter()
    WAYS[way](source, target)
    seconds = time.perf_counter() - begin
    who = resource.RUSAGE_CHILDREN if way in ("sox", "ffmpeg") else resource.RUSAGE_SELF
    print(seconds, resource.getrusage(who).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("WAY", "SOURCE", "TARGET"))
    options = parser.parse_args()
    if options.one:
        return one(*options.one)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.wav"
        make_source(source, options.minutes)
        ways = [way for way in WAYS if way not in ("sox", "ffmpeg") or shutil.which(way)]
        rows = [measure(way, source, Path(folder) / f"{way}.wav", options.minutes) for way in ways]
    once = next(row["times real time"] for row in rows if row["way"] == "soxr_once")
    show("file to WAV", [{**row, "against soxr in one call": row["times real time"] / once} for row in rows])
    return None


if __name__ == "__main__":
    main()
