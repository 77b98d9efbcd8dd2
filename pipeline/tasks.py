"""A task of the plan at work: it drives a transform, a join or an actor from its channels to its outlets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import anyio
from attrs import define

from pipeline.channels import Channel, Inlet, ReaderGone
from pipeline.items import Item
from pipeline.node import Node
from pipeline.outlet import Outlet
from pipeline.plan import Task
from pipeline.snapshot import Waits
from pipeline.stage import Actor, Inbox, Join

__all__ = ["Running"]


@define
class Running:
    """A task of the plan at work: what feeds it, what it feeds, and how far it is."""

    task: Task
    node: Node
    channels: Mapping[str, Sequence[Channel]]
    outlets: Mapping[str, Outlet]
    stopped: Callable[[], bool]
    """Whether the run was told to stop."""
    state: str = "waiting"
    scope: anyio.CancelScope | None = None

    async def work(self) -> None:
        """Do the task's work; return when its inputs have ended."""
        stage = self.node.stage
        if self.task.nature == "join":
            await _join(cast(Join, stage), self.channels, self.outlets["*"])
        elif self.task.nature == "transform":
            await _drive([channel for each in self.channels.values() for channel in each], self.outlets["*"])
        else:
            inbox = cast(Inbox, ActorInbox(self.channels, self.stopped))
            await cast(Actor, stage).run(inbox, ActorOutbox(self.outlets))

    @property
    def culprit(self) -> str:
        """The stage that failed: a fused one, or else the head."""
        return next((outlet.culprit for outlet in self.outlets.values() if outlet.culprit), self.task.head)

    @property
    def waits(self) -> Waits:
        """A full edge comes first: it is what holds up the others. A model, a device and a clock are not known."""
        if any(channel.room.waited_for for outlet in self.outlets.values() for channel in outlet.readers):
            return "room"
        if any(channel.ready.waited_for for channels in self.channels.values() for channel in channels):
            return "input"
        return ""

    def leave(self) -> None:
        """Read no more: what still waits for it counts as declined."""
        for channels in self.channels.values():
            for channel in channels:
                channel.leave()

    def close(self) -> None:
        """End what it feeds."""
        for outlet in self.outlets.values():
            outlet.close()


class ActorInbox:
    """The inputs of an actor: all channels as one stream, or those of one port."""

    def __init__(self, channels: Mapping[str, Sequence[Channel]], stopped: Callable[[], bool]) -> None:
        self._channels = channels
        self._stopped = stopped
        self._inlet: Inlet | None = None
        self._parts: dict[str, ActorInbox] = {}

    def __aiter__(self) -> Inlet:
        if self._inlet is None:
            self._inlet = Inlet([channel for channels in self._channels.values() for channel in channels])
        return self._inlet

    def with_outputs(self) -> _WithOutputs:
        return _WithOutputs(self.__aiter__())

    def __getitem__(self, port: str) -> Inbox:
        if port not in self._parts:
            self._parts[port] = ActorInbox({port: self._channels.get(port, ())}, self._stopped)
        return cast(Inbox, self._parts[port])

    @property
    def ports(self) -> Sequence[str]:
        return [port for port, channels in self._channels.items() if channels]

    @property
    def stopped(self) -> bool:
        return self._stopped()


@define
class _WithOutputs:
    """What comes by an inlet, with the output that it comes from."""

    inlet: Inlet

    def __aiter__(self) -> _WithOutputs:
        return self

    async def __anext__(self) -> tuple[str, Item]:
        while (pair := await self.inlet.receive()) is not None:
            channel, item = pair
            if item is not None:
                return f"{channel.edge.producer}.{channel.edge.out_port}", item
        raise StopAsyncIteration


class ActorOutbox:
    """The outputs of an actor."""

    def __init__(self, outlets: Mapping[str, Outlet]) -> None:
        self._outlets = outlets
        self._main = next(iter(outlets), None)

    async def send(self, item: Item, port: str | None = None) -> None:
        outlet = self._outlets.get(port or self._main or "")
        if outlet is None:
            raise ValueError(f"there is no output {port!r}, only {', '.join(self._outlets) or 'none'}")
        try:
            await outlet.send(item)
        except ReaderGone:
            if not any(other.read for other in self._outlets.values()):
                raise

    def wanted(self, port: str) -> bool:
        return port in self._outlets and self._outlets[port].read


async def _drive(channels: Sequence[Channel], outlet: Outlet) -> None:
    inlet = Inlet(channels)
    while (pair := await inlet.receive()) is not None:
        if pair[1] is not None:
            await outlet.send(pair[1])


async def _join(stage: Join, channels: Mapping[str, Sequence[Channel]], outlet: Outlet) -> None:
    everyone = [channel for each in channels.values() for channel in each]
    stage.open([channel.edge.lane for channel in everyone])
    inlet = Inlet(everyone)
    while (pair := await inlet.receive()) is not None:
        channel, item = pair
        lane = channel.edge.lane
        await outlet.send_all(stage.end(lane) if item is None else stage.feed(item, lane))
    await outlet.send_all(stage.flush())
