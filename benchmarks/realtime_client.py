"""What a message costs the realtime client, beside bare `websockets` with the standard library's json.

CPU seconds of this process alone: the service is another process. Sent are 100 ms of audio, as base64 in JSON;
received are a text delta and 400 ms of audio in a binary frame. Bare means `recv`, `json.loads` and nothing else:
no types, no order of states, no handlers.

    python -m benchmarks.realtime_client [--json]
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import anyio

from benchmarks.measure import show
from stages.translate.realtime import ServerEventType, connect

MESSAGES = 3000
ROUNDS = 5
CHUNK = bytes(range(256)) * 18 + bytes(192)
SERVER = """
import asyncio, json, sys
from websockets.asyncio.server import serve
async def talk(socket):
    session = json.loads(await socket.recv())["session"]
    await socket.send(json.dumps({"type": "session.created", "session": {"id": "s", **session}}))
    count = 0
    async for frame in socket:
        if "ignore" in frame[:60]:
            for _ in range(int(sys.argv[1])):
                await socket.send('{"type": "response.text.delta", "delta": "hello "}')
                await socket.send(bytes(19200))
            await socket.send('{"type": "response.audio.done"}')
            continue
        count += 1
        if count == int(sys.argv[1]):
            await socket.send('{"type": "response.audio.done"}')
            count = 0
async def main():
    async with serve(talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()
asyncio.run(main())
"""
Measure = Callable[[str, str], Awaitable[tuple[float, float]]]


async def bare(url: str, backend: str) -> tuple[float, float]:
    """Microseconds of CPU a message sent, and a pair of messages received."""
    connect_bare = importlib.import_module(f"websockets.{backend}.client").connect
    async with connect_bare(url, compression=None, max_size=None) as socket:
        await socket.send(
            json.dumps({"type": "session.update", "session": {"mode": "fast", "source_language": "a"}})
        )
        await socket.recv()
        began = time.process_time()
        for _ in range(MESSAGES):
            audio = base64.b64encode(CHUNK).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        sent = time.process_time() - began
        await socket.recv()
        await socket.send('{"type": "input_audio_buffer.ignore_for_language_detection", "item_id": "1"}')
        began = time.process_time()
        while True:
            frame = await socket.recv()
            if isinstance(frame, str) and json.loads(frame)["type"] == "response.audio.done":
                break
        return per(sent), per(time.process_time() - began)


async def ours(url: str, backend: str) -> tuple[float, float]:
    """The same by a session, with a handler for audio and one for text."""
    heard = anyio.Event()
    session = await connect(source_language="en", target_language="pt", api_key="k", base_url=url)
    session.on(ServerEventType.AUDIO_DELTA, lambda event: len(event.data))
    session.on(ServerEventType.TEXT_DELTA, lambda event: len(event.delta))
    session.on(ServerEventType.AUDIO_DONE, lambda event: heard.set())
    async with session:
        await session.wait_until_ready()
        began = time.process_time()
        for _ in range(MESSAGES):
            await session.send_audio(CHUNK)
        sent = time.process_time() - began
        await heard.wait()
        heard = anyio.Event()
        await session.ignore_utterance_for_language_detection("say")
        began = time.process_time()
        await heard.wait()
        return per(sent), per(time.process_time() - began)


def per(seconds: float) -> float:
    return seconds / MESSAGES * 1e6


@asynccontextmanager
async def service() -> AsyncIterator[str]:
    async with await anyio.open_process([sys.executable, "-c", SERVER, str(MESSAGES)], stderr=None) as process:
        assert process.stdout is not None
        port = int(await process.stdout.receive())
        yield f"ws://127.0.0.1:{port}"
        process.terminate()


async def medians(measure: Measure, backend: str) -> list[float]:
    async with service() as url:
        rounds = [await measure(url, backend) for _ in range(ROUNDS)]
    return [round(median(times), 1) for times in zip(*rounds, strict=True)]


def main() -> None:
    rows: list[dict[str, Any]] = []
    for backend in ("asyncio", "trio"):
        bare_us, ours_us = (anyio.run(medians, way, backend, backend=backend) for way in (bare, ours))
        for name, (sent, received) in (("bare websockets", bare_us), ("session", ours_us)):
            row = {"backend": backend, "way": name, "us sent": sent, "against bare": sent / bare_us[0]}
            rows.append({**row, "us received": received, "against bare ": received / bare_us[1]})
    show("realtime client", rows)


if __name__ == "__main__":
    main()
