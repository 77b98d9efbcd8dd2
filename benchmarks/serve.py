"""What the server carries: CPU a message, echo sessions at the pace of speech, and bystanders that do not disturb.

The server is a process of its own (`dragoman serve`); this one is all its clients. A delay is the time from
sending the last 100 ms of an utterance to getting the whole text of its translation.

    python -m benchmarks.serve [--json] [--sessions 50,100,200] [--seconds 10]
        [--local [--recording FILE]]

`--local` measures the offline engine instead, on a recording (the sample) at the pace of speech; its figures are
the server's own, from /metrics: seconds after an utterance's end.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import signal
import statistics
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import soundfile
import soxr
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from benchmarks.measure import show
from stages.translate.realtime.codec import dump_client
from stages.translate.realtime.events import Append, SessionConfig, SessionUpdate

MESSAGE_S = 0.1
MESSAGE = dump_client(Append(bytes(4800)))
OPENING = dump_client(SessionUpdate(opening=SessionConfig("en-us", "pt-br")))
UTTERANCE = 20
"""Messages in one of the echo engine's utterances, of two seconds."""
SAMPLE = Path(__file__).parents[1] / "graphs" / "samples" / "en_demo.flac"
MANY = ["--max-sessions", "2000", "--max-sessions-per-address", "2000", "--max-opening", "2000"]


# --- servers ------------------------------------------------------------------------------------------------


async def bare() -> None:
    """The least that a server can do: read JSON, decode the audio, send it back. Prints its port."""

    async def handler(connection: Any) -> None:
        heard = 0
        async for frame in connection:
            message = json.loads(frame)
            if message["type"] == "session.update":
                await connection.send('{"type": "session.created"}')
                continue
            await connection.send(base64.b64decode(message["audio"]))
            heard += 1
            if heard % UTTERANCE == 0:
                await connection.send('{"type": "response.text.done", "text": "..."}')

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        print(
            f"serving ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime", file=sys.stderr, flush=True
        )
        await server.serve_forever()


@asynccontextmanager
async def process(*command: str) -> AsyncIterator[tuple[int, str]]:
    """A server as a process: its number and its address."""
    running = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, stderr=asyncio.subprocess.PIPE)
    assert running.stderr is not None
    line = (await running.stderr.readline()).decode()
    found = re.search(r"wss?://\S+", line)
    assert found, line
    try:
        yield running.pid, found[0]
    finally:
        running.send_signal(signal.SIGTERM)
        await running.wait()


