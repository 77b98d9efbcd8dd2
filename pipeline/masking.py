"""Finding the secrets that are written in a graph file, and covering them on the page before anything is said.

Secret is: the value of an option that its stage calls secret; a param that says so, or that goes into such an
option. Where nobody can know (a kind of stage that is not there, an option that may be a secret one misspelt)
a value is covered rather than shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from attrs import define, field

from pipeline.kinds import Kind, NoKind
from pipeline.page import Page, looks_secret
from pipeline.params import references
from pipeline.yaml_nodes import Entry, Scalar, Series, Table, Yaml

__all__ = ["Masking", "scalars"]

SHORTEST = 6
"""A shorter secret is covered where it stands, but not hunted for in other text: it would be in half of it."""
MOST_HUNTED = 50
"""More secrets than that in one file are somebody's attempt to keep us busy."""


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
    texts: set[str] = field(factory=set, repr=False)
    params: set[str] = field(factory=set)

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
        for text in islice(self.texts, MOST_HUNTED):
            self.page.mask_text(text)

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
                self._suspects(entry.value, "secret" if discreet else entry.key.text)

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
                if known and len(scalar.text) >= SHORTEST:
                    self.texts.add(scalar.text)
