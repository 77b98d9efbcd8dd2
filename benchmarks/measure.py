"""Timing and printing for the benchmarks: medians of repeats, as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["median_s", "show"]

Row = Mapping[str, Any]


def median_s(work: Callable[[], object], repeats: int = 5) -> float:
    """The median of `repeats` timings of `work`, in seconds."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def show(title: str, rows: Sequence[Row]) -> None:
    """Print `rows` as a table, or with `--json` as one JSON object."""
    if "--json" in sys.argv:
        print(json.dumps({"benchmark": title, "rows": [dict(row) for row in rows]}))
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
