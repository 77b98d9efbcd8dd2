"""The end of a run in a few lines: what was written, how fast, what was lost and where, and what was counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from attrs import frozen

from pipeline.cli.paint import paint
from pipeline.cli.preflight import opened
from pipeline.cli.words import plural, seconds, times
from pipeline.graph import Graph
from pipeline.ledger import HELD, TEXTS, EdgeLine, Report, is_sound

__all__ = ["Loss", "Marks", "Section", "losses", "marks", "outcome", "show", "summary"]


@frozen
class Loss:
    """Sound or texts that did not arrive: where, why, and how much of it."""

    where: str
    why: str
    amount: str


@frozen
class Section:
    """A part of the summary: `rows` of what there is, and what is said of it."""

    label: str
    rows: Sequence[tuple[str, str]]


def losses(report: Report) -> list[Loss]:
    """Everything in `report.lost`, in seconds where the rate is known."""
    found: list[Loss] = []
    for edge in report.edges:
        if edge.tap:
            continue
        if edge.dropped:
            found.append(Loss(edge.name, _policy(edge), _amount(edge.dropped, edge.rate_hz)))
        if edge.texts_dropped:
            found.append(Loss(edge.name, _policy(edge), plural(edge.texts_dropped, "text")))
        if edge.in_flight:
            found.append(Loss(edge.name, "cut off on its way", _amount(edge.in_flight, edge.rate_hz)))
        if edge.texts_in_flight:
            found.append(Loss(edge.name, "cut off on its way", plural(edge.texts_in_flight, "text")))
        if edge.consumer in report.failed and edge.declined:
            found.append(Loss(edge.name, "its reader failed", _amount(edge.declined, edge.rate_hz)))
        if edge.consumer in report.failed and edge.texts_declined:
            found.append(Loss(edge.name, "its reader failed", plural(edge.texts_declined, "text")))
    for stage in report.stages:
        rate = report.rate_hz_of(stage.name)
        found += [_own(stage.name, why, count, rate) for why, count in stage.losses.items() if count]
    return found


def summary(graph: Graph, report: Report, before: Marks) -> list[Section]:
    """The whole summary, top to bottom, without the parts that are empty. `before`: `marks` before the run."""
    return [*_full([Section("wrote", list(_written(graph, report, before)))]), *outcome(report)]


def outcome(report: Report) -> list[Section]:
    """The part of the summary that needs no graph: pace, losses, figures."""
    counts = [(stage.name, told) for stage in report.stages if (told := _counts(stage.counts))]
    lost = [(loss.amount, f"{loss.where}: {loss.why}") for loss in losses(report)]
    began = report.media_s > 0 or not report.failed
    sections = [
        Section("heard", [_heard(report)] if began else []),
        Section("lost", lost or ([("nothing", "")] if began and not report.cut_off else [])),
        Section("unknown", [(HELD, "")] if report.cut_off else []),
        Section("counted", counts),
    ]
    return _full(sections)


def _heard(report: Report) -> tuple[str, str]:
    """How much, and at which pace where that says anything: not of a live source, nor of a run that failed."""
    if report.live or report.failed:
        return seconds(report.media_s), ""
    return f"{seconds(report.media_s)} in {seconds(report.wall_s)}", f"{times(report.times_realtime)} real time"


def show(sections: Sequence[Section], stream: TextIO) -> None:
    """The sections on `stream`, their columns aligned."""
    width = max((len(what) for section in sections for what, told in section.rows if told), default=0)
    for section in sections:
        style = "bold red" if section.label == "lost" and section.rows[0][1] else "dim"
        for number, (what, told) in enumerate(section.rows):
            label = paint(f"{section.label if number == 0 else '':<8}", style, stream)
            print(f"{label} {what:<{width}}  {told}".rstrip(), file=stream)


def _full(sections: Sequence[Section]) -> list[Section]:
    return [section for section in sections if section.rows]


def _counts(counts: Mapping[str, int]) -> str:
    """`cues 8, cues too fast to read 2`: what is not zero."""
    return ", ".join(f"{what} {number:,}" for what, number in counts.items() if number)


def _policy(edge: EdgeLine) -> str:
    return f"the edge was full ({edge.policy})"


def _own(stage: str, why: str, count: int, rate_hz: int) -> Loss:
    """What a stage lost itself: texts where it says so, else sound."""
    amount = _amount(count, rate_hz) if is_sound(why) else plural(count, "text")
    return Loss(stage, why.removesuffix(TEXTS), amount)


def _amount(frames: int, rate_hz: int) -> str:
    return seconds(frames / rate_hz) if rate_hz else plural(frames, "frame")


# --- what was written

Marks = Mapping[Path, tuple[int, ...]]
"""What tells whether a file was written since: who and how long it is, and when it changed last."""


def marks(graph: Graph) -> Marks:
    """Those of the files that stages of `graph` will write, as far as they are there."""
    paths = (file.path for file in opened(graph) if file.role == "writes")
    return {path: mark for path in paths if (mark := _mark(path))}


def _mark(path: Path) -> tuple[int, ...]:
    try:
        told = path.stat()
    except OSError:
        return ()
    return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns


def _written(graph: Graph, report: Report, before: Marks) -> Iterator[tuple[str, str]]:
    """The files that stages have written, with what is in them; and those that a run cut short has not."""
    counts = {stage.name: stage.counts for stage in report.stages}
    for file in opened(graph):
        mark, earlier = _mark(file.path), before.get(file.path, ())
        if file.role != "writes" or not (mark or report.stopped):
            continue
        if mark != earlier or not report.stopped:
            edges = [edge for edge in report.edges if edge.consumer == file.node.name]
            yield str(file.path), _arrived(edges, counts.get(file.node.name, {}))
        else:
            yield str(file.path), "nothing; the file is as it was" if mark else "nothing; there is no such file"


def _arrived(edges: Sequence[EdgeLine], counts: Mapping[str, int]) -> str:
    """`2.0 s of sound`, `12 cues`, `3 texts`. Of what came to a stage that writes cues, guesses are no part."""
    audio = max((edge.received / edge.rate_hz for edge in edges if edge.rate_hz), default=0.0)
    texts = sum(edge.texts_received for edge in edges)
    told = [f"{seconds(audio)} of sound" if audio else ""]
    if "cues" in counts:
        told.append(plural(counts["cues"], "cue"))
    elif texts:
        told.append(plural(texts, "text"))
    return ", ".join(filter(None, told))
