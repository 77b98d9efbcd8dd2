"""Many listeners of a room in one process, which do as little as they can: for `benchmarks.room`.

It prints a line when all of them are in, reads captions and sound until its standard input is closed, and then
prints what came, as JSON: for each utterance, when it came to whom.

    python -m benchmarks.room_listeners URL NUMBER LANGUAGE,LANGUAGE [--voice] [--stalled]

Times are those of `time.perf_counter`, which on Linux is one clock for all processes.
"""

from __future__ import annotations

import asyncio
import base64
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
READY = re.compile(r'"type": ?"ready"')


TEXT, BINARY, PING = 1, 2, 9
"""What frames are (RFC 6455, 5.2)."""


class Log:
    """What came to all listeners of this process, by language and utterance."""

    def __init__(self) -> None:
        self.captions: dict[str, list[float]] = defaultdict(list)
        self.sounds: dict[str, list[float]] = defaultdict(list)
        self.ends_ms: dict[str, int] = {}
        self.missed = self.dropped_ms = self.sound_bytes = 0


class Phone(asyncio.Protocol):
    """A WebSocket that looks at no more of a frame than it has to.

    A library would cost this machine as much for every frame as the server pays for it, and be measured with it.
    """

    def __init__(self, path: str, host: str, hello: bytes, log: Log, ready: asyncio.Semaphore) -> None:
        self.opening = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.opening += f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
        self.opening += "Sec-WebSocket-Version: 13\r\n\r\n"
        self.hello, self.log, self.ready = hello, log, ready
        self.language = json.loads(hello)["languages"][0]
        self.rest = bytearray()
        self.skip = 0
        """Bytes of sound that are still to come and that nobody looks at."""
        self.began = ""
        self.is_open = self.broken = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.opening.encode())

    def connection_lost(self, _error: Exception | None) -> None:
        self.broken = True

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if self.skip >= len(data):
            self.skip -= len(data)
            return
        self.rest += memoryview(data)[self.skip :]
        self.skip = 0
        if not self.is_open:
            head, found, rest = self.rest.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self.is_open, self.rest = True, rest
            self.send(TEXT, self.hello)
        while self.frame(now):
            pass

    def frame(self, now: float) -> bool:
        """Take a frame off the front, if there is one."""
        rest = self.rest
        if len(rest) < 2:
            return False
        kind, size, at = rest[0] & 15, rest[1], 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(rest[2:at], "big")
            if len(rest) < at:
                return False
        if kind == BINARY:
            self.sound(size, now)
            self.skip = max(0, at + size - len(rest))
        elif len(rest) < at + size:
            return False
        elif kind == TEXT:
            self.text(rest[at : at + size].decode(), now)
        elif kind == PING:
            self.send(10, bytes(rest[at : at + size]))
        del rest[: at + size]
        return True

    def send(self, kind: int, payload: bytes) -> None:
        """With a mask of zeros, which changes nothing."""
        size = len(payload)
        length = bytes([128 | size]) if size < 126 else bytes([128 | 126, *size.to_bytes(2, "big")])
        self.transport.write(bytes([128 | kind]) + length + bytes(4) + payload)

    def sound(self, size: int, now: float) -> None:
        self.log.sound_bytes += size
        if self.began:
            self.log.sounds[self.began].append(now)
            self.began = ""

    def text(self, frame: str, now: float) -> None:
        if CAPTION.search(frame, 0, 40):
            key = self.place(frame)
            self.log.captions[key].append(now)
            if key not in self.log.ends_ms:
                found = END_MS.search(frame)
                assert found is not None, frame
                self.log.ends_ms[key] = int(found[1])
        elif BEGIN.search(frame):
            self.began = self.place(frame)
        elif dropped := DROPPED.search(frame):
            self.log.dropped_ms += int(dropped[1])
        elif MISSED.search(frame, 0, 40):
            self.log.missed += 1
        elif READY.search(frame, 0, 40):
            self.ready.release()

    def place(self, frame: str) -> str:
        found = UTTERANCE.search(frame)
        assert found is not None, frame
        return f"{self.language} {found[1]}"


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
    log, ready, parts, phones = Log(), asyncio.Semaphore(0), urlsplit(url), list[Phone]()
    for each in range(number):
        language = languages[each % len(languages)]
        hello = {"type": "hello", "languages": [language], "voice": language if voice else None}
        phone = Phone(parts.path, parts.netloc, json.dumps(hello).encode(), log, ready)
        phones.append(phone)
        await asyncio.get_running_loop().create_connection(lambda phone=phone: phone, parts.hostname, parts.port)
        if each % 20 == 19:
            await asyncio.sleep(0.05)  # a hall fills in seconds, not at once
    for _ in range(number):
        await asyncio.wait_for(ready.acquire(), 300)
    print("ready", flush=True)
    before_s = time.process_time()
    await until_told()
    told = {**vars(log), "broken": sum(phone.broken for phone in phones), "cpu_s": time.process_time() - before_s}
    for phone in phones:
        phone.transport.abort()
    print(json.dumps(told))


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    if "--stalled" in sys.argv:
        asyncio.run(stall(words[0], words[2]))
    else:
        asyncio.run(main(words[0], int(words[1]), words[2].split(","), "--voice" in sys.argv))
