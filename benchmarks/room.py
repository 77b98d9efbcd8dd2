"""What a room carries: one speaker, and hundreds of listeners with captions and the interpreter's voice.

The server is a process of its own (`dragoman serve --room`), its listeners are two more. A delay is the time from
sending the last 100 ms of an utterance to its caption, and to the first of its sound, at each listener. Added is
what it is more than with one listener. One row has a listener besides who reads nothing at all. On a machine that
is shared the p99 is that of its stalls, which hit all listeners of an utterance at once; so there is also the
typical p99: the median, over the utterances, of the p99 among the listeners of each.

    python -m benchmarks.room [--json] [--listeners 1,100,300] [--seconds 20]
        [--local [--recording FILE] [--source es-es] [--languages en-us,pt-br]]

`--local` measures the offline engine instead, on a recording (the Spanish sample) at the pace of speech, one
listener a language; its figures are the server's own, from /metrics: seconds after the end of an utterance.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import soundfile
import soxr
from websockets.asyncio.client import connect

from benchmarks.measure import show
from benchmarks.serve import MESSAGE, MESSAGE_S, SAMPLE, UTTERANCE, cpu_s, in_ms
from stages.translate.realtime.codec import dump_client
from stages.translate.realtime.events import Append

PROCESSES = 2
"""Of listeners: one core could not read for three hundred."""
PARTS = ("p50", "p99", "typical p99")
ROOM = ["--room", "benchmark", "--room-open", "--no-qr", "--port", "0"]
MANY = ["--max-listeners", "5000", "--max-listeners-per-address", "5000", "--max-opening", "5000"]


# --- the server -----------------------------------------------------------------------------------------------


class Server:
    """A room that is served: its process and its addresses."""

    def __init__(self, process: asyncio.subprocess.Process, room: str, key: str) -> None:
        self.process, self.key = process, key
        self.room = room.replace("http", "ws", 1)
        self.metrics = room.partition("/r/")[0] + "/metrics"

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1])

    def figures(self) -> str:
        with urllib.request.urlopen(self.metrics) as answer:
            text: str = answer.read().decode()
            return text


@asynccontextmanager
async def served(*options: str) -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        command = ["pipeline", "serve", *ROOM, *MANY, "--rooms-file", f"{folder}/rooms.json", *options]
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, stderr=-1)
        assert process.stderr is not None
        told = ""
        while not (found := re.search(r"(https?://\S+/r/[^/\s]+)/speak\?key=(\S+)", told)):
            line = await process.stderr.readline()
            assert line, told
            told += line.decode()
        draining = asyncio.create_task(process.stderr.read())
        try:
            yield Server(process, found[1], found[2])
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()
            await draining


# --- the people -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def listeners(server: Server, number: int, languages: str, *flags: str) -> AsyncIterator[dict[str, Any]]:
    """So many in one process, from when all are in; what came to them is in what this gives, once it is over."""
    command = ["benchmarks.room_listeners", f"{server.room}/listen-socket", str(number), languages, *flags]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, stdin=-1, stdout=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    came: dict[str, Any] = {}
    try:
        yield came
    finally:
        process.stdin.close()
        came.update(json.loads(await process.stdout.read() or b"{}"))
        await process.wait()


async def speak(server: Server, messages: Sequence[str], source: str = "en-us") -> list[float]:
    """Say `messages`, each when it would have been spoken; when each was sent."""
    opening = {
        "type": "session.update",
        "session": {"source_language": source, "mode": "fast", "output_modalities": ["text"]},
        "auth": {"api_key": server.key},
    }
    sent: list[float] = []
    url = f"{server.room}/speak-socket"
    async with connect(url, compression=None, max_queue=None, proxy=None) as connection:
        await connection.send(json.dumps(opening))
        while "session.created" not in (frame := str(await connection.recv())):
            assert '"error"' not in frame, frame
        reading = asyncio.create_task(read_on(connection))
        begin = time.perf_counter()
        for number, message in enumerate(messages, start=1):
            await asyncio.sleep(max(0.0, begin + number * MESSAGE_S - time.perf_counter()))
            sent.append(time.perf_counter())
            await connection.send(message)
        await asyncio.sleep(2.0)
        reading.cancel()
    return sent


async def read_on(connection: Any) -> None:
    async for _ in connection:
        pass


# --- what is measured -----------------------------------------------------------------------------------------


async def carried(number: int, seconds: float, *, voice: bool, stalled: bool) -> dict[str, Any]:
    """One room with `number` listeners: their delays, and what they cost."""
    messages = [MESSAGE] * (int(seconds / MESSAGE_S) // UTTERANCE * UTTERANCE)
    flags = ["--voice"] if voice else []
    options = ["--engine", "echo", "--room-source", "en-us", "--room-languages", "pt-br"]
    async with served(*options) as server:
        async with listeners(server, 1, "pt-br", *flags):
            await speak(server, messages[: 2 * UTTERANCE])  # what is loaded for the first is nobody's cost
        before_kib = server.rss_kib()
        shares = [(number + turn) // PROCESSES for turn in range(PROCESSES)]
        async with AsyncExitStack() as stack:
            if stalled:
                await stack.enter_async_context(listeners(server, 1, "pt-br", "--stalled"))
            came = [
                await stack.enter_async_context(listeners(server, share, "pt-br", *flags))
                for share in shares
                if share
            ]
            joined_kib = server.rss_kib()
            begin, before_s = time.perf_counter(), cpu_s(server.process.pid)
            sent = await speak(server, messages)
            load = (cpu_s(server.process.pid) - before_s) / (time.perf_counter() - begin)
            spoken_kib = server.rss_kib()
    captions, sounds = (delays(came, what, sent) for what in ("captions", "sounds"))
    due = number * len(captions)
    return {
        "listeners": f"{number} and one stalled" if stalled else str(number),
        "caption": summed(captions),
        "sound": summed(sounds) if voice else None,
        "cut off": sum(each["broken"] for each in came),
        "captions lost": due - sum(map(len, captions)),
        "sounds lost": due - sum(map(len, sounds)) if voice else 0,
        "KiB each, joined": (joined_kib - before_kib) / number,
        "KiB each, at the end": (spoken_kib - before_kib) / number,
        "server, cores": load,
        "clients, cores": sum(each["cpu_s"] for each in came) / seconds,
    }


def delays(came: Sequence[Mapping[str, Any]], what: str, sent: Sequence[float]) -> list[list[float]]:
    """From the last of an utterance to what came of it, for each utterance at all listeners, after the warm-up."""
    begin = sent[0]
    ends_ms = {place: ms for each in came for place, ms in each["ends_ms"].items()}
    first_ms = min(
        (ms for each in came for place, ms in each["ends_ms"].items() if max(each["captions"][place]) > begin),
        default=0,
    )
    offset_ms = first_ms - round(UTTERANCE * MESSAGE_S * 1000)
    found: dict[str, list[float]] = {}
    for each in came:
        for place, times in each[what].items():
            last = (ends_ms[place] - offset_ms) // 100 - 1 if place in ends_ms else -1
            if 0 <= last < len(sent):
                found.setdefault(place, []).extend(moment - sent[last] for moment in times)
    return list(found.values())


def summed(found: Sequence[Sequence[float]]) -> dict[str, float]:
    """All delays in milliseconds, and those of a typical utterance."""
    typical = statistics.median(sorted(each)[int(0.99 * len(each))] for each in found)
    return {**in_ms([delay for each in found for delay in each]), "typical p99 ms": typical * 1e3}


def delay_row(measured: Mapping[str, Any], alone: Mapping[str, Any]) -> dict[str, Any]:
    """Delays in milliseconds, and what is more than with one listener."""
    told: dict[str, Any] = {"listeners": measured["listeners"]}
    for what in ("caption", "sound"):
        if (now := measured[what]) is not None:
            told |= {f"{what} {name}": now[f"{name} ms"] for name in PARTS}
            told |= {f"{what} added {name}": now[f"{name} ms"] - alone[what][f"{name} ms"] for name in PARTS}
    return told


def cost_row(measured: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in measured.items() if name not in ("caption", "sound")}


async def carried_by(counts: Sequence[int], seconds: float, *, voice: bool) -> None:
    what = "Captions and the voice" if voice else "Captions alone"
    busy = about()
    measured = [await carried(count, seconds, voice=voice, stalled=False) for count in counts]
    measured.append(await carried(counts[-1], seconds, voice=voice, stalled=True))
    show(f"{what}: delays in ms {busy}", [delay_row(each, measured[0]) for each in measured])
    show(f"{what}: costs", [cost_row(each) for each in measured])


async def local(recording: Path, source: str, languages: str) -> list[dict[str, Any]]:
    """The offline engine: one recognition, `languages` made of it, each with its voice."""
    samples, rate = soundfile.read(recording, dtype="float32")
    pcm = (soxr.resample(samples, rate, 24000) * 32767).astype("<i2").tobytes() + bytes(2 * 24000)
    messages = [dump_client(Append(pcm[begin : begin + 4800])) for begin in range(0, len(pcm), 4800)]
    number = len(languages.split(","))
    async with (
        served("--engine", "local", "--room-source", source, "--room-languages", languages) as server,
        listeners(server, number, languages, "--voice") as came,
    ):
        begin, before_s = time.perf_counter(), cpu_s(server.process.pid)
        await speak(server, messages, source)
        await asyncio.sleep(8.0)  # what was said last is still spoken
        load = (cpu_s(server.process.pid) - before_s) / (time.perf_counter() - begin)
        figures, rss_kib = server.figures(), server.rss_kib()
    return [
        {
            "languages": languages,
            "captions": sum(map(len, came["captions"].values())),
            "sounds": sum(map(len, came["sounds"].values())),
            "shown p50 s": lag(figures, "shown", "0.5"),
            "shown p95 s": lag(figures, "shown", "0.95"),
            "heard p50 s": lag(figures, "heard", "0.5"),
            "heard p95 s": lag(figures, "heard", "0.95"),
            "load, cores": load,
            "memory, MiB": rss_kib / 1024,
        }
    ]


def lag(figures: str, until: str, quantile: str) -> float:
    """From the arrival of the end of speech; the server's own figure."""
    lines = [line for line in figures.splitlines() if line.startswith("dragoman_room_lag_seconds{")]
    found = [line for line in lines if f'until="{until}"' in line and f'quantile="{quantile}"' in line]
    return float(found[0].rpartition(" ")[2]) if found else float("nan")


def about() -> str:
    """How busy the machine is: the figures of one that is shared are worth so much."""
    return f"({os.cpu_count()} cores, load average before {os.getloadavg()[0]:.1f})"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--recording", type=Path, default=SAMPLE.with_name("es_demo.flac"))
    parser.add_argument("--source", default="es-es")
    parser.add_argument("--languages", default="en-us,pt-br")
    parser.add_argument("--listeners", default="1,100,300")
    parser.add_argument("--seconds", type=float, default=20.0)
    wishes = parser.parse_args()
    if wishes.local:
        title = f"A room with the offline engine, at the pace of speech {about()}"
        show(title, await local(wishes.recording, wishes.source, wishes.languages))
        return
    counts = [int(count) for count in wishes.listeners.split(",") if count]
    for voice in (False, True):
        await carried_by(counts, wishes.seconds, voice=voice)


if __name__ == "__main__":
    asyncio.run(main())
