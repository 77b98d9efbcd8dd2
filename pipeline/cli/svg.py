"""A graph drawn as an SVG that stands by itself: no fonts, scripts or references, good on light and on dark."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from html import escape

from pipeline.cli.drawing import Arrow, Drawing, Shape
from pipeline.cli.layout import Box, Layout, Level, Line, lay_out

__all__ = ["svg"]

MARGIN = 20.0
BOX_HEIGHT = 52.0
PORT_HEIGHT = 26.0
HALO = 9.0

_STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif }
  .name { font-size: 14px; font-weight: 600; fill: #1f2328; text-anchor: middle }
  .kind { font-size: 11.5px; fill: #59636e; text-anchor: middle }
  .label { font-size: 11px; fill: #59636e }
  .port { font-size: 11px; font-weight: 600; fill: #1f2328 }
  .policy { font-size: 11px; fill: #bc4c00 }
  .line { fill: none; stroke: #818b98; stroke-width: 1.6 }
  .lossy { stroke: #bc4c00; stroke-dasharray: 6 4 }
  .tap { stroke-dasharray: 1.5 4; stroke-linecap: round }
  .head { fill: #818b98 } .lossy-head { fill: #bc4c00 }
  .box { stroke-width: 1.6 }
  .source { fill: #e9f6ec; stroke: #2da44e } .transform { fill: #f3f5f7; stroke: #8c959f }
  .actor { fill: #f4effd; stroke: #8250df } .sink { fill: #e8f2fd; stroke: #218bff }
  .task { fill: none; stroke: #d4a72c; opacity: .26; stroke-linejoin: round }
  .task rect { fill: #d4a72c; stroke: none }
  @media (prefers-color-scheme: dark) {
    .name, .port { fill: #e6edf3 } .kind, .label { fill: #9198a1 } .policy { fill: #f0883e }
    .line { stroke: #6e7681 } .head { fill: #6e7681 } .lossy { stroke: #f0883e } .lossy-head { fill: #f0883e }
    .source { fill: #12261a; stroke: #3fb950 } .transform { fill: #1c2128; stroke: #768390 }
    .actor { fill: #221a36; stroke: #a371f7 } .sink { fill: #0f2338; stroke: #4493f8 }
  }
"""


def svg(drawing: Drawing) -> str:
    """The drawing as an SVG document."""
    sizes = {name: _size(shape, drawing.arrows) for name, shape in drawing.shapes.items()}
    layout = lay_out(sizes, _lines(drawing.arrows))
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    body = [
        *_tasks(drawing, layout),
        *itertools.chain.from_iterable(
            _arrow(arrow, route) for arrow, route in zip(drawing.arrows, layout.routes, strict=True)
        ),
        *dict.fromkeys(
            label
            for arrow, route in zip(drawing.arrows, layout.routes, strict=True)
            for label in _labels(arrow, route)
        ),
        *itertools.chain.from_iterable(_box(shape, layout.boxes[name]) for name, shape in drawing.shapes.items()),
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img">',
            f"<title>{escape(drawing.name)}</title>",
            f"<desc>{escape(_told(drawing))}</desc>",
            f"<style>{_STYLE}</style>",
            f'<g transform="translate({MARGIN:g} {MARGIN:g})">',
            *body,
            "</g>",
            "</svg>",
            "",
        ]
    )


def _told(drawing: Drawing) -> str:
    """The picture in words, for who cannot see it."""
    return "; ".join(
        f"{arrow.start} to {arrow.end}" + (f" ({arrow.label})" if arrow.label else "") for arrow in drawing.arrows
    )


# --- sizes


def _size(shape: Shape, arrows: Sequence[Arrow]) -> tuple[float, float]:
    """Room for the words, and for the lines that come and go."""
    ports = len({arrow.port for arrow in arrows if arrow.start == shape.name})
    lanes = sum(arrow.end == shape.name for arrow in arrows)
    width = max(_text_width(shape.name, 14.5), _text_width(shape.kind, 11.5), 48.0) + 32.0
    return width, max(BOX_HEIGHT, PORT_HEIGHT * (ports + 0.5), PORT_HEIGHT * 0.7 * (lanes + 0.5))


def _lines(arrows: Sequence[Arrow]) -> list[Line]:
    return [
        Line(
            arrow.start,
            arrow.end,
            start_room=_text_width(arrow.port, 12)
            + _text_width(arrow.carries, 11)
            + (18.0 if arrow.port else 14.0),
            end_room=max(_text_width(_policy(arrow), 11), _text_width(arrow.into, 12)) + 14.0,
            port=arrow.port,
        )
        for arrow in arrows
    ]


