"""One stage of a graph file: its kind, what it reads, its options, and the stage built from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from pipeline.loading.forms import came
from pipeline.loading.kinds import Kind, NoKind
from pipeline.loading.options import Option
from pipeline.loading.page import SECRET, Findings, shown
from pipeline.loading.params import Filled, Params, references
from pipeline.loading.reading import UNREAD, read_from, read_value, say_unknown, say_wrong
from pipeline.loading.yaml_nodes import Entry, Scalar, Table, Yaml
from pipeline.node import Node, Read
from pipeline.problems import did_you_mean, one_of
from pipeline.stage import Kinds, Stage, StageError

__all__ = ["Build"]


@define
class Build:
    """Reads the stage `name`. `stage` stays None where it cannot be built, `reads` where one names no stage."""

    findings: Findings
    params: Params
    found: Mapping[str, Kind | NoKind]
    kinds: Kinds
    name: str
    at: int
    kind: Kind | None = None
    stage: Stage | None = None
    reads: tuple[Read, ...] | None = ()
    _places: dict[str, int] = field(init=False, factory=dict)

    def node(self) -> Node:
        """What the graph gets. What reads something unknown is unknown itself: the check leaves it alone."""
        places = {name: self.findings.page.where(at) for name, at in self._places.items()}
        return Node(
            self.name,
            self.stage if self.reads is not None else None,
            self.reads or (),
            self.kind.name if self.kind else "",
            self.findings.page.where(self.at),
            {name: where for name, where in places.items() if where is not None},
        )

    def read(self, node: Yaml) -> None:
        if not isinstance(node, Table):
            wanted = "a mapping {use: KIND, from: STAGE, ...}"
            one = f"write {{use: {node.text}}}" if isinstance(node, Scalar) and node.text in self.kinds else ""
            say_wrong(self.findings, f"stage {self.name!r}", wanted, came(node), node.start, one)
            self.reads = None
            return
        self.kind = self._kind(node)
        self._read_from(node.get("from"))
        if self.kind is None:
            # What the options refer to is in use all the same.
            for entry in self._settings(node):
                self.params.fill(entry.value)
        else:
            self.stage = self._built(self.kind, node)

    def _settings(self, node: Table) -> list[Entry]:
        return [entry for entry in node.entries if entry.key.text not in ("use", "from")]

    def _kind(self, node: Table) -> Kind | None:
        use = node.get("use")
        if use is None:
            self._say_no_use(node)
            return None
        found = self.found.get(use.text) if isinstance(use, Scalar) else None
        if isinstance(found, Kind):
            return found
        if found is None:
            say_wrong(
                self.findings, f"'use' of {self.name!r}", "the name of a kind of stage", came(use), use.start
            )
        else:
            self.params.fill(use)
            remedy = "`use` takes a name, and is not filled in" if "${" in came(use) else found.remedy
            what = f"{self.name!r}: {found.what}"
            self.findings.say(what, use.start, wanted=found.wanted, came=came(use), remedy=remedy)
        return None

    def _say_no_use(self, node: Table) -> None:
        keys = [entry.key for entry in self._settings(node)]
        odd = next((key for key in keys if _means_use(key.text)), None)
        self.findings.say(
            f"{self.name!r} does not say what kind of stage it is",
            odd.start if odd else self.at,
            wanted=one_of(self.kinds, most=40),
            remedy=f"write `use: KIND` instead of {shown(odd.text)}" if odd else "add `use: KIND`",
        )

    def _read_from(self, node: Yaml | None) -> None:
        if node is None:
            return
        filled = self.params.fill(node)
        reads = None if filled.missing else read_from(self.findings, repr(self.name), filled.node)
        self.reads = None if reads is None else tuple(reads)

    # --- options

    def _built(self, kind: Kind, node: Table) -> Stage | None:
        values: dict[str, Any] = {}
        for entry in self._settings(node):
            option = kind.options.get(entry.key.text)
            filled = self.params.fill(entry.value)
            if option is None:
                known = (*kind.options, "from", "use")
                say_unknown(self.findings, f"{self.name!r} ({kind.name})", "option", entry.key, known)
                values[entry.key.text] = UNREAD
            else:
                values[option.name] = self._value(option, entry.value, filled)
        missing = [option for option in kind.options.values() if option.required and option.name not in values]
        for option in missing:
            self._say_missing(option)
        if missing or any(value is UNREAD for value in values.values()):
            return None
        return self._made(kind, values)

    def _value(self, option: Option, node: Yaml, filled: Filled) -> Any:
        """The value of an option, or UNREAD."""
        self._places[option.name] = node.start
        if filled.missing and not (option.opens and not self.params.complete):
            return UNREAD
        label = repr(f"{self.name}.{option.name}")
        self._warn_of_secret(option, node, label)
        secret = option.secret or filled.secret
        # A path that nobody has chosen yet stands as it is written: nothing is opened when a graph is checked.
        value = read_value(self.findings, label, option.form, node if filled.missing else filled.node, secret)
        if value is UNREAD or value is None or option.check is None or (wanted := option.check(value)) is None:
            return value
        say_wrong(self.findings, label, wanted, SECRET if secret else came(filled.node), node.start)
        return UNREAD

    def _warn_of_secret(self, option: Option, node: Yaml, label: str) -> None:
        names = references(node.text) if isinstance(node, Scalar) and not option.secret else []
        for name in names:
            if name in self.params.known and self.params.known[name].secret:
                what = f"the param {name!r} is secret, but {label} is not: it shows its value"
                self.findings.say(what, node.start, remedy="use it in secret options only", warning=True)

    def _say_missing(self, option: Option) -> None:
        self.findings.say(
            f"{self.name!r} needs the option {option.name!r}",
            self.at,
            wanted=f"{option.name}: {option.wanted} ({option.help})",
            remedy=f"add `{option.name}: {option.example_text}`",
        )

    def _made(self, kind: Kind, values: Mapping[str, Any]) -> Stage | None:
        try:
            made: Stage = kind.make(**values)
        except (ValueError, TypeError, StageError) as wrong:
            self._say_refused(str(wrong))
            return None
        return made

    def _say_refused(self, message: str) -> None:
        """Say what a stage refuses when it is made: `option: wanted ..., came ...`, or anything."""
        match = re.fullmatch(r"(\w+): wanted (.*), came (.*)", message, re.DOTALL)
        if match is None:
            self.findings.say(f"{self.name!r}: {message}", self.at)
            return
        option, wanted, what = match.groups()
        at = self._places.get(option, self.at)
        say_wrong(self.findings, repr(f"{self.name}.{option}"), wanted, what, at)


def _means_use(key: str) -> bool:
    return key in ("kind", "type") or key.startswith("use:") or bool(did_you_mean(key, ["use"]))
