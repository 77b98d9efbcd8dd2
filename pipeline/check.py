"""What is wrong with a graph: one topological pass resolves every edge's caps and tells all problems at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import attrs
from attrs import define, field

from pipeline.caps import ANY, Caps, Port, mismatch
from pipeline.node import DEFAULT_BUFFER, TAP_BUFFER, Edge, Node, Read
from pipeline.problems import Problem, Where, did_you_mean, one_of

__all__ = ["Check", "flow_order"]


def flow_order(nodes: Mapping[str, Node]) -> list[str]:
    """The names of the stages, producers before consumers. What lies on a cycle, or behind one, is left out."""
    waiting = {name: {read.stage for read in node.reads} & nodes.keys() for name, node in nodes.items()}
    done: list[str] = []
    while ready := [name for name, needs in waiting.items() if not needs]:
        done += ready
        for name in ready:
            del waiting[name]
        for needs in waiting.values():
            needs.difference_update(ready)
    return done


@define
class Check:
    """One check: the problems found so far, and the caps of every output port resolved so far."""

    nodes: Mapping[str, Node]
    found: list[Problem] = field(factory=list)
    edges: list[Edge] = field(factory=list)
    outputs: dict[str, Mapping[str, Caps]] = field(factory=dict)
    unknown: set[str] = field(factory=set)
    _done: bool = False

    def resolved(self) -> list[Edge]:
        """The edges, with their caps, in the order in which consumers name them."""
        self.problems()
        return self.edges

    def problems(self) -> list[Problem]:
        if not self._done:
            self._done = True
            self._run()
            self.found.sort(
                key=lambda problem: (problem.where.line, problem.where.column) if problem.where else (0, 0)
            )
        return self.found

    def _run(self) -> None:
        if not self.nodes:
            self._say("a graph needs at least one stage", None, remedy="see `dragoman new file//translate//wav`")
        self._check_names()
        order = flow_order(self.nodes)
        self._check_cycles(order)
        for name in order:
            self._resolve(self.nodes[name])
        self._check_unread()
        self._check_live()
        self._check_paths()
        self._check_named()

    def _say(self, what: str, where: Where | None, **more: Any) -> None:
        self.found.append(Problem(what, where, **more))

    # --- names and cycles

    def _check_names(self) -> None:
        for node in self.nodes.values():
            for read in node.reads:
                if read.stage not in self.nodes:
                    known = [name for name in self.nodes if name != node.name]
                    self._say(
                        f"{node.name!r} reads {read.stage!r}, which is no stage of this graph",
                        read.where or node.where,
                        wanted=one_of(known),
                        came=read.stage,
                        remedy=did_you_mean(read.stage, known) or f"add a stage {read.stage!r}, or read another",
                    )

    def _check_cycles(self, order: Sequence[str]) -> None:
        left = {name: node for name, node in self.nodes.items() if name not in set(order)}
        while left:
            loop = _find_cycle(left)
            if loop is None:
                break
            node = left[loop[-1]]
            self._say(
                f"the stages go round in a circle: {' -> '.join([*loop, loop[0]])}",
                _where_reads(node, loop[-2] if len(loop) > 1 else loop[0]),
                wanted="a graph in which nothing comes back to where it was",
                remedy=f"let one of {', '.join(loop)} read something else",
            )
            for name in loop:
                left.pop(name)

    # --- caps

    def _resolve(self, node: Node) -> None:
        """Work out what comes in and what goes out, and say what does not fit."""
        if node.stage is None:
            self.unknown.add(node.name)
            for read in node.reads:
                self._caps_read(node, read)
            return
        if lacking := [f"`{name}`" for name in ("accepts", "gives") if not hasattr(node.stage, name)]:
            self.unknown.add(node.name)
            what = f"{node.name!r} is no stage: {type(node.stage).__name__} has no {' and no '.join(lacking)}"
            self._say(what, node.where, remedy="say what it accepts and gives, as `pipeline.stage` has it")
            return
        ports = node.stage.accepts
        incoming: dict[str, Caps] = {}
        lanes: dict[str, int] = {}
        for read in node.reads:
            caps = self._caps_read(node, read)
            port = self._port_fed(node, read, ports)
            if caps is None or port is None:
                self.unknown.add(node.name)
                continue
            if not ports[port].many and port in lanes:
                self._say_two(node, read, port)
                continue
            number = lanes[port] = lanes.get(port, -1) + 1
            fits = self._check_fit(node, read, port, caps)
            lane = f"{port}.{number}" if ports[port].many else port
            # A stage is told of what it can take; the rest has been said, and is for nobody to trip over.
            incoming[lane] = caps if fits and caps != ANY else ports[port].caps
            self.edges.append(self._edge(node, read, port, lane, caps))
        self._check_fed(node, ports, lanes)
        self._give(node, incoming)

    def _caps_read(self, node: Node, read: Read) -> Caps | None:
        """What `read` brings, or None where that cannot be known (and something was said about it)."""
        producer = self.nodes.get(read.stage)
        if producer is None or read.stage not in self.outputs:
            return None
        outputs = self.outputs[read.stage]
        if not outputs:
            self._say(
                f"{node.name!r} reads {read.stage!r}, which gives nothing: it is a sink",
                read.where or node.where,
                remedy="read the stage before it",
            )
            return None
        port = read.port if read.port is not None else next(iter(outputs))
        if port not in outputs:
            self._say(
                f"{read.stage!r} has no output {port!r}",
                read.where or node.where,
                wanted=one_of(f"{read.stage}.{name}" for name in outputs),
                came=str(read),
                remedy=did_you_mean(port, outputs),
            )
            return None
        return None if read.stage in self.unknown else outputs[port]

    def _port_fed(self, node: Node, read: Read, ports: Mapping[str, Port]) -> str | None:
        """The input port that `read` goes into, or None where there is no such port."""
        if not ports:
            self._say(
                f"{node.name!r} is a source: it reads nothing",
                read.where or node.where,
                came=f"from: {read}",
                remedy="take `from` away",
            )
            return None
        if read.into is None:
            return next(iter(ports))
        if read.into not in ports:
            self._say(
                f"{node.name!r} has no input {read.into!r}",
                read.where or node.where,
                wanted=one_of(ports),
                came=read.into,
                remedy=did_you_mean(read.into, ports),
            )
            return None
        return read.into

    def _say_two(self, node: Node, read: Read, port: str) -> None:
        others = [name for name in node.stage.accepts if name != port] if node.stage else []
        hint = f"say which input it is for (`into: {others[0]}`), or " if others else ""
        self._say(
            f"two things feed the input {port!r} of {node.name!r}, which takes one",
            read.where or node.where,
            wanted="one producer",
            came=", ".join(str(each) for each in node.reads),
            remedy=f"{hint}put a `mix` between them",
        )

    def _check_fit(self, node: Node, read: Read, port: str, caps: Caps) -> bool:
        assert node.stage is not None
        wrong = mismatch(node.stage.accepts[port].caps, caps)
        if wrong is not None:
            self._say(
                f"what {str(read)!r} gives does not fit into {node.name!r}",
                read.where or node.where,
                wanted=wrong.wanted,
                came=wrong.came,
                remedy=wrong.remedy,
            )
        return wrong is None

    def _edge(self, node: Node, read: Read, port: str, lane: str, caps: Caps) -> Edge:
        tap = bool(getattr(node.stage, "watches", False))
        plain = read.buffer is None and read.when_full is None
        return Edge(
            producer=read.stage,
            out_port=read.port if read.port is not None else next(iter(self.outputs[read.stage])),
            consumer=node.name,
            in_port=port,
            lane=lane,
            caps=caps,
            buffer=read.buffer or (TAP_BUFFER if tap else DEFAULT_BUFFER),
            when_full=read.when_full or ("drop_oldest" if tap else "block"),
            plain=plain and not tap,
            tap=tap,
        )

    def _check_fed(self, node: Node, ports: Mapping[str, Port], lanes: Mapping[str, int]) -> None:
        if node.name in self.unknown:
            return
        for name, port in ports.items():
            if name not in lanes and not port.optional:
                others = [other for other in self.nodes if other != node.name]
                self._say(
                    f"nothing feeds the input {name!r} of {node.name!r}",
                    node.where,
                    wanted=f"`from: STAGE` that gives {port.caps}",
                    remedy=f"add `from:` with {one_of(others)}" if others else "add a source, such as `use: file`",
                )
                self.unknown.add(node.name)

    def _give(self, node: Node, incoming: Mapping[str, Caps]) -> None:
        assert node.stage is not None
        known = dict(incoming)
        for name, port in node.stage.accepts.items():
            if not port.optional:  # what may be left out is not made up
                known.setdefault(name, port.caps)
        try:
            self.outputs[node.name] = node.stage.gives(known if node.name in self.unknown else dict(incoming))
        except ValueError as wrong:
            self.unknown.add(node.name)
            self._say(f"{node.name!r}: {wrong}", node.where)

    # --- hazards

    def _check_unread(self) -> None:
        read = {wish.stage for node in self.nodes.values() for wish in node.reads}
        if not read <= self.nodes.keys():
            # Who reads a name that is not there may have meant any of them.
            return
        for name, outputs in self.outputs.items():
            if outputs and name not in read:
                self._say(
                    f"nobody reads what {name!r} gives",
                    self.nodes[name].where,
                    came=", ".join(f"{name}.{port}" for port in outputs),
                    remedy="let a sink read it, or take the stage away",
                    warning=True,
                )

    def _check_live(self) -> None:
        for edge in self.edges:
            producer = self.nodes[edge.producer].stage
            if not getattr(producer, "live", False) or edge.when_full != "block":
                continue
            node = self.nodes[edge.consumer]
            self._say(
                f"{edge.consumer!r} can hold up {edge.producer!r}, which is live: it cannot wait, only overrun",
                _where_reads(node, edge.producer),
                wanted="an edge that says what to lose",
                came="when_full: block",
                remedy=f"from: {{stage: {edge.producer}, buffer: 2s, when_full: drop_oldest}}",
                warning=True,
            )

    def _check_paths(self) -> None:
        """A file that one stage writes may not be one that another reads or writes."""
        seen: dict[str, tuple[str, str, str]] = {}
        for node, name, role, path in self._files():
            place = os.path.abspath(path)  # noqa: PTH100 - text only: Path.resolve() would look at the disk
            other, option, before = seen.setdefault(place, (node.name, name, role))
            if (other, option) != (node.name, name) and "writes" in (role, before):
                self._say(
                    f"{node.name!r} {role} {path}, which {other!r} {before}",
                    node.option_where.get(name, node.where),
                    wanted="a file of its own for each output",
                    came=path,
                    remedy="give the output another name",
                )

    def _files(self) -> Iterator[tuple[Node, str, str, str]]:
        for node, option, role, path in self._options_that("opens"):
            if str(path) not in ("-", "/dev/null"):
                yield node, option, role, str(path)

    def _options_that(self, what: str) -> Iterator[tuple[Node, str, str, Any]]:
        """The options declared with `what`: the stage, the option, what was declared, and the value given."""
        for node in self.nodes.values():
            if node.stage is None or not attrs.has(type(node.stage)):
                continue
            for attribute in attrs.fields_dict(cast("type[attrs.AttrsInstance]", type(node.stage))).values():
                declared, value = attribute.metadata.get(what), getattr(node.stage, attribute.name)
                if declared and value is not None:
                    yield node, attribute.name, declared, value

    # --- stages named in options

    def _check_named(self) -> None:
        """A stage that an option names must be there, and be one that can answer."""
        for node, option, needed, name in self._options_that("names_stage"):
            other = self.nodes.get(name)
            if other is not None and (other.stage is None or hasattr(other.stage, needed)):
                continue
            able = [each.name for each in self.nodes.values() if hasattr(each.stage, needed) and each is not node]
            what = "is no stage of this graph" if other is None else f"({other.kind}) has no `{needed}`"
            self._say(
                f"'{node.name}.{option}' names {name!r}, which {what}",
                node.option_where.get(option, node.where),
                wanted=one_of(able) if able else f"a stage that has `{needed}`",
                came=name,
                remedy=did_you_mean(name, able) or (f"name {able[0]}" if len(able) == 1 else ""),
            )


def _where_reads(node: Node, producer: str) -> Where | None:
    return next((read.where for read in node.reads if read.stage == producer and read.where), node.where)


def _find_cycle(nodes: Mapping[str, Node]) -> list[str] | None:
    """One cycle among `nodes`, in the order in which things flow, or None."""
    for start in nodes:
        path: list[str] = []
        name: str | None = start
        while name is not None and name not in path:
            path.append(name)
            name = _first(read.stage for read in nodes[name].reads if read.stage in nodes)
        if name is not None:
            return path[path.index(name) :][::-1]
    return None


def _first(names: Iterable[str]) -> str | None:
    return next(iter(names), None)
