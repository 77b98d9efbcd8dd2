"""Many listeners of a room in one process, which do as little as they can: for `benchmarks.room`.

It prints a line when all of them are in, reads captions and sound until its standard input is closed, and then
prints what came, as JSON: for each utterance, when it came to whom.

    python -m benchmarks.room_listeners URL NUMBER LANGUAGE,LANGUAGE [--voice] [--stalled]

Times are those of `time.perf_counter`, which on Linux is one clock for all processes.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from collections import defaultdict
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect

CAPTION = re.compile(r'"type": ?"caption"')
UTTERANCE = re.compile(r'"utterance": ?(\d+)')
END_MS = re.compile(r'"end_ms": ?(\d+)')
BEGIN = re.compile(r'"event": ?"begin"')
DROPPED = re.compile(r'"event": ?"dropped".*"ms": ?(\d+)')
MISSED = re.compile(r'"type": ?"missed"')


class Log:
    """What came to all listeners of this process, by language and utterance."""

    def __init__(self) -> None:
        self.captions: dict[str, list[float]] = defaultdict(list)
        self.sounds: dict[str, list[float]] = defaultdict(list)
        self.ends_ms: dict[str, int] = {}
        self.missed = self.dropped_ms = self.sound_bytes = 0


async def listen(url: str, language: str, voice: bool, log: Log, ready: asyncio.Semaphore) -> None:
    """One listener, until it is cancelled."""
    hello = {"type": "hello", "languages": [language], "voice": language if voice else None}
    began = ""
    async with connect(url, compression=None, max_queue=None, proxy=None, ping_interval=None) as connection:
        await connection.send(json.dumps(hello))
        while '"ready"' not in str(await connection.recv()):
            pass
        ready.release()
        async for frame in connection:
            if isinstance(frame, bytes):
                log.sound_bytes += len(frame)
                if began:
                    log.sounds[began].append(time.perf_counter())
                    began = ""
            elif CAPTION.search(frame, 0, 40):
                log_caption(frame, language, log)
            elif BEGIN.search(frame):
                began = place(frame, language)
            elif dropped := DROPPED.search(frame):
                log.dropped_ms += int(dropped[1])
            elif MISSED.search(frame, 0, 40):
                log.missed += 1


def place(frame: str, language: str) -> str:
    found = UTTERANCE.search(frame)
    assert found is not None, frame
    return f"{language} {found[1]}"


def log_caption(frame: str, language: str, log: Log) -> None:
    now, key = time.perf_counter(), place(frame, language)
    log.captions[key].append(now)
    if key not in log.ends_ms:
        found = END_MS.search(frame)
        assert found is not None, frame
        log.ends_ms[key] = int(found[1])


async def stall(url: str, language: str) -> None:
    """A listener that asks for everything and reads nothing: its phone is in a lift."""
    parts = urlsplit(url)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect((parts.hostname, parts.port))
    plain.setblocking(False)
    async with connect(
        url, sock=plain, compression=None, max_queue=1, proxy=None, ping_interval=None
    ) as connection:
        await connection.send(json.dumps({"type": "hello", "languages": [language], "voice": language}))
        print("ready", flush=True)
        await until_told()


async def until_told() -> None:
    """Wait for the end of standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def main(url: str, number: int, languages: list[str], voice: bool) -> None:
    log, ready = Log(), asyncio.Semaphore(0)
    tasks: list[asyncio.Task[Any]] = []
    for each in range(number):
        language = languages[each % len(languages)]
        tasks.append(asyncio.create_task(listen(url, language, voice, log, ready)))
        if each % 20 == 19:
            await asyncio.sleep(0.05)  # a hall fills in seconds, not at once
    for _ in range(number):
        await asyncio.wait_for(ready.acquire(), 300)
    print("ready", flush=True)
    await until_told()
    broken = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps({**vars(log), "broken": broken, "cpu_s": time.process_time()}))


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    if "--stalled" in sys.argv:
        asyncio.run(stall(words[0], words[2]))
    else:
        asyncio.run(main(words[0], int(words[1]), words[2].split(","), "--voice" in sys.argv))
