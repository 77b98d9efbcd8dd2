"""Looking up a kind of stage by the name after `use:`, and saying why there is none."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from pipeline.loading.options import Option, options_of
from pipeline.loading.page import shown
from pipeline.problems import did_you_mean, one_of
from pipeline.stage import Kinds, StageError

__all__ = ["Kind", "NoKind", "look_up"]


@frozen
class Kind:
    """A kind of stage: its name, its class and its options."""

    name: str
    make: type[Any]
    options: Mapping[str, Option]

    @property
    def about(self) -> str:
        """What it does: the first paragraph of its docstring, on one line."""
        return " ".join((inspect.getdoc(self.make) or "").partition("\n\n")[0].split())


@frozen
class NoKind:
    """Why there is no such kind."""

    what: str
    wanted: str = ""
    remedy: str = ""


def look_up(name: str, kinds: Kinds) -> Kind | NoKind:
    """The kind `name`. `kinds` may raise StageError, as for a package that cannot be imported; that is told."""
    try:
        make = kinds[name]
        return Kind(name, make, options_of(make))
    except KeyError:
        remedy = did_you_mean(name, kinds) or "see `dragoman list`"
        return NoKind(f"{shown(name)} is no kind of stage", one_of(kinds, most=40), remedy)
    except StageError as broken:
        return NoKind(str(broken))
    except TypeError as wrong:
        return NoKind(f"the kind of stage {name!r} cannot be built from YAML: {wrong}")
