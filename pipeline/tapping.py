"""Looking at what passes along one edge of a graph, by its name, without ever slowing the graph.

A tap is one more channel beside those of a port, or in front of a fused stage: lossy, and with a reader that
counts for nobody. So a graph that nobody looks at does nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

from attrs import evolve

from pipeline.channels import Channel, Inlet
from pipeline.node import Buffer, Edge
from pipeline.outlet import Outlet
from pipeline.problems import did_you_mean, one_of

__all__ = ["TAPPED_ITEMS", "Tapped", "UnknownEdge", "edge_named"]

TAPPED_ITEMS = 256
"""What a tap holds for its reader, as on the edge to a stage that watches: 5 s of blocks of 20 ms."""


class UnknownEdge(LookupError):
    """No edge has that name, or several do; the message lists those there are."""

    def __str__(self) -> str:
        return str(self.args[0])


class Tapped:
    """The items of one edge as its producer gives them: iterate, inside of `with`.

    It begins with the next item and ends when the producer does, or with the `with`. Where the reader is too
    slow, what waited longest goes: a GAP mark stands in the place of missing audio, and it is counted here.
    """

    def __init__(self, edge: Edge, items: int, place: Channel | str, outlets: Iterable[Outlet]) -> None:
        self.edge = edge
        self._channel = Channel(evolve(edge, buffer=Buffer(items=items), when_full="drop_oldest", tap=True))
        self._inlet = Inlet([self._channel])
        self._outlet = next(outlet for outlet in outlets if outlet.attach(self._channel, place))

    def __enter__(self) -> Tapped:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._outlet.detach(self._channel)
        self._channel.leave()
        self._channel.dispose()

    def __aiter__(self) -> Inlet:
        return self._inlet

    @property
    def missed_frames(self) -> int:
        """Sample-frames of audio that the reader was too slow for."""
        return self._channel.tally.dropped

    @property
    def missed_s(self) -> float:
        return self.missed_frames / (self._channel.tally.rate_hz or 1)

    @property
    def missed_texts(self) -> int:
        """Texts that the reader was too slow for. Marks are kept, the newest of each kind."""
        return self._channel.tally.texts_dropped


# --- names


def edge_named(
    text: str,
    edges: Sequence[Edge],
    outputs: Mapping[str, Iterable[str]],
    renamed: Mapping[str, str] | None = None,
) -> Edge:
    """The edge that `text` means: `a.port -> b.port` as reports name it, `a>b`, `a.port`, or the name of a stage.

    Of an output with several readers any edge will do: they carry the same. A stage means its main output (see
    `outputs`, the ports of each), or if nobody reads that the only one that is read; and a sink means what comes
    into it. Assemblies go by their own names: see `pipeline.expand.renamed`.

    Raises: UnknownEdge.
    """
    source, arrow, target = text.replace("->", ">").replace(" ", "").partition(">")
    name, source = source, (renamed or {}).get(source, source)
    for found in (
        [edge for edge in edges if arrow and source in _source_names(edge) and target in _target_names(edge)],
        [edge for edge in edges if not arrow and source == f"{edge.producer}.{edge.out_port}"],
        [] if arrow else _of_stage(source, edges, outputs),
        [edge for edge in edges if not arrow and source == edge.consumer],
        [edge for edge in edges if not arrow and _leaves(edge, name)],
    ):
        if len({(edge.producer, edge.out_port) for edge in found}) == 1:
            return found[0]
        if found:
            raise UnknownEdge(f"{text!r} can be {one_of(map(str, found))}: say which")
    hint = did_you_mean(text, [*map(str, edges), *outputs, *(renamed or ())])
    there = one_of(dict.fromkeys(map(str, edges)))
    raise UnknownEdge(f"there is no edge {text!r}; {f'{hint} ' if hint else ''}there is {there}")


def _leaves(edge: Edge, assembly: str) -> bool:
    return edge.producer.startswith(f"{assembly}/") and not edge.consumer.startswith(f"{assembly}/")


def _source_names(edge: Edge) -> Sequence[str]:
    return edge.producer, f"{edge.producer}.{edge.out_port}"


def _target_names(edge: Edge) -> Sequence[str]:
    assembly = edge.consumer.partition("/")[0]
    return edge.consumer, f"{edge.consumer}.{edge.in_port}", f"{edge.consumer}.{edge.lane}", assembly


def _of_stage(name: str, edges: Sequence[Edge], outputs: Mapping[str, Iterable[str]]) -> list[Edge]:
    """The edges of its main output if that is read, else of all that are."""
    found = [edge for edge in edges if edge.producer == name]
    main = next(iter(outputs.get(name, ())), None)
    return [edge for edge in found if edge.out_port == main] or found
