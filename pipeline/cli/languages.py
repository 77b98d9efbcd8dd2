"""`dragoman languages`: the offline engine's table of pairs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence

from attrs import asdict

from pipeline.cli.columns import columns, room_on
from pipeline.cli.doctor import missing_of
from pipeline.cli.paint import paint
from stages.languages import spoken_name
from stages.translate.languages import Route, table

__all__ = ["show"]

_COLOURS = {"good": "green", "fair": "yellow", "experimental": "dim"}
_TAGS = 3
"""In a row."""


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
    yield from columns([("FROM", "TO", "QUALITY", "ROUTE"), *_rows(routes)], room=room_on(sys.stdout))
    yield ""
    for install in dict.fromkeys(route.install for route in routes if not _installed(route)):
        targets = dict.fromkeys(route.target for route in routes if route.install == install)
        yield f"into {', '.join(targets)}: {paint(install, 'cyan', sys.stdout)}"
    yield "any other pair: the option mt_model of translate, the folder of a CTranslate2 translation model"
    yield ""
    tags = dict.fromkeys(tag for route in routes for tag in (route.source, route.target))
    yield from columns([(tag, spoken_name(tag)) for tag in sorted(tags)])


def _rows(routes: Sequence[Route]) -> Iterator[tuple[str, str, str, str]]:
    """The pairs that have a route and a quality together, as one row; many sources go on in the next ones."""
    targets: dict[tuple[str, str, str], list[str]] = {}
    for route in routes:
        targets.setdefault((route.source, route.quality, route.steps), []).append(route.target)
    sources: dict[tuple[str, str, str], list[str]] = {}
    for (source, quality, steps), tags in targets.items():
        sources.setdefault((", ".join(tags), quality, steps), []).append(source)
    for (into, quality, steps), tags in sources.items():
        told = (into, paint(quality, _COLOURS.get(quality, "dim"), sys.stdout), steps)
        for begin in range(0, len(tags), _TAGS):
            more = "," if begin + _TAGS < len(tags) else ""
            yield f"{', '.join(tags[begin : begin + _TAGS])}{more}", *(told if begin == 0 else ("", "", ""))


def _installed(route: Route) -> bool:
    return not any(missing_of(extra) for extra in route.extras)


def _as_dict(route: Route) -> dict[str, object]:
    told = {"steps": route.steps, "install": route.install, "installed": _installed(route)}
    return {**asdict(route), **told}
