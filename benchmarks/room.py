"""What a room carries: hundreds of listeners on one machine, and one among them that reads nothing.

The server is a process of its own (`dragoman serve --room --engine echo`); this one is its speaker and all its
listeners. A delay is the time from sending the last 100 ms of an utterance to getting its caption.

    python -m benchmarks.room [--json] [--listeners 50,300] [--seconds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from benchmarks.measure import show
from stages.translate.realtime.codec import dump_client
from stages.translate.realtime.events import Append, SessionConfig, SessionUpdate

MESSAGE_S = 0.1
MESSAGE = dump_client(Append(bytes(4800)))
UTTERANCE_MS = 2000
"""The echo engine's."""
LINK = re.compile(r"(listeners|speaker): +http(\S+)/r/([\w-]+)(?:/speak\?key=(\S+))?")


@asynccontextmanager
async def served(listeners: int) -> AsyncIterator[tuple[int, str, str, str]]:
    """A server's process id, base URL, room and speaker's key."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--engine", "echo", "--port", "0", "--room", "--rooms-file", str(Path(folder) / "rooms")]
        limits = ["--max-listeners", str(listeners + 10), "--max-listeners-per-address", str(listeners + 10)]
        command = [sys.executable, "-m", "pipeline", "serve", *options, *limits, "--room-source", "en-us"]
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        assert process.stderr is not None
        said = ""
        while "speaker:" not in said:
            said += (await process.stderr.readline()).decode()
        found = {match[1]: match for match in LINK.finditer(said)}
        try:
            yield process.pid, "ws" + found["speaker"][2], found["speaker"][3], found["speaker"][4]
        finally:
            process.terminate()
            await process.wait()


async def listen(connection: Any, came: list[tuple[int, float]], dropped: list[int]) -> None:
    """Note when each caption comes, by where it ends."""
    async for frame in connection:
        if isinstance(frame, bytes):
            continue
        if frame.startswith('{"type":"caption"'):
            came.append((json.loads(frame)["end_ms"], time.perf_counter()))
        elif '"dropped"' in frame:
            dropped.append(json.loads(frame)["ms"])


async def speak(base: str, room: str, key: str, seconds: float) -> dict[int, float]:
    """Say silence at the pace of speech; when the last message of each utterance went."""
    sent: dict[int, float] = {}
    async with connect(f"{base}/r/{room}/speak-socket", proxy=None, compression=None) as speaker:
        await speaker.send(dump_client(SessionUpdate(opening=SessionConfig("en-us"), api_key=key)))
        while json.loads(await speaker.recv())["type"] != "session.updated":
            pass
        reading = asyncio.create_task(drain(speaker))
        begun = time.perf_counter()
        for number in range(int(seconds / MESSAGE_S)):
            await asyncio.sleep(max(0.0, begun + number * MESSAGE_S - time.perf_counter()))
            await speaker.send(MESSAGE)
            sent[(number + 1) * 100] = time.perf_counter()
        await asyncio.sleep(2.0)
        reading.cancel()
    return {end: when for end, when in sent.items() if end % UTTERANCE_MS == 0}


async def drain(connection: Any) -> None:
    async for _ in connection:
        pass


def stall(base: str, room: str) -> socket.socket:
    """A phone that asks for everything and reads nothing."""
    host, _, port = base.partition("//")[2].rpartition(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    raw.sendall(f"GET /r/{room}/listen-socket HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n{key}\r\n\r\n".encode())
    hello = b'{"type":"hello","languages":["pt-br"],"voice":"pt-br"}'
    raw.sendall(b"\x81" + bytes([0x80 | len(hello)]) + bytes(4) + hello)
    return raw


async def measure(listeners: int, seconds: float, stalled: bool) -> dict[str, Any]:
    """`listeners` in two languages, half of them with the voice."""
    async with served(listeners) as (pid, base, room, key), AsyncExitStack() as stack:
        bare_mb = memory_mb(pid)
        came = [list[tuple[int, float]]() for _ in range(listeners)]
        dropped = list[int]()
        for number in range(listeners):
            url = f"{base}/r/{room}/listen-socket"
            phone = await stack.enter_async_context(connect(url, proxy=None, compression=None))
            tag = ("pt-br", "es-es")[number % 2]
            wish = {"type": "hello", "languages": [tag], "voice": tag if number % 4 < 2 else None}
            await phone.send(json.dumps(wish))
            stack.callback(asyncio.create_task(listen(phone, came[number], dropped)).cancel)
        await asyncio.sleep(1.0)
        each_kb = (memory_mb(pid) - bare_mb) * 1024 / listeners
        phone_that_stalls = stall(base, room) if stalled else None
        cpu = cpu_s(pid)
        sent = await speak(base, room, key, seconds)
        cpu = (cpu_s(pid) - cpu) / seconds
        if phone_that_stalls is not None:
            phone_that_stalls.close()
    delays = sorted(when - sent[end] for each in came for end, when in each if end in sent)
    return {
        "listeners": listeners,
        "one stalls": "yes" if stalled else "no",
        "captions": len(delays),
        "missing": listeners * len(sent) - len(delays),
        "p50 ms": statistics.median(delays) * 1000,
        "p99 ms": delays[int(len(delays) * 0.99)] * 1000,
        "sound dropped ms": sum(dropped),
        "CPU": cpu,
        "kB a listener": each_kb,
    }


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--listeners", default="1,50,300")
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    rows = [
        asyncio.run(measure(int(number), asked.seconds, stalled))
        for number in asked.listeners.split(",")
        for stalled in (False, True)
    ]
    show("a room with the echo engine", rows)


if __name__ == "__main__":
    main()
