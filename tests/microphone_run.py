"""A process that hears a microphone in a graph, and is told what to do by lines on its standard input.

    python -m tests.microphone_run BACKEND OUT.npz OPTIONS...

`pause`, `resume`, `stall` (nobody reads any more), `go` (they do again) and `stop`. On standard output a JSON
object a line: `up` at the first sound, `status` when it changes, `done` for each thing told, `report` at the end.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
from attrs import define, field

from pipeline.caps import AUDIO, Port
from pipeline.graph import Graph
from pipeline.items import Audio, Item, Mark
from pipeline.runner import Execution
from stages.devices import listening
from stages.microphone import Microphone

HELD_S = 0.5
"""Less than the stage's own, so that an overrun comes soon."""


def say(what: str, **more: Any) -> None:
    print(json.dumps({"what": what, **more}), flush=True)


@define
class Keep:
    """Keeps what it is given, unless it is held up."""

    items: list[Item] = field(factory=list)
    late_s: list[float] = field(factory=list)
    microphone: Microphone | None = None
    go: anyio.Event = field(factory=anyio.Event)
    up: anyio.Event = field(factory=anyio.Event)
    accepts = {"in": Port(AUDIO)}  # noqa: RUF012 - attrs leaves it alone

    def gives(self, caps: Any) -> Any:
        return {}

    async def run(self, inbox: Any, outbox: Any) -> None:
        assert self.microphone is not None
        async for item in inbox:
            await self.go.wait()
            self.items.append(item)
            self.up.set()
            if isinstance(item, Audio):
                captured = self.microphone.time_of(item.end)
                assert captured is not None
                self.late_s.append(anyio.current_time() - captured)


async def main(out: str, options: dict[str, Any]) -> None:
    listening.HELD_S = HELD_S
    microphone, keep = Microphone(**options), Keep()
    keep.microphone = microphone
    keep.go.set()
    graph = Graph("room")
    graph.add("mic", microphone)
    graph.add("keep", keep, reads="mic")
    execution = Execution(graph)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, microphone, keep)
        tasks.start_soon(obey, microphone, keep, execution)
        report = await execution.run()
        tasks.cancel_scope.cancel()
    audio = [item for item in keep.items if isinstance(item, Audio)]
    np.savez(
        out,
        sound=np.concatenate([item.samples[:, 0] for item in audio]),
        positions=np.concatenate([np.arange(item.start, item.end) for item in audio]),
        late_s=np.array(keep.late_s),
    )
    marks = [[item.kind.value, item.start, item.frames] for item in keep.items if isinstance(item, Mark)]
    line = next(line for line in report.stages if line.name == "mic")
    say("report", marks=marks, losses=line.losses, counts=line.counts, balanced=report.balanced)


async def watch(microphone: Microphone, keep: Keep) -> None:
    await keep.up.wait()
    say("up")
    status = microphone.status
    while True:
        await anyio.sleep(0.01)
        if microphone.status != status:
            status = microphone.status
            say("status", status=status)


async def obey(microphone: Microphone, keep: Keep, execution: Execution) -> None:
    while line := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        match line.strip():
            case "pause":
                microphone.paused = True
            case "resume":
                microphone.paused = False
            case "stall":
                keep.go = anyio.Event()
            case "go":
                keep.go.set()
            case "stop":
                execution.stop()
        say("done")


if __name__ == "__main__":
    backend, out, options = sys.argv[1:]
    anyio.run(main, out, json.loads(options), backend=backend)