def _text_width(text: str, size_px: float) -> float:
    """About how wide `text` is in a sans serif: nobody can measure the reader's fonts, so a little too wide."""
    ems = sum(0.34 if char in "ijltfrI.,:;'|!()/ -" else 0.9 if char in "mwMW@" else 0.6 for char in text)
    return ems * size_px


def _policy(arrow: Arrow) -> str:
    return "tap" if arrow.tap else " · ".join(word for word in (arrow.policy, arrow.buffer) if word)


# --- pieces


def _tasks(drawing: Drawing, layout: Layout) -> Iterator[str]:
    """Behind stages that share a task: one shape round the boxes and along the lines between them."""
    for run in drawing.groups:
        yield '<g class="task">'
        yield f"<title>one task: {escape(' > '.join(run))}</title>"
        for box in (layout.boxes[name] for name in run):
            yield (
                f'<rect x="{box.x - HALO:.1f}" y="{box.y - HALO:.1f}" width="{box.width + 2 * HALO:.1f}" '
                f'height="{box.height + 2 * HALO:.1f}" rx="{10 + HALO}"/>'
            )
        pairs = set(itertools.pairwise(run)) | {(run[0], name) for name in run[1:]}
        for arrow, route in zip(drawing.arrows, layout.routes, strict=True):
            if (arrow.start, arrow.end) in pairs:
                yield f'<path d="{_path(route)}" stroke-width="{BOX_HEIGHT * 0.55:.0f}"/>'
        yield "</g>"


def _arrow(arrow: Arrow, route: Sequence[Level]) -> Iterator[str]:
    last = route[-1]
    kind = " lossy" if arrow.lossy else " tap" if arrow.tap else ""
    head = "lossy-head" if arrow.lossy else "head"
    stop = [*route[:-1], Level(last.left, last.right - 7, last.y)]
    yield f'<path class="line{kind}" d="{_path(stop)}"/>'
    yield f'<path class="{head}" d="M {last.right - 9:.1f} {last.y - 4.5:.1f} l 9 4.5 l -9 4.5 z"/>'


def _labels(arrow: Arrow, route: Sequence[Level]) -> Iterator[str]:
    """At its beginning the port and what it carries; at its end the input, and what happens when it is full."""
    first, last = route[0], route[-1]
    port = f'<tspan class="port">{escape(arrow.port)}</tspan> ' if arrow.port else ""
    if label := f"{port}{escape(arrow.carries)}":
        yield f'<text class="label" x="{first.left + 8:.1f}" y="{first.y - 5:.1f}">{label}</text>'
    end = f'x="{last.right - 12:.1f}" text-anchor="end"'
    if arrow.into:
        yield f'<text class="port" {end} y="{last.y + 14:.1f}">{escape(arrow.into)}</text>'
    if policy := _policy(arrow):
        place = f'{end} y="{last.y - 5:.1f}"'
        yield f'<text class="{"policy" if arrow.lossy else "label"}" {place}>{policy}</text>'


def _box(shape: Shape, box: Box) -> Iterator[str]:
    middle = box.x + box.width / 2
    kind = shape.kind if shape.kind != shape.name else ""
    yield f"<g><title>{escape(shape.about)}</title>"
    yield (
        f'<rect class="box {shape.role}" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="10"/>'
    )
    name_y = box.middle + (-2 if kind else 5)
    yield f'<text class="name" x="{middle:.1f}" y="{name_y:.1f}">{escape(shape.name)}</text>'
    if kind:
        yield f'<text class="kind" x="{middle:.1f}" y="{box.middle + 15:.1f}">{escape(kind)}</text>'
    yield "</g>"


def _path(route: Sequence[Level]) -> str:
    first = route[0]
    steps = [f"M {first.left:.1f} {first.y:.1f} H {first.right:.1f}"]
    for before, level in itertools.pairwise(route):
        middle = (before.right + level.left) / 2
        if abs(before.y - level.y) > 0.05:
            steps.append(
                f"C {middle:.1f} {before.y:.1f} {middle:.1f} {level.y:.1f} {level.left:.1f} {level.y:.1f}"
            )
        steps.append(f"H {level.right:.1f}")
    return " ".join(steps)
