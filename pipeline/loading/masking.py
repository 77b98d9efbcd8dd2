"""Finding the secrets that are written in a graph file, and covering them on the page before anything is said.

Secret is: the value of an option that its stage calls secret; a param that says so, or that goes into such an
option. Where nobody can know (a kind of stage that is not there, an option that may be a secret one misspelt)
a value is covered rather than shown; but not that of an option which is only misspelt, or another stage's.

A secret is hunted for in other text as well, unless it is short or a word of the format itself: one that reads
`realtime` would cover the name of a stage, which gives nothing away.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice

from attrs import define, field

from pipeline.loading.forms import Choice
from pipeline.loading.kinds import Kind, NoKind
from pipeline.loading.options import Option
from pipeline.loading.page import Page, looks_secret
from pipeline.loading.params import references
from pipeline.loading.yaml_nodes import Entry, Scalar, Series, Table, Yaml

__all__ = ["Masking", "scalars"]

SHORTEST = 6
"""A shorter secret is covered where it stands, but not hunted for in other text: it would be in half of it."""
MOST_HUNTED = 50
"""More secrets than that in one file are somebody's attempt to keep us busy; as are more unknown options."""

NEAR = 0.8
"""How much a misspelt option is like the right one (difflib's ratio): `bearer` is no `beam`, `auth` no `path`."""


def _all(table: Table) -> tuple[Entry, ...]:
    return (*table.entries, *table.doubles)


def scalars(node: Yaml) -> Iterator[Scalar]:
    """All texts in `node`, keys left out."""
    if isinstance(node, Scalar):
        yield node
    else:
        inner = node.nodes if isinstance(node, Series) else tuple(entry.value for entry in _all(node))
        for each in inner:
            yield from scalars(each)


@define
class Masking:
    """Covers what is secret in a graph, and keeps the texts and the params that are."""

    page: Page
    kinds: Mapping[str, Kind | NoKind]
    """Those that the graph uses."""
    others: Callable[[], Iterator[Kind | NoKind]] = lambda: iter(())
    """All that there are, to be asked for only where an option is not known."""
    texts: set[str] = field(factory=set, repr=False)
    params: set[str] = field(factory=set)
    _unknown: int = field(init=False, default=0)

    def graph(self, root: Table) -> None:
        """Cover the secrets of the whole graph."""
        stages, params = root.get("stages"), root.get("params")
        if isinstance(stages, Table):
            for entry in _all(stages):
                self._stage(entry.key.text, entry.value)
        if isinstance(params, Table):
            for entry in _all(params):
                self._param(entry.key.text, entry.value)
        for entry in _all(root):
            if not (isinstance(entry.value, Table) and entry.key.text in ("stages", "params")):
                self._suspects(entry.value, entry.key.text)
        for text in islice(filter(self.is_hunted, self.texts), MOST_HUNTED):
            self.page.mask_text(text)

    def is_hunted(self, secret: str) -> bool:
        """Whether `secret` is covered wherever it stands."""
        return len(secret) >= SHORTEST and not any(
            secret in words for kind in self.kinds.values() if isinstance(kind, Kind) for words in _words(kind)
        )

    def _stage(self, name: str, stage: Yaml) -> None:
        if not isinstance(stage, Table):
            self._suspects(stage, name)
            return
        use = stage.get("use")
        kind = self.kinds.get(use.text) if isinstance(use, Scalar) else None
        options = kind.options if isinstance(kind, Kind) else {}
        discreet = any(option.secret for option in options.values())
        for entry in _all(stage):
            option = options.get(entry.key.text)
            if option is not None and option.secret:
                self._cover(entry.value, known=True)
                self.params.update(name for text in scalars(entry.value) for name in references(text.text))
            elif option is None and entry.key.text not in ("use", "from"):
                covered = discreet and not self._is_harmless(entry.key.text, options)
                self._suspects(entry.value, "secret" if covered else entry.key.text)

    def _is_harmless(self, name: str, options: Mapping[str, Option]) -> bool:
        """Whether an unknown option is clearly no secret one: it is nearly another, or is one in other stages."""
        self._unknown += 1
        if self._unknown > MOST_HUNTED:
            return False
        if close := difflib.get_close_matches(name[:80], options, n=1, cutoff=NEAR):
            return not options[close[0]].secret
        found = [kind.options[name] for kind in self.others() if isinstance(kind, Kind) and name in kind.options]
        return bool(found) and not any(option.secret for option in found)

    def _param(self, name: str, node: Yaml) -> None:
        if not isinstance(node, Table):
            if name in self.params or looks_secret(name):
                self._cover(node, known=name in self.params)
            return
        told = node.get("secret")
        secret = name in self.params or (isinstance(told, Scalar) and told.text.lower() != "false")
        for entry in _all(node):
            if entry.key.text not in ("help", "type", "required", "secret") and (secret or looks_secret(name)):
                self._cover(entry.value, known=secret)

    def _suspects(self, node: Yaml, name: str) -> None:
        """Cover `node` where `name` looks like that of a secret, else look at the names within."""
        if looks_secret(name):
            self._cover(node)
        elif isinstance(node, Table):
            for entry in _all(node):
                self._suspects(entry.value, entry.key.text)
        elif isinstance(node, Series):
            for each in node.nodes:
                self._suspects(each, name)

    def _cover(self, node: Yaml, known: bool = False) -> None:
        """Mask all texts in `node`; one `known` to be a secret is hunted for elsewhere too."""
        for scalar in scalars(node):
            # What only refers to something gives nothing away.
            if not (scalar.text.startswith("${") and scalar.text.endswith("}") and ":-" not in scalar.text):
                self.page.mask(scalar.start, scalar.end)
                if known:
                    self.texts.add(scalar.text)


def _words(kind: Kind) -> Iterator[Collection[str]]:
    """What the format itself says of `kind`: its name, its options, and what they may be."""
    yield (kind.name,)
    yield kind.options
    for option in kind.options.values():
        if isinstance(option.form, Choice):
            yield [str(value) for value in option.form.values]
