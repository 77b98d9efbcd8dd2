"""The params of a graph, and `${...}` in its values.

- `${name}` is the param, given with `-p name=value` or its default;
- `${env:NAME}` is the environment variable, `${env:NAME:-default}` the default where it is unset or empty;
- `$$` is one `$`; any other `$` is itself.

What is filled in is text and stays text: it is not filled in again, and the option's type reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import attrs
from attrs import define, field, frozen

from pipeline.loading.forms import Choice, Form, came, form_of
from pipeline.loading.page import SECRET, Findings, looks_secret, shown
from pipeline.loading.reading import UNREAD, read_table, read_value, say_wrong
from pipeline.loading.yaml_nodes import Entry, Scalar, Series, Table, Yaml
from pipeline.problems import Where, did_you_mean, one_of
from pipeline.stage import Duration

__all__ = ["SETTINGS", "TYPES", "Filled", "Param", "Params", "references"]

TYPES: Mapping[str, object] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "path": Path,
    "duration": Duration,
}
"""What a param's `type:` may be."""

SETTINGS: Mapping[str, Form] = {
    "help": form_of(str),
    "type": Choice(tuple(TYPES)),
    "default": form_of(str | None),
    "required": form_of(bool),
    "choices": form_of(tuple[str, ...]),
    "secret": form_of(bool),
}
"""What a param's declaration may say."""