def cpu_s(pid: int) -> float:
    """What a process has cost so far, to 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- clients ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def session(url: str) -> AsyncIterator[Any]:
    async with connect(url, compression=None, max_queue=None, proxy=None) as connection:
        await connection.send(OPENING)
        async for frame in connection:
            if "session.created" in frame:
                break
        yield connection


async def speak(url: str, messages: int, begin: float, delays: list[float]) -> None:
    """One session that says `messages` from `begin` on, each when it would have been spoken."""
    async with session(url) as connection:
        asked: list[float] = []
        listener = asyncio.create_task(listen(connection, messages // UTTERANCE, asked, delays))
        for number in range(1, messages + 1):
            await asyncio.sleep(max(0.0, begin + number * MESSAGE_S - time.perf_counter()))
            if number % UTTERANCE == 0:
                asked.append(time.perf_counter())
            await connection.send(MESSAGE)
        await listener


async def listen(connection: Any, utterances: int, asked: Sequence[float], delays: list[float]) -> None:
    answered = 0
    async for frame in connection:
        if isinstance(frame, str) and "response.text.done" in frame:
            delays.append(time.perf_counter() - asked[answered])
            answered += 1
            if answered == utterances:
                return


async def speak_all(url: str, sessions: int, seconds: float) -> list[float]:
    """The delays of so many sessions, which do not all speak in step."""
    delays: list[float] = []
    messages = int(seconds / MESSAGE_S) // UTTERANCE * UTTERANCE
    begin = time.perf_counter() + 0.5 + sessions * 0.005
    async with asyncio.TaskGroup() as tasks:
        for number in range(sessions):
            shift = (number * 0.618 % 1) * UTTERANCE * MESSAGE_S
            tasks.create_task(speak(url, messages, begin + shift, delays))
    return delays


# --- what is measured -----------------------------------------------------------------------------------------


async def cost(name: str, *command: str, messages: int = 4000) -> dict[str, Any]:
    """CPU of the server a message, from one session that sends as fast as it can."""
    async with process(*command) as (pid, url), session(url) as connection:

        async def read() -> None:
            answered = 0
            while answered < messages // UTTERANCE:
                answered += "response.text.done" in str(await connection.recv())[:40]

        reading = asyncio.create_task(read())
        before, begin = cpu_s(pid), time.perf_counter()
        for _ in range(messages):
            await connection.send(MESSAGE)
        await reading
        taken, wall = cpu_s(pid) - before, time.perf_counter() - begin
    return {"server": name, "CPU µs a message": taken / messages * 1e6, "messages/s": messages / wall}


async def capacity(counts: Sequence[int], seconds: float) -> list[dict[str, Any]]:
    rows = []
    for count in counts:
        async with process("pipeline", "serve", "--engine", "echo", "--port", "0", *MANY) as (pid, url):
            before, begin = cpu_s(pid), time.perf_counter()
            delays = await speak_all(url, count, seconds)
            load = (cpu_s(pid) - before) / (time.perf_counter() - begin)
        rows.append({"echo sessions": count, **in_ms(delays), "server's load, cores": load})
    return rows


async def disturbance(seconds: float) -> list[dict[str, Any]]:
    """Ten sessions alone, and with 500 idle connections and 50 handshakes that do not come to an end."""
    async with process("pipeline", "serve", "--engine", "echo", "--port", "0", *MANY) as (_, url):
        alone = await speak_all(url, 10, seconds)
        async with AsyncExitStack() as stack:
            for _ in range(500):
                await stack.enter_async_context(session(url))
            host, port = url.removeprefix("ws://").partition("/")[0].split(":")
            for _ in range(50):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET ")
                stack.callback(writer.close)
            crowded = await speak_all(url, 10, seconds)
    return [{"10 sessions": "alone", **in_ms(alone)}, {"10 sessions": "in a crowd", **in_ms(crowded)}]


async def local(counts: Sequence[int], recording: Path) -> list[dict[str, Any]]:
    """Sessions with the offline engine, each with the recording at the pace of speech."""
    samples, rate = soundfile.read(recording, dtype="float32")
    pcm = (soxr.resample(samples, rate, 24000) * 32767).astype("<i2").tobytes()
    chunks = [dump_client(Append(pcm[begin : begin + 4800])) for begin in range(0, len(pcm), 4800)]

    async def talk(url: str, begin: float) -> None:
        async with session(url) as connection:
            reading = asyncio.create_task(until_heard(connection, len(pcm) // 2))
            for number, chunk in enumerate(chunks, start=1):
                await asyncio.sleep(max(0.0, begin + number * MESSAGE_S - time.perf_counter()))
                await connection.send(chunk)
            await reading

    rows = []
    command = ["pipeline", "serve", "--port", "0", "--load", "en-us:pt-br", *MANY]
    for count in counts:
        async with process(*command) as (pid, url):
            begin = time.perf_counter() + 1
            before = cpu_s(pid)
            async with asyncio.TaskGroup() as tasks:
                for number in range(count):
                    tasks.create_task(talk(url, begin + number * 2.7))
            load = (cpu_s(pid) - before) / (time.perf_counter() - begin)
            address = url.replace("ws://", "http://").removesuffix("/v1/realtime") + "/metrics"
            with urllib.request.urlopen(address) as answer:  # noqa: ASYNC210 - nothing else goes on by now
                figures = answer.read().decode()
        text, sound = (quantiles(figures, f"dragoman_first_{kind}_seconds") for kind in ("text", "audio"))
        rows.append(
            {
                "sessions": count,
                "first text p50 s": text[0],
                "p95 s": text[1],
                "first audio p50 s": sound[0],
                "p95 s ": sound[1],
                "load, cores": load,
            }
        )
    return rows


async def until_heard(connection: Any, frames: int) -> None:
    """Read until all that was said to the end has been answered: as many sounds as texts."""
    texts = sounds = 0
    heard = False
    while not heard or texts != sounds:
        frame = await connection.recv()
        if isinstance(frame, str):
            event = json.loads(frame)
            texts += event["type"] == "response.text.done"
            sounds += event["type"] == "response.audio.done"
            heard = heard or event.get("end_frame", 0) > frames - 48000


def quantiles(figures: str, name: str) -> tuple[float, float]:
    """The bounds of a Prometheus histogram under which 50 % and 95 % lie."""
    found = re.findall(rf'^{name}_bucket{{le="(.+)"}} (.+)$', figures, re.M)
    total = float(found[-1][1])
    p50, p95 = (next(float(le) for le, count in found if float(count) >= total * part) for part in (0.5, 0.95))
    return p50, p95


def in_ms(delays: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(delays, n=100)
    return {"p50 ms": cuts[49] * 1e3, "p99 ms": cuts[98] * 1e3, "worst ms": max(delays) * 1e3}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--recording", type=Path, default=SAMPLE)
    parser.add_argument("--sessions", default="")
    parser.add_argument("--seconds", type=float, default=10.0)
    wishes = parser.parse_args()
    counts = [int(count) for count in wishes.sessions.split(",") if count]
    if wishes.bare:
        await bare()
    elif wishes.local:
        show(
            "The offline engine behind the server, at the pace of speech",
            await local(counts or [1, 2], wishes.recording),
        )
    else:
        rows = [
            await cost("bare websockets", "benchmarks.serve", "--bare"),
            await cost(
                "dragoman serve --engine echo",
                "pipeline",
                "serve",
                "--engine",
                "echo",
                "--port",
                "0",
                "--max-ahead",
                "1e6",
            ),
        ]
        show("CPU of a server for 100 ms of audio: JSON in, the same audio out", rows)
        show("Echo sessions at the pace of speech", await capacity(counts or [50, 100, 200], wishes.seconds))
        show("500 idle connections and 50 slow handshakes", await disturbance(wishes.seconds))


if __name__ == "__main__":
    asyncio.run(main())
