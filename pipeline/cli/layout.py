"""Where the boxes and lines of a drawn graph go: layers from left to right, few crossings, short lines. Pure.

In four steps, after Sugiyama: every box gets a layer (the longest way from a source); lines that pass layers
get a bend in each; the order within a layer is swept towards the mean of the neighbours' places; and heights
are set by the least squares that keep that order and a distance (pool adjacent violators).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

__all__ = ["Box", "Layout", "Level", "Line", "lay_out"]

SWEEPS = 12
"""More changes nothing on any graph of up to 40 stages tried."""

STRAIGHT_ROOM = 12.0
"""Between layers where no line curves."""


@frozen
class Box:
    """A rectangle by its left upper corner; y grows downwards."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@frozen
class Line:
    """A wish for a line between two boxes, with so much room for a label at its beginning and its end.

    Lines that leave a box by the same `port` leave it at one place.
    """

    start: str
    end: str
    start_room: float = 0.0
    end_room: float = 0.0
    port: str = ""


@frozen
class Level:
    """A level piece of a line, from `left` to `right` at height `y`; between two of them the line curves."""

    left: float
    right: float
    y: float


@frozen
class Layout:
    """`boxes` by name, those of a layer equally wide; `routes` in the order of the lines."""

    boxes: Mapping[str, Box]
    routes: Sequence[Sequence[Level]]
    width: float
    height: float


def lay_out(
    sizes: Mapping[str, tuple[float, float]],
    lines: Sequence[Line],
    *,
    row_gap: float = 26.0,
    bend_height: float = 14.0,
    curve_room: float = 44.0,
) -> Layout:
    """Places for boxes of `sizes` (width, height) and `lines` between them, which must not go round in circles."""
    return _Layered(sizes, lines, row_gap, bend_height, curve_room).result()


@frozen
class _Column:
    """The places of a layer: where lines come to it level, its boxes, and where lines begin to curve away."""

    arrive: float
    left: float
    right: float
    leave: float


@frozen
class _End:
    """Who is at the other end of line number `line`: a box, or a bend of it."""

    name: str
    line: int


