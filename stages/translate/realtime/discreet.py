"""A logger for `websockets` that does not give away what is in headers and frames."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

__all__ = ["Discreet"]


class Discreet(logging.LoggerAdapter[logging.Logger]):
    """Lets through, at DEBUG, only what `websockets` has to say above it, without traceback and exception.

    Its own DEBUG lines hold headers and frames, keys among them, and so may an exception about a header.
    """

    def isEnabledFor(self, level: int) -> bool:
        return level > logging.DEBUG and super().isEnabledFor(logging.DEBUG)

    def log(self, level: int, msg: object, *args: object, **_told: Any) -> None:
        if self.isEnabledFor(level):
            self.logger.debug(msg, *args)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs
