"""YAML text to a Graph, with every problem at once: `file:line:column`, what was wanted, what came, what to do.

In this order, each step on what the one before gave: compose nodes, put in what comes from outside, cover
the secrets, read the params, read each stage by its class's options, check the graph. Bad input raises
nothing; it is said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import attrs
from attrs import define, field, frozen

from pipeline.graph import Graph
from pipeline.loading.build import Build
from pipeline.loading.forms import came, form_of
from pipeline.loading.kinds import Kind, NoKind, look_up
from pipeline.loading.masking import Masking
from pipeline.loading.page import MOST_PROBLEMS, SECRET, Findings, Page, shown
from pipeline.loading.params import Param, Params
from pipeline.loading.reading import UNREAD, read_value, say_unknown, say_wrong
from pipeline.loading.yaml_nodes import MOST_CHARS, Entry, Scalar, Table, compose
from pipeline.problems import GraphError, Problem, Where, did_you_mean, one_of
from pipeline.stage import Kinds

__all__ = ["TOP", "Loaded", "load", "load_file"]

TOP: Mapping[str, str] = {
    "name": "what the graph is called; its file's name where it does not say",
    "help": "what the graph is for",
    "description": "the same as `help`",
    "params": "what is set from outside, by name: a default, or {help, type, default, required, choices, secret}",
    "stages": "the stages by name, each with `use`, mostly `from`, and the options of its kind",
}
"""What a graph file may say, and what it means. Keys that begin with `x-` are for anchors, and are not read."""

_STAGE_NAME = re.compile(r"[_-]*[A-Za-z0-9][A-Za-z0-9_-]*")
LONGEST_NAME = 100
MOST_STAGES = 500
MOST_READS = 2000
"""Both far beyond any graph; the check asks each name against all others."""


@frozen
class Loaded:
    """A graph, and all that is wrong with it. With an error in `problems` the graph is not whole."""

    graph: Graph
    problems: tuple[Problem, ...] = ()
    params: Mapping[str, Param] = field(factory=dict)
    help: str = ""

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if not problem.warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.warning)

    @property
    def ok(self) -> bool:
        """Whether it can run; there may be warnings."""
        return not self.errors

    def raise_for_errors(self) -> Graph:
        """The graph. Raises: GraphError with all problems where there is an error among them."""
        if not self.ok:
            raise GraphError(self.problems)
        return self.graph


def load_file(
    path: str | os.PathLike[str],
    kinds: Kinds,
    *,
    params: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    complete: bool = True,
) -> Loaded:
    """The graph in the file `path`, as `load` reads it. A file that cannot be read is a problem like any other."""
    text = _read_text(Path(path))
    if isinstance(text, Problem):
        return Loaded(Graph(Path(path).stem or "graph"), (text,))
    return load(text, str(path), kinds, params=params, options=options, env=env, complete=complete)


def load(
    text: str,
    file: str,
    kinds: Kinds,
    *,
    params: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    complete: bool = True,
) -> Loaded:
    """The graph that `text` describes, and everything that is wrong with it. Never raises for bad input.

    `file` names the text in problems. `params` are values for its params; `options` replace what it says, by
    `stage.option`; `env` is the environment (None: this process's own). Without `complete`, params and variables
    that have no value are let pass, and what depends on them is not built: for checking a graph before anybody
    has chosen its input.
    """
    loader = _Loader(
        # Of what is too long, what is needed to see that.
        findings=Findings(Page(file, text.removeprefix("\ufeff")[: MOST_CHARS + 1])),
        kinds=kinds,
        given=params or {},
        options=options or {},
        env=os.environ if env is None else env,
        complete=complete,
    )
    return loader.load()


def _read_text(path: Path) -> str | Problem:
    """The text of `path`, or why there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(4 * MOST_CHARS + 1)
    except (OSError, ValueError) as wrong:  # ValueError: a NUL in the path
        reason = wrong.strerror if isinstance(wrong, OSError) and wrong.strerror else str(wrong)
        return Problem(f"cannot read the graph {shown(str(path), 200)}: {reason.lower()}")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem("the file is UTF-16", Where(str(path), 1, 1), "UTF-8", remedy="save it as UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode()
    except UnicodeDecodeError as wrong:
        if len(data) > 4 * MOST_CHARS:
            return data.decode(errors="replace")
        return _not_utf8(path, data, wrong.start)


def _not_utf8(path: Path, data: bytes, start: int) -> Problem:
    before = data[:start].decode()
    page = Page(str(path), before + data[start:].decode("latin-1"))
    page.mask_suspects()
    came = f"the byte 0x{data[start]:02X}"
    return Problem("the file is not UTF-8", page.where(len(before)), "UTF-8", came, "save it as UTF-8")


@define
class _Loader:
    """One load: each method is a step."""

    findings: Findings
    kinds: Kinds
    given: Mapping[str, str] = field(repr=False)
    options: Mapping[str, str] = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    complete: bool
    graph: Graph = field(init=False)
    _found: dict[str, Kind | NoKind] = field(init=False, factory=dict)
    _reads: int = field(init=False, default=0)
    _reads_lost: bool = field(init=False, default=False)

    def load(self) -> Loaded:
        page = self.findings.page
        self.graph = Graph(Path(page.file).stem or "graph")
        root = compose(self.findings)
        if not isinstance(root, Table):
            page.mask_suspects()
            if root is not None:
                say_wrong(self.findings, "a graph", "a mapping with `stages:`", came(root), root.start)
            return Loaded(self.graph, tuple(self.findings.problems()))
        root = self._overridden(root)
        masking = self._masked(root)
        help_text = self._top(root)
        secret = frozenset(masking.params)
        params = Params(
            self.findings,
            self.given,
            self.env,
            secret,
            self.complete,
            overridden=bool(self.options),
            secrets=masking.texts,
        )
        params.read(root.get("params"))
        self._stages(root, params)
        params.say_unused()
        hunted = [secret for secret in params.secrets if masking.is_hunted(secret)]
        problems = [_without(problem, hunted) for problem in self._problems()]
        return Loaded(self.graph, tuple(problems), params.known, help_text)

    def _overridden(self, root: Table) -> Table:
        """`root` with what was given from outside as `stage.option` in its place."""
        stages = root.get("stages")
        if not isinstance(stages, Table):
            return root
        new = {entry.key.text: entry for entry in stages.entries}
        for target, text in self.options.items():
            name, dot, option = target.partition(".")
            if dot and name in new:
                new[name] = _with(new[name], option, text)
            else:
                what = f"there is no stage {shown(name)}" if dot else f"{shown(target)} is no option of a stage"
                self.findings.say(
                    f"{what} (given on the command line)",
                    wanted=f"stage.option, the stage {one_of(new)}",
                    came=shown(target),
                    remedy=did_you_mean(name, new),
                )
        changed = Entry(Scalar("stages"), attrs.evolve(stages, entries=tuple(new.values())))
        return attrs.evolve(
            root, entries=tuple(changed if each.value is stages else each for each in root.entries)
        )

    def _masked(self, root: Table) -> Masking:
        stages = root.get("stages")
        for entry in stages.entries[:MOST_STAGES] if isinstance(stages, Table) else ():
            use = entry.value.get("use") if isinstance(entry.value, Table) else None
            if isinstance(use, Scalar) and use.text not in self._found:
                self._found[use.text] = look_up(use.text, self.kinds)
        masking = Masking(
            self.findings.page, self._found, lambda: (look_up(name, self.kinds) for name in self.kinds)
        )
        masking.graph(root)
        return masking

    def _top(self, root: Table) -> str:
        """Name the graph, and return what it says of itself."""
        for entry in root.entries:
            key = entry.key.text
            if key not in TOP and not key.startswith("x-"):
                say_unknown(self.findings, "a graph", "key", entry.key, TOP)
        self.graph.name = self._text(root, "name") or self.graph.name
        return self._text(root, "help") or self._text(root, "description")

    def _text(self, root: Table, key: str) -> str:
        node = root.get(key)
        text = "" if node is None else read_value(self.findings, repr(key), form_of(str), node)
        return "" if text is UNREAD else str(text)

    # --- stages

    def _stages(self, root: Table, params: Params) -> None:
        entry = root.entry("stages")
        if entry is None:
            remedy = "add `stages:` with `name: {use: ...}` below it"
            self.findings.say("the graph has no 'stages'", root.start, wanted="stages: {...}", remedy=remedy)
        elif not isinstance(entry.value, Table):
            wanted = "a mapping {name: {use: ..., from: ...}}"
            say_wrong(self.findings, "'stages'", wanted, came(entry.value), entry.value.start)
        elif not entry.value.entries:
            self.findings.say("a graph needs at least one stage", entry.value.start)
        else:
            for each in entry.value.entries:
                if self._room(each.key.start):
                    self._stage(each, params)

    def _room(self, at: int) -> bool:
        """Whether the graph may grow still; where it may not, that is said once."""
        if len(self.graph.nodes) < MOST_STAGES and self._reads <= MOST_READS:
            return not self.findings.full
        if self._reads <= MOST_READS:
            self._say_too_large(at)
            self._reads = MOST_READS + 1
        return False

    def _say_too_large(self, at: int) -> None:
        wanted = f"at most {MOST_STAGES} stages and {MOST_READS} edges"
        self.findings.say("the graph is too large", at, wanted=wanted)
        self._reads_lost = True

    def _stage(self, entry: Entry, params: Params) -> None:
        name, at = entry.key.text, entry.key.start
        if len(name) > LONGEST_NAME or not _STAGE_NAME.fullmatch(name):
            wanted = f"letters, digits, _ and -, at most {LONGEST_NAME}"
            self.findings.say(f"{shown(name)} is no name for a stage", at, wanted=wanted)
            self._reads_lost = True
        build = Build(self.findings, params, self._found, self.kinds, name[:LONGEST_NAME], at)
        build.read(entry.value)
        self._reads += len(build.reads or ())
        if self._reads > MOST_READS:
            self._say_too_large(at)
            return
        self._reads_lost = self._reads_lost or build.reads is None
        # It goes in under a wrong name too, so that nobody is told that it is not there.
        self.graph.nodes[build.name] = build.node()

    def _problems(self) -> list[Problem]:
        """What was found, and what the check finds, in the order of the file; the command line's own first."""
        checked = self.graph.check() if self.graph.nodes else []
        if self._reads_lost:
            # Who reads what is not known, so nobody can be said to be unread.
            checked = [problem for problem in checked if not problem.warning]
        problems = sorted([*self.findings.problems(), *checked], key=_place)
        if len(problems) > MOST_PROBLEMS:
            more = f"{len(problems) - MOST_PROBLEMS} problems more: mend these first"
            problems[MOST_PROBLEMS:] = [Problem(more, problems[MOST_PROBLEMS].where)]
        return problems


def _place(problem: Problem) -> tuple[int, int]:
    return (problem.where.line, problem.where.column) if problem.where else (0, 0)


def _without(problem: Problem, secrets: Collection[str]) -> Problem:
    """`problem` with no secret in its texts, however it came there."""
    texts = {name: getattr(problem, name) for name in ("what", "wanted", "came", "remedy")}
    for secret in secrets:
        # In a message a text may stand as `repr` gives it.
        for form in (secret, repr(secret)[1:-1]):
            texts = {name: text.replace(form, SECRET) for name, text in texts.items()}
    return attrs.evolve(problem, **texts)


def _with(entry: Entry, option: str, text: str) -> Entry:
    """The stage's entry with the text of one option exchanged, or added."""
    if not isinstance(entry.value, Table):
        return entry
    own = entry.value.entry(option)
    new = Entry(own.key if own else Scalar(option), Scalar(text, plain=True))
    others = tuple(each for each in entry.value.entries if each is not own)
    return Entry(entry.key, attrs.evolve(entry.value, entries=(*others, new)))