@define
class _Layered:
    sizes: Mapping[str, tuple[float, float]]
    lines: Sequence[Line]
    row_gap: float
    bend_height: float
    curve_room: float
    layer_of: dict[str, int] = field(factory=dict)
    rows: list[list[str]] = field(factory=list)
    """Names by layer, from above; a bend is named `#line:layer`."""
    before: dict[str, list[_End]] = field(factory=dict)
    after: dict[str, list[_End]] = field(factory=dict)
    y: dict[str, float] = field(factory=dict)
    """The middle of each box or bend."""

    def result(self) -> Layout:
        self._set_layers()
        self._set_rows()
        self._order_rows()
        self._set_heights()
        return self._place()

    # --- layers

    def _set_layers(self) -> None:
        waiting = dict.fromkeys(self.sizes)
        while waiting:
            ready = [
                name
                for name in waiting
                if not any(line.end == name and line.start in waiting for line in self.lines)
            ]
            for name in ready:
                sources = [self.layer_of[line.start] for line in self.lines if line.end == name]
                self.layer_of[name] = max(sources, default=-1) + 1
            for name in ready:
                del waiting[name]
        for name in self.sizes:  # a source stands right before the first that reads it
            if not any(line.end == name for line in self.lines):
                readers = [self.layer_of[line.end] for line in self.lines if line.start == name]
                self.layer_of[name] = min(readers, default=1) - 1

    def _set_rows(self) -> None:
        self.rows = [[] for _ in range(max(self.layer_of.values(), default=0) + 1)]
        for name in self.sizes:
            self.rows[self.layer_of[name]].append(name)
        for number, line in enumerate(self.lines):
            names = self._way(number, line)
            for name, layer in zip(names[1:-1], itertools.count(self.layer_of[line.start] + 1)):
                self.rows[layer].append(name)
            for left, right in itertools.pairwise(names):
                self.after.setdefault(left, []).append(_End(right, number))
                self.before.setdefault(right, []).append(_End(left, number))

    def _way(self, number: int, line: Line) -> list[str]:
        between = range(self.layer_of[line.start] + 1, self.layer_of[line.end])
        return [line.start, *(f"#{number}:{layer}" for layer in between), line.end]

    # --- order

    def _order_rows(self) -> None:
        best, fewest = [list(row) for row in self.rows], self._crossings()
        for sweep in range(SWEEPS):
            forward = sweep % 2 == 0
            neighbours = self.before if forward else self.after
            for row in self.rows if forward else reversed(self.rows):
                self._sort(row, neighbours)
            if (crossings := self._crossings()) < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best

    def _sort(self, row: list[str], neighbours: Mapping[str, Sequence[_End]]) -> None:
        places = self._places()
        ports = self._port_places(places) if neighbours is self.before else {}

        def wish(name: str) -> float:
            ends = neighbours.get(name, ())
            return sum(ports.get(end, places[end.name]) for end in ends) / len(ends) if ends else places[name]

        row.sort(key=wish)

    def _crossings(self) -> int:
        places = self._places()
        ports = self._port_places(places)
        count = 0
        for row in self.rows[1:]:
            ends = [
                (ports.get(end, places[end.name]), places[name])
                for name in row
                for end in self.before.get(name, ())
            ]
            count += sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in itertools.combinations(ends, 2))
        return count

    def _places(self) -> dict[str, float]:
        return {name: float(place) for row in self.rows for place, name in enumerate(row)}

    def _port_places(self, places: Mapping[str, float]) -> dict[_End, float]:
        """Where lines leave their boxes: the ports of a box stand in the order of where their lines go to."""
        found: dict[_End, float] = {}
        for name, ends in self.after.items():
            ports: dict[str, list[_End]] = {}
            for end in ends:
                ports.setdefault(self.lines[end.line].port, []).append(end)
            if name not in self.sizes or len(ports) < 2:
                continue
            ordered = sorted(ports.values(), key=lambda ends: sum(places[end.name] for end in ends) / len(ends))
            for place, together in enumerate(ordered, start=1):
                offset = place / (len(ordered) + 1) - 0.5
                found.update({_End(name, end.line): places[name] + offset for end in together})
        return found

    # --- heights

    def _set_heights(self) -> None:
        for row in self.rows:
            self._settle(row, [0.0] * len(row))
        for sweep in range(SWEEPS):
            forward = sweep % 2 == 0
            neighbours = self.before if forward else self.after
            for row in self.rows if forward else reversed(self.rows):
                self._settle(row, [self._mean_height(name, neighbours.get(name, ())) for name in row])

    def _mean_height(self, name: str, neighbours: Sequence[_End]) -> float:
        if not neighbours:
            return self.y[name]
        return sum(self.y[end.name] for end in neighbours) / len(neighbours)

    def _settle(self, row: Sequence[str], wanted: Sequence[float]) -> None:
        """Heights as near as can be to `wanted`, in the order of `row`, with the distances that boxes need."""
        offsets = [0.0]
        for above, below in itertools.pairwise(row):
            offsets.append(offsets[-1] + (self._height(above) + self._height(below)) / 2 + self.row_gap)
        rising = _isotonic([want - offset for want, offset in zip(wanted, offsets, strict=False)])
        for name, value, offset in zip(row, rising, offsets, strict=False):
            self.y[name] = value + offset

    def _height(self, name: str) -> float:
        return self.sizes[name][1] if name in self.sizes else self.bend_height

    # --- places

    def _place(self) -> Layout:
        top = min((self.y[name] - self._height(name) / 2 for name in self.y), default=0.0)
        self.y = {name: y - top for name, y in self.y.items()}
        columns = self._columns()
        boxes = {
            name: Box(
                columns[layer].left,
                self.y[name] - self.sizes[name][1] / 2,
                columns[layer].right - columns[layer].left,
                self.sizes[name][1],
            )
            for name, layer in self.layer_of.items()
        }
        leaving, arriving = self._docks(True), self._docks(False)
        routes = [
            self._route(number, line, columns, leaving[number], arriving[number])
            for number, line in enumerate(self.lines)
        ]
        height = max((self.y[name] + self._height(name) / 2 for name in self.y), default=0.0)
        return Layout(boxes, routes, columns[-1].right, height)

    def _columns(self) -> list[_Column]:
        columns: list[_Column] = []
        x = 0.0
        for layer, row in enumerate(self.rows):
            width = max((self.sizes[name][0] for name in row if name in self.sizes), default=0.0)
            arriving = [line.end_room for line in self.lines if self.layer_of[line.end] == layer]
            leaving = [line.start_room for line in self.lines if self.layer_of[line.start] == layer]
            left = x + (max(arriving, default=0.0) if layer else 0.0)
            right = left + width
            columns.append(_Column(x, left, right, right + max(leaving, default=0.0)))
            x = columns[-1].leave + (STRAIGHT_ROOM if self._straight(layer) else self.curve_room)
        return columns

    def _straight(self, layer: int) -> bool:
        """Whether nothing curves behind `layer`: a single line goes on, and at the same height."""
        lines = [(name, end.name) for name in self.rows[layer] for end in self.after.get(name, ())]
        return len(lines) == 1 and abs(self.y[lines[0][0]] - self.y[lines[0][1]]) < 0.5

    def _docks(self, leaving: bool) -> list[float]:
        """The height at which each line leaves its first box, or arrives at its last.

        Lines that leave by one port leave at one place; the places of a side are spread evenly, in the order of
        where the lines go to.
        """
        sides: dict[str, dict[str, list[int]]] = {}
        for number, line in enumerate(self.lines):
            box, dock = (line.start, line.port) if leaving else (line.end, str(number))
            sides.setdefault(box, {}).setdefault(dock, []).append(number)
        heights = [0.0] * len(self.lines)
        for box, docks in sides.items():
            ordered = sorted(docks.values(), key=lambda numbers: self._mean_y(numbers, leaving))
            step = min(self.sizes[box][1] / (len(ordered) + 0.5), 26.0)
            for place, numbers in enumerate(ordered):
                for number in numbers:
                    heights[number] = self.y[box] + (place - (len(ordered) - 1) / 2) * step
        return heights

    def _mean_y(self, numbers: Sequence[int], leaving: bool) -> float:
        """How high, on the mean, these lines are where they next pass a layer."""
        ways = [self._way(number, self.lines[number]) for number in numbers]
        return sum(self.y[way[1] if leaving else way[-2]] for way in ways) / len(ways)

    def _route(
        self, number: int, line: Line, columns: Sequence[_Column], leaving: float, arriving: float
    ) -> list[Level]:
        first, last = columns[self.layer_of[line.start]], columns[self.layer_of[line.end]]
        bends = [
            Level(columns[layer].arrive, columns[layer].leave, self.y[name])
            for layer, name in enumerate(self._way(number, line)[1:-1], start=self.layer_of[line.start] + 1)
        ]
        return [Level(first.right, first.leave, leaving), *bends, Level(last.arrive, last.left, arriving)]


def _isotonic(values: Sequence[float]) -> list[float]:
    """The rising sequence nearest to `values` in least squares."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, size = value, 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    return [mean for mean, size in blocks for _ in range(size)]
