"""What has been told of graphs that run elsewhere, and what is made of it for a person. No terminal in here."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field, fields, frozen

from pipeline.cli.summary import losses
from pipeline.cli.words import clock, plural, seconds, times
from pipeline.control.client import Message
from pipeline.ledger import HELD, EdgeLine, Report, StageLine

__all__ = ["LOOKS", "Ledger", "Row", "Seen", "act", "headline", "report_of", "room_lines", "rows"]

LOOKS = 8
"""How many looks back it shows what a stage did: four seconds."""
LEDGERS = 8
TEXTS = 64


@frozen
class Ledger:
    """What became of everything in a graph that has ended, `done` or `failed`."""

    graph: str
    state: str
    report: Report

    @property
    def headline(self) -> str:
        """`sunday: done after 0:34; lost 1.0 s at talk -> pcm`."""
        lost = ", ".join(f"{loss.amount} at {loss.where}" for loss in losses(self.report))
        told = f"lost {lost or 'nothing'}" if lost or not self.report.cut_off else f"not counted: {HELD}"
        return f"{self.graph}: {self.state} after {seconds(self.report.media_s)}; {told}"


@define
class Seen:
    """The newest look at each graph and room, what each stage did at the last ones, and the last ledgers.

    It is fed with messages that are `readable`.
    """

    graphs: Sequence[Message] = ()
    rooms: Sequence[Message] = ()
    more: int = 0
    looks: int = 0
    over: bool = False
    ledgers: deque[Ledger] = field(factory=lambda: deque(maxlen=LEDGERS))
    _acts: dict[tuple[str, str], deque[str]] = field(init=False, factory=dict)
    _texts: dict[str, deque[Message]] = field(init=False, factory=dict)

    def feed(self, message: Message) -> None:
        match message["type"]:
            case "snapshot":
                self.looks += 1
                self.more = message["more"]
                if message["graphs"] or not self.ledgers:  # what was seen last stays on the screen
                    self.graphs, self.rooms = message["graphs"], message["rooms"]
                self._remember()
            case "ledger":
                ledger = Ledger(message["graph"], message["state"], report_of(message["report"]))
                self.ledgers.append(ledger)
            case "over":
                self.over = True

    def acts(self, graph: str, stage: str) -> Sequence[str]:
        """What the stage did at the last looks, the newest last: see `act`."""
        return self._acts.get((graph, stage), ())

    def texts(self, graph: str) -> Sequence[Message]:
        """The texts that were the newest of their outputs at some look, in that order, each as it was last."""
        return self._texts.get(graph, ())

    def _remember(self) -> None:
        past, self._acts = self._acts, {}
        for graph in self.graphs:
            for stage in graph["stages"]:
                key = graph["name"], stage["name"]
                self._acts[key] = past.get(key, deque(maxlen=LOOKS))
                self._acts[key].append(act(stage))
        past_texts, self._texts = self._texts, {}
        for graph in self.graphs:
            kept = self._texts[graph["name"]] = past_texts.get(graph["name"], deque(maxlen=TEXTS))
            for text in graph["texts"]:
                _replace(kept, text)


def act(stage: Message) -> str:
    """What a stage does, in a word or two. Of a fused stage nothing is said: it does what heads its task."""
    if stage["task"] != stage["name"]:
        return ""
    if stage["state"] != "running":
        return "not begun" if stage["state"] == "waiting" else str(stage["state"])
    return "busy" if stage["busy"] else {"input": "waits", "room": "held up"}.get(stage["waits_for"], "cut off")


def _replace(kept: deque[Message], text: Message) -> None:
    """Put `text` where it, or what it grew from, is already; or else behind all."""
    for place, past in enumerate(kept):
        same = all(past[name] == text[name] for name in ("output", "utterance"))
        if same and (not past["final"] or (past["start_ms"], past["text"]) == (text["start_ms"], text["text"])):
            kept[place] = text
            return
    kept.append(text)


def report_of(told: Mapping[str, Any]) -> Report:
    """The report that was told as JSON."""
    stages = tuple(StageLine(**_known(StageLine, line)) for line in told["stages"])
    edges = tuple(EdgeLine(**_known(EdgeLine, line)) for line in told["edges"])
    return Report(**{**_known(Report, told), "stages": stages, "edges": edges})


def _known(kind: type[Any], told: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: told[each.name] for each in fields(kind) if each.name in told}


@frozen
class Row:
    """A stage with what comes into it; where several edges do, each but the first has a row without a stage."""

    stage: Message | None
    edge: Message | None

    @property
    def name(self) -> str:
        if self.stage is None:
            return ""
        return str(self.stage["name"]) if self.stage["task"] == self.stage["name"] else f"+ {self.stage['name']}"

    @property
    def short_name(self) -> str:
        """Without the assembly that it is a part of."""
        head, slash, part = self.name.rpartition("/")
        return f"{head[: 2 * head.startswith('+ ')]}…/{part}" if slash else self.name

    @property
    def fused(self) -> bool:
        return self.edge is not None and bool(self.edge["fused"])

    @property
    def source(self) -> str:
        """Where it comes from, as `stage` or `stage.port`."""
        return str(self.edge["name"]).partition(" -> ")[0] if self.edge else ""

    @property
    def queue(self) -> str:
        """What waits on it now; a fused edge holds nothing."""
        if self.edge is None or self.fused:
            return ""
        if self.edge["texts_waiting"]:
            return plural(self.edge["texts_waiting"], "text")
        return _short(self.edge["queue_s"]) if self.edge["sent_s"] else ""

    @property
    def peak(self) -> str:
        if self.edge is None or self.fused or not self.edge["sent_s"]:
            return ""
        return _short(self.edge["peak_queue_s"])

    @property
    def dropped(self) -> str:
        if self.edge is None:
            return ""
        sound = _short(self.edge["dropped_s"]) if self.edge["dropped_s"] else ""
        return sound or (plural(self.edge["texts_dropped"], "text") if self.edge["texts_dropped"] else "")

    @property
    def rate(self) -> str:
        """Times real time; of texts, how many there were."""
        if self.edge is None:
            return ""
        texts = plural(self.edge["texts"], "text") if self.edge["texts"] else ""
        return times(self.edge["rate_x"]) if self.edge["sent_s"] else texts


def _short(value: float) -> str:
    """To a tenth: what changes twice a second needs no more."""
    return clock(value) if value >= 60 else f"{value:.1f} s"


def rows(graph: Message) -> Iterator[Row]:
    """The stages in the graph's order, each with its inputs."""
    for stage in graph["stages"]:
        into = [edge for edge in graph["edges"] if edge["consumer"] == stage["name"]]
        yield Row(stage, into[0] if into else None)
        yield from (Row(None, edge) for edge in into[1:])


