"""Running a graph for the command line: how to show it, and its end in words and an exit code."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from pathlib import Path
from typing import Any

import anyio
from attrs import frozen

from pipeline.cli import problems as shown
from pipeline.cli.controlling import control_folder_of
from pipeline.cli.exits import Exit, refuse, say_error
from pipeline.cli.faults import Told, tell
from pipeline.cli.json_lines import JsonLines
from pipeline.cli.keyboard import can_listen, keyboard, pausing
from pipeline.cli.summary import Marks, losses, marks, show, summary
from pipeline.cli.validating import tell_program
from pipeline.cli.views import JsonView, PlainView, QuietView, with_texts_told
from pipeline.cli.watch import Keys, Outcome, View, attend
from pipeline.graph import Graph
from pipeline.ledger import Report
from pipeline.problems import GraphError
from pipeline.runner import DRAIN_S, Execution
from pipeline.stage import StageError

__all__ = ["Wishes", "run_graph", "wishes_of"]


@frozen
class Wishes:
    """How a run should be done, shown and reported."""

    backend: str = "asyncio"
    json: bool = False
    report: Path | None = None
    drain_s: float = DRAIN_S
    quiet: bool = False
    traceback: bool = False
    control: bool = True


def wishes_of(backend: str, output_format: str, report: Path | None, drain_s: float, **more: bool) -> Wishes:
    """From the options of the command line, as `pipeline.cli.options` names them."""
    return Wishes(backend, output_format == "json", report, drain_s, **more)


def run_graph(graph: Graph, wishes: Wishes) -> int:
    """Run `graph` to its end, tell how it went, and return the exit code."""
    if wishes.backend == "trio":
        _need_trio()
    if wishes.report is not None:
        _need_room_for(wishes.report)
    lines = JsonLines(sys.stdout) if wishes.json else None
    try:
        looking, seen = _view(graph, wishes, lines)
        execution = Execution(seen, drain_s=wishes.drain_s)
    except GraphError as wrong:  # an assembly can find something that the graph's own check cannot
        if lines is not None:
            tell_program(graph.name, wrong.problems, fine=False)
        shown.show(wrong.problems)
        raise refuse(f"{shown.count(wrong.problems)} in the graph; nothing was run", Exit.BAD_GRAPH) from None
    before = marks(graph)
    with _terminal_kept(), _stdout_kept_for(lines), looking as view, _keys(graph) as keys:
        folder = control_folder_of(wishes.control)
        outcome = anyio.run(attend, execution, view, folder, keys, backend=wishes.backend)
    return _conclude(graph, before, outcome, wishes, lines)


def _need_trio() -> None:
    try:
        import trio  # noqa: F401
    except ImportError:
        raise refuse("--backend trio: trio is not installed: pip install trio") from None


def _need_room_for(report: Path) -> None:
    from stages.out_file import probe_file

    try:
        probe_file(report)
    except StageError as wrong:
        raise refuse(f"--report: {wrong}", Exit.FAILED) from None


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """Have standard error stay the terminal that it is, also while a stage puts the file descriptor aside.

    Stages with devices do so, for what libraries write there; a screen that is drawn meanwhile must not break.
    """
    if not sys.stderr.isatty():
        yield
        return
    terminal = os.dup(sys.stderr.fileno())
    encoding, errors = sys.stderr.encoding, sys.stderr.errors
    with os.fdopen(terminal, "w", 1, encoding=encoding, errors=errors) as stream, redirect_stderr(stream):
        yield


@contextmanager
def _stdout_kept_for(lines: JsonLines | None) -> Iterator[None]:
    """While JSON is written to standard output, what stages print goes to standard error."""
    if lines is None:
        yield
    else:
        with redirect_stdout(sys.stderr):
            yield


def _view(graph: Graph, wishes: Wishes, lines: JsonLines | None) -> tuple[View, Graph]:
    """Who looks at the run, and the graph with what it needs to see. Raises: GraphError."""
    if lines is not None:
        view: View = QuietView() if wishes.quiet else JsonView(lines=lines)
        return view, with_texts_told(graph, lines)
    if wishes.quiet:
        return QuietView(), graph
    if not sys.stderr.isatty():
        return PlainView(), graph
    can_pause = bool(pausing(node.stage for node in graph.nodes.values()))
    if sys.stdout.isatty() and (can_pause or any(node.kind == "console" for node in graph.nodes.values())):
        from pipeline.cli.live_screen import LiveScreen

        return LiveScreen.of(graph, keys=can_pause and can_listen())
    from pipeline.cli.screen import ScreenView

    return ScreenView(), graph


def _keys(graph: Graph) -> AbstractContextManager[Keys | None]:
    """The keyboard, where there is something that can be paused."""
    if not pausing(node.stage for node in graph.nodes.values()):
        return nullcontext()
    return keyboard()


# --- the end


def _conclude(graph: Graph, before: Marks, outcome: Outcome, wishes: Wishes, lines: JsonLines | None) -> int:
    """What went wrong comes first, then what was written all the same and what was lost."""
    report = outcome.report
    faults = [tell(fault) for fault in outcome.faults]
    code = _exit_code(outcome, faults)
    for fault in faults:
        if wishes.traceback:
            print(fault.traceback, file=sys.stderr)
        say_error(fault.line)
    if lines is None and not wishes.quiet and (report.failed or not faults):  # else nothing has begun
        show(summary(graph, report, before), sys.stderr)
    if not report.balanced:
        say_error(f"the ledger does not balance, which is a bug in dragoman: {_unbalanced(report)}")
    elif code == Exit.LOSS and (wishes.quiet or lines):
        lost = "; ".join(f"{loss.amount} at {loss.where}: {loss.why}" for loss in losses(report))
        say_error(f"finished with loss: {lost}")
    told = {**report.as_json(), "exit_code": code, "errors": [fault.line for fault in faults]}
    if wishes.report is not None:
        _write_report(wishes.report, told)
    if lines is not None:
        with suppress(OSError) if faults else nullcontext():  # then it has been told
            lines.write("report", **told)
    if outcome.interrupts > 1:
        _leave(code)
    return code


def _exit_code(outcome: Outcome, faults: Sequence[Told]) -> int:
    """The gravest: a second interrupt, a fault, a ledger that is wrong, an interrupt, a loss."""
    if outcome.interrupts > 1:
        return Exit.INTERRUPTED
    if faults:
        return max(fault.code for fault in faults)
    if not outcome.report.balanced:
        return Exit.FAILED
    if outcome.interrupts:
        return Exit.INTERRUPTED
    return Exit.LOSS if outcome.report.lost else Exit.OK


def _unbalanced(report: Report) -> str:
    return "; ".join(
        f"{edge.name}: sent {edge.sent}, received {edge.received}, dropped {edge.dropped}, "
        f"declined {edge.declined}, in flight {edge.in_flight}"
        for edge in report.edges
        if not edge.balanced
    )


def _write_report(path: Path, told: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(told, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    except OSError as wrong:
        raise refuse(f"--report {path}: {(wrong.strerror or str(wrong)).lower()}", Exit.FAILED) from None


def _leave(code: int) -> None:
    """End at once where a model still works in a thread, which the interpreter would wait for."""
    if all(thread is threading.main_thread() or thread.daemon for thread in threading.enumerate()):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
