"""Putting an assembly's parts in its place: `interpreter` becomes `interpreter/asr`, `interpreter/mt`, ..."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import evolve

from pipeline.node import Node, Read
from pipeline.stage import Assembly, Parts

__all__ = ["expand", "renamed"]


def expand(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """`nodes` without assemblies. What only feeds an assembly's unread ports is left out.

    Raises: ValueError where an assembly cannot say its parts (a language pair that it cannot do, say).
    """
    while any(_is_assembly(node) for node in nodes.values()):
        name = next(name for name, node in nodes.items() if _is_assembly(node))
        nodes = _replace(nodes, name)
    return dict(nodes)


def renamed(nodes: Mapping[str, Node]) -> dict[str, str]:
    """What the outputs of the assemblies in `nodes` are called once they are replaced.

    `interpreter.text` is `interpreter/mt`, and `interpreter` what its main output is.
    """
    names: dict[str, str] = {}
    for name, node in nodes.items():
        if isinstance(node.stage, Assembly):
            outputs = {port: _inside(name, node.stage, port) for port in node.stage.parts().outputs}
            names |= {f"{name}.{port}": inside for port, inside in outputs.items()}
            names[name] = next(iter(outputs.values()), name)
    return names


def _inside(name: str, stage: object, port: str) -> str:
    """The output `port` of `stage`, as `stage` or `stage.port`; of an assembly, that of the part that has it."""
    if not isinstance(stage, Assembly):
        return f"{name}.{port}" if port else name
    parts = stage.parts()
    part, _, inner = parts.outputs[port or next(iter(parts.outputs))].partition(".")
    return _inside(f"{name}/{part}", parts.parts[part].stage, inner)


def _is_assembly(node: Node) -> bool:
    return hasattr(node.stage, "parts")


def _replace(nodes: Mapping[str, Node], name: str) -> dict[str, Node]:
    assembly = nodes[name].stage
    assert isinstance(assembly, Assembly)
    parts = assembly.parts()
    main = next(iter(parts.outputs), None)
    read = {
        wish.port if wish.port is not None else main
        for node in nodes.values()
        for wish in node.reads
        if wish.stage == name
    }
    kept = _needed(parts, {port for port in read if port is not None} or parts.outputs.keys())
    out: dict[str, Node] = {}
    for each, node in nodes.items():
        if each == name:
            out.update(_inner(nodes[name], parts, kept))
        else:
            out[each] = evolve(node, reads=tuple(_rewired(wish, name, parts) for wish in node.reads))
    return out


def _needed(parts: Parts, ports: Collection[str]) -> set[str]:
    """The parts that something in `ports` depends on."""
    waiting = [_stage_of(parts.outputs[port]) for port in ports if port in parts.outputs]
    found: set[str] = set()
    while waiting:
        part = waiting.pop()
        if part not in found:
            found.add(part)
            waiting += [_stage_of(read) for read in parts.parts[part].reads]
    return found


def _inner(outer: Node, parts: Parts, kept: Collection[str]) -> dict[str, Node]:
    """The parts as nodes of the graph; what fed the assembly feeds those that stand at its inputs."""
    inner: dict[str, Node] = {}
    assert outer.stage is not None
    first = next(iter(outer.stage.accepts), None)
    for name, part in parts.parts.items():
        if name not in kept:
            continue
        reads = [Read.parse(f"{outer.name}/{wish}", outer.where) for wish in part.reads]
        for port, target in parts.inputs.items():
            if _stage_of(target) == name:
                into = target.partition(".")[2] or None
                reads += [evolve(wish, into=into) for wish in outer.reads if (wish.into or first) == port]
        full = f"{outer.name}/{name}"
        inner[full] = Node(full, part.stage, tuple(reads), outer.kind, outer.where, outer.option_where)
    return inner


def _rewired(wish: Read, name: str, parts: Parts) -> Read:
    """A read of the assembly's port becomes one of the part's."""
    if wish.stage != name:
        return wish
    port = wish.port if wish.port is not None else next(iter(parts.outputs))
    stage, _, inner_port = parts.outputs[port].partition(".")
    return evolve(wish, stage=f"{name}/{stage}", port=inner_port or None)


def _stage_of(text: str) -> str:
    return text.partition(".")[0]
