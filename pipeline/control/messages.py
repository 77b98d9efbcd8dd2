"""What is said on a control socket: JSON, one object a line. Pure; nothing here reads or writes.

A client says what it wants in `do`; answers have a `type`. `graph` may be left out where only one runs.

| `do` | more | answers |
| --- | --- | --- |
| `graphs` | `edge` | one `graphs`: the process, its graphs, their edges and which is `edge`, what can be paused |
| `watch` | `every_s`, `graph` | `snapshot` again and again, `ledger` for each graph that ends, `over` |
| `tap` | `edge`, `graph` | `tapping`, then each `item`, `missed` where the client was too slow, `ended` |
| `ledger` | `graph` | one `ledger`: what became of everything so far |
| `set` | `stage`, `attribute`, `value`, `graph` | one `set` |

A `snapshot` also tells of `rooms`: see `pipeline.stage.Hosting.figures`, and a `name`.
`graphs` also tells the `protocol`, which this module numbers: another one may say anything.
What cannot be done is answered by an `error` with a `message`. `watch` and `tap` go on until the client hangs up.
"""

from __future__ import annotations

import json
import math
from typing import Any

from attrs import frozen

__all__ = [
    "EVERY_S",
    "LINE_LIMIT_BYTES",
    "PROTOCOL",
    "AskGraphs",
    "AskLedger",
    "AskSet",
    "AskTap",
    "AskWatch",
    "BadRequest",
    "Request",
    "line",
    "parse",
]

PROTOCOL = 1
LINE_LIMIT_BYTES = 16_384
"""Of a request: far more than any is long."""
EVERY_S = 0.5
FASTEST_S, SLOWEST_S = 0.05, 60.0


class BadRequest(ValueError):
    """What was asked for cannot be done; the message says why."""


@frozen
class AskGraphs:
    edge: str | None = None


@frozen
class AskWatch:
    every_s: float = EVERY_S
    graph: str | None = None


@frozen
class AskTap:
    edge: str
    graph: str | None = None


@frozen
class AskLedger:
    graph: str | None = None


@frozen
class AskSet:
    stage: str
    attribute: str
    value: object
    graph: str | None = None


Request = AskGraphs | AskWatch | AskTap | AskLedger | AskSet

KINDS = ("graphs", "watch", "tap", "ledger", "set")


def parse(text: bytes) -> Request:
    """The request in a line. Raises: BadRequest, and nothing else, whatever comes."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("wanted a line of JSON") from None
    if not isinstance(told, dict):
        raise BadRequest(f"wanted a JSON object, came {type(told).__name__}")
    graph = None if told.get("graph") is None else _text(told, "graph")
    match told.get("do"):
        case "graphs":
            return AskGraphs(None if told.get("edge") is None else _text(told, "edge"))
        case "watch":
            return AskWatch(_every_s(told.get("every_s", EVERY_S)), graph)
        case "tap":
            return AskTap(_text(told, "edge"), graph)
        case "ledger":
            return AskLedger(graph)
        case "set":
            return AskSet(_text(told, "stage"), _text(told, "attribute"), told.get("value"), graph)
        case other:
            raise BadRequest(f"do: wanted one of {', '.join(KINDS)}, came {_shown(other)}")


def line(kind: str, **told: Any) -> bytes:
    """A message with its line end. ASCII: no text can break it, whatever is in it."""
    return json.dumps({"type": kind, **told}, separators=(",", ":"), default=_plain).encode("ascii") + b"\n"


def _plain(value: Any) -> Any:
    """What JSON does not know: numpy's numbers, which stages may count with, and the rest as text."""
    return value.item() if hasattr(value, "item") else str(value)


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        raise BadRequest(f"{name}: wanted a text, came {_shown(value)}")
    return value


def _every_s(value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not FASTEST_S <= value <= SLOWEST_S:  # type: ignore[arg-type,operator]
        raise BadRequest(f"every_s: wanted seconds from {FASTEST_S:g} to {SLOWEST_S:g}, came {_shown(value)}")
    return float(value)  # type: ignore[arg-type]


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:80]