MOST_FILLED_CHARS = 1 << 20
"""What all references together may bring: a long default used a thousand times must not fill the memory."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\$|\$\{([^{}]*)(\}?)")


@frozen
class Param:
    """A param as the graph declares it, and the value it has in this load (None: it has none).

    Default and value are texts. A `secret` one shows neither; use `default_text` for what may be shown.
    """

    name: str
    help: str = ""
    type: str = "str"
    required: bool = True
    choices: tuple[str, ...] = ()
    secret: bool = False
    default: str | None = field(default=None, repr=False)
    value: str | None = field(default=None, repr=False)
    where: Where | None = field(default=None, repr=False)

    @property
    def default_text(self) -> str:
        """The default, as it may be shown; empty where there is none."""
        return SECRET if self.secret and self.default else self.default or ""

    @property
    def form(self) -> Form:
        """What a value must look like."""
        return Choice(self.choices) if self.choices else form_of(TYPES[self.type])


@frozen
class Filled:
    """A node without references. `secret`: a secret is in it. `missing`: something it refers to has no value."""

    node: Yaml = field(repr=False)
    secret: bool = False
    missing: bool = False


def references(text: str) -> list[str]:
    """The names of the params that `text` refers to."""
    bodies = [match[1].strip() for match in _REFERENCE.finditer(text) if match[2]]
    return [body for body in bodies if not body.startswith("env:")]


@define
class Params:
    """Reads `params:`, then fills references in.

    `given` are the values from outside; `secret` names the params whose value goes where a secret goes;
    without `complete`, a param or a variable that has no value is no problem.
    `overridden`: options from outside stand where references may have stood.
    `secrets` collects what may never be shown.
    """

    findings: Findings
    given: Mapping[str, str] = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    secret: frozenset[str] = frozenset()
    complete: bool = True
    overridden: bool = False
    known: dict[str, Param] = field(factory=dict)
    secrets: set[str] = field(factory=set, repr=False)
    _places: dict[str, int] = field(factory=dict)
    _used: set[str] = field(factory=set)
    _astray: bool = False
    _chars: int = 0

    # --- what the graph declares

    def read(self, node: Yaml | None) -> None:
        """Read the declarations under `params:`, and what was given for them."""
        if isinstance(node, Table):
            for entry in node.entries:
                self._declare(entry)
        elif node is not None and not (isinstance(node, Scalar) and node.nothing):
            say_wrong(self.findings, "'params'", "a mapping {name: default}", came(node), node.start)
        for name in self.given.keys() - self.known.keys():
            self.findings.say(
                f"the graph has no param {shown(name)} (given on the command line)",
                wanted=one_of(self.known),
                came=shown(name),
                remedy=did_you_mean(name, self.known),
            )

    def _declare(self, entry: Entry) -> None:
        name, node = entry.key.text, entry.value
        if not _NAME.fullmatch(name):
            what = f"{shown(name)} is no name for a param"
            self.findings.say(what, entry.key.start, wanted="letters, digits, _ and -, a letter first")
            return
        self._places[name] = entry.key.start
        if isinstance(node, Scalar):
            node = Table((Entry(Scalar("default"), node),))
        before = len(self.findings)
        param = self._described(name, node) if isinstance(node, Table) else Param(name)
        if isinstance(node, Series):
            wanted = "a default, or {help: ..., default: ...}"
            say_wrong(self.findings, f"param {name!r}", wanted, came(node), node.start)
        broken = len(self.findings) > before
        default = node.get("default") if isinstance(node, Table) else None
        self.known[name] = param if broken else self._valued(param, default)

    def _described(self, name: str, node: Table) -> Param:
        default = node.get("default")
        settings = read_table(self.findings, f"param {name!r}", "setting", self._default_filled(node), SETTINGS)
        has_default = settings.get("default") is not None
        if settings.setdefault("required", not has_default) and has_default and default is not None:
            what = f"param {name!r} is required, so its default is of no use"
            self.findings.say(what, default.start, remedy="take `required` or `default` away")
        settings["secret"] = settings.get("secret", False) or name in self.secret
        return Param(name, where=self.findings.page.where(self._places[name]), **settings)

    def _default_filled(self, node: Table) -> Table:
        """The declaration with `${env:...}` filled in its default, which may refer to nothing else."""
        default = node.entry("default")
        if default is None or not isinstance(default.value, Scalar):
            return node
        if names := references(default.value.text):
            self._astray = True
            what = f"a default cannot refer to a param, as here to {shown(names[0])}"
            self.findings.say(what, default.value.start, remedy="only ${env:NAME} can stand here")
            return node
        filled = Entry(default.key, self.fill(default.value).node)
        return attrs.evolve(node, entries=tuple(filled if each is default else each for each in node.entries))

    def _valued(self, param: Param, default: Yaml | None) -> Param:
        """`param` with the value given for it, else its default; empty where it has neither and needs none."""
        value = self.given.get(param.name, param.default)
        if value is None:
            if param.required and self.complete:
                self._say_missing(param)
            return param if param.required else attrs.evolve(param, value="")
        if param.secret:
            self.secrets |= {value, param.default or value}
        place = default.start if default is not None and param.name not in self.given else -1
        node = Scalar(value, place, place)
        wrong = read_value(self.findings, f"param {param.name!r}", param.form, node, param.secret) is UNREAD
        return param if wrong else attrs.evolve(param, value=value)

    def _say_missing(self, param: Param) -> None:
        self.findings.say(
            f"param {param.name!r} has no value",
            self._places[param.name],
            wanted=param.help or param.form.wanted,
            remedy=f"give one: -p {param.name}=..., or write a default",
        )

    def say_unused(self) -> None:
        """Warn of params that nothing refers to, unless a reference that went astray, or is overridden, may."""
        for name, place in self._places.items():
            if name not in self._used and not self._astray and not self.overridden:
                remedy = f"write ${{{name}}} where it belongs, or take it away"
                self.findings.say(f"nothing refers to the param {name!r}", place, remedy=remedy, warning=True)

    # --- references

    def fill(self, node: Yaml) -> Filled:
        """`node` with all references in its texts (not in its keys) filled in."""
        if isinstance(node, Scalar):
            return self._fill_text(node) if "$" in node.text else Filled(node)
        if isinstance(node, Series):
            inner = [self.fill(each) for each in node.nodes]
            filled: Yaml = attrs.evolve(node, nodes=tuple(each.node for each in inner))
        else:
            inner = [self.fill(entry.value) for entry in node.entries]
            entries = (Entry(entry.key, each.node) for entry, each in zip(node.entries, inner, strict=True))
            filled = attrs.evolve(node, entries=tuple(entries))
        return Filled(filled, any(each.secret for each in inner), any(each.missing for each in inner))

    def _fill_text(self, node: Scalar) -> Filled:
        pieces: list[str] = []
        secret = missing = False
        end = 0
        for match in _REFERENCE.finditer(node.text):
            value = self._value(match, node)
            pieces += (node.text[end : match.start()], value or "")
            end = match.end()
            secret = secret or (bool(value) and value in self.secrets)
            missing = missing or value is None
        pieces.append(node.text[end:])
        return Filled(attrs.evolve(node, text="".join(pieces)), secret, missing)

    def _value(self, match: re.Match[str], node: Scalar) -> str | None:
        """What stands for one reference, or None where there is nothing and that has been said."""
        if match[1] is None:
            return "$"
        at = self._place(match[0], node)
        body = match[1].strip()
        if not match[2]:
            self._astray = True
            self.findings.say("`${` without its `}`", at, remedy="write ${name}; for a plain ${ write $${")
            return None
        value = self._variable(body[4:], at) if body.startswith("env:") else self._param(body, at)
        self._chars += len(value or "")
        if self._chars > MOST_FILLED_CHARS:
            wanted = f"at most {MOST_FILLED_CHARS} characters in all"
            self.findings.say("the params bring too much text", at, wanted=wanted)
            return None
        return value

    def _place(self, reference: str, node: Scalar) -> int:
        found = self.findings.page.text.find(reference, node.start, node.end) if node.start >= 0 else -1
        return found if found >= 0 else node.start

    def _param(self, name: str, at: int) -> str | None:
        self._used.add(name)
        if name in self.known:
            return self.known[name].value
        self._astray = True
        if name not in self._places:
            self.findings.say(
                f"there is no param {shown(name)}",
                at,
                wanted=one_of(self.known),
                came=shown(name),
                remedy=did_you_mean(name, self.known) or f"declare it: params: {{{name[:40]}: ...}}",
            )
        return None

    def _variable(self, reference: str, at: int) -> str | None:
        name, has_default, default = reference.partition(":-")
        if not _ENV_NAME.fullmatch(name):
            wanted = "${env:NAME} or ${env:NAME:-default}"
            self.findings.say(f"{shown(name)} is no name for a variable", at, wanted=wanted)
            return None
        value = self.env.get(name) or (default if has_default else self.env.get(name))
        if value is None and self.complete:
            remedy = f"export {name}=..., or write ${{env:{name}:-default}}"
            self.findings.say(f"the environment has no {name}", at, remedy=remedy)
        if value and looks_secret(name):
            self.secrets.add(value)
        return value