def headline(graph: Message) -> str:
    """`running, 0:34 of 1:00, 3.2x real time`."""
    of = f" of {clock(graph['total_s'])}" if graph["total_s"] is not None else ""
    pace = f", {times(graph['done_s'] / graph['at_s'])} real time" if graph["at_s"] > 0 and graph["done_s"] else ""
    return f"{graph['state']}, {clock(graph['done_s'])}{of}{pace}"


def room_lines(room: Message) -> Iterator[str]:
    """How a room's listeners fare: how many they are, how late what is said comes to them, and each language."""
    yield f"{room['title']}: {room['state']}, {plural(room['people'], 'listener')}"
    if lags := [_lag(until, lag) for until, lag in room["lag"].items() if lag["n"]]:
        yield "  " + ", ".join(lags)
    if told := [_language(tag, each) for tag, each in room["listeners"].items()]:
        yield "  " + "; ".join(told)


def _lag(until: str, lag: Message) -> str:
    """`shown after 1.2 s (p95 2.0 s)`."""
    return f"{until} after {lag['p50_s']:.1f} s (p95 {lag['p95_s']:.1f} s)"


def _language(tag: str, listeners: Message) -> str:
    """`pt-br 8, 3 hear the voice, 0.5 s dropped`."""
    voices, dropped_s = listeners["voices"], listeners["dropped_s"]
    told = [f"{tag} {listeners['count']}"]
    if voices:
        told.append(f"{voices} hear{'s' if voices == 1 else ''} the voice")
    if dropped_s:
        told.append(f"{dropped_s:.1f} s dropped")
    return ", ".join(told)
