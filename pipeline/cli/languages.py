"""`dragoman languages`: the offline engine's table of pairs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence

from attrs import asdict

from pipeline.cli.columns import columns
from pipeline.cli.paint import paint
from stages.languages import spoken_name
from stages.translate.languages import Route, table

__all__ = ["show"]

_COLOURS = {"good": "green", "fair": "yellow", "experimental": "dim"}


def show(as_json: bool) -> None:
    """Every pair, the best first: how well, by which route, and what to install for it."""
    routes = table()
    if as_json:
        print(json.dumps([_as_dict(route) for route in routes], indent=2, ensure_ascii=False))
        return
    utf8 = (sys.stdout.encoding or "").lower().startswith("utf")
    for line in _lines(routes):
        print(line if utf8 else line.replace("→", "->"))


def _lines(routes: Sequence[Route]) -> Iterator[str]:
    yield from columns([("FROM", "TO", "QUALITY", "ROUTE"), *(_row(route) for route in routes)])
    yield ""
    for install in dict.fromkeys(route.install for route in routes):
        targets = dict.fromkeys(route.target for route in routes if route.install == install)
        yield f"into {', '.join(targets)}: {install}"
    yield "any other pair: the option mt_model of translate, the folder of a CTranslate2 translation model"
    yield ""
    tags = dict.fromkeys(tag for route in routes for tag in (route.source, route.target))
    yield from columns([(tag, spoken_name(tag)) for tag in sorted(tags)])


def _row(route: Route) -> tuple[str, str, str, str]:
    quality = paint(route.quality, _COLOURS.get(route.quality, "dim"), sys.stdout)
    return route.source, route.target, quality, route.steps


def _as_dict(route: Route) -> dict[str, object]:
    return {**asdict(route), "steps": route.steps, "install": route.install}
