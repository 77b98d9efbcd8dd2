"""Who wants to be told of which event. Handlers are plain or async functions, called one after the other."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

from attrs import define, field

from stages.translate.realtime.events import ErrorEvent, Event, ServerEventType

__all__ = ["AnyHandler", "Handler", "Handlers"]

Handler = Callable[[Any], object]
"""Called with the payload of an event; what it gives is awaited where it can be."""
AnyHandler = Callable[[str, Any], object]
"""Called with the type and the payload of every event; of one that we do not know, with its raw object."""

_log = logging.getLogger(__name__)


@define(eq=False)
class Handlers:
    """The handlers of a session, by the type of event, and those that get every event."""

    _by_type: dict[str, list[Handler]] = field(init=False, factory=dict)
    _of_any: list[AnyHandler] = field(init=False, factory=list)

    def add(self, event_type: str, handler: Handler) -> None:
        self._by_type.setdefault(event_type, []).append(handler)

    def add_any(self, handler: AnyHandler) -> None:
        self._of_any.append(handler)

    def remove(self, event_type: str, handler: Handler) -> None:
        """Take one registration of `handler` back, if there is one."""
        handlers = self._by_type.get(event_type, [])
        if handler in handlers:
            handlers.remove(handler)

    async def tell(self, event: Event) -> list[Event]:
        """Call all handlers of `event`; gives an ERROR event for each that raised.

        Those have been told to the handlers of errors already. One that raised is not asked again, so that this
        ends, whatever goes wrong; an error that nobody is left to hear is logged.
        """
        failed: list[Handler | AnyHandler] = []
        waiting = await self._tell_each(event, failed)
        errors: list[Event] = []
        while waiting:
            told = waiting.pop(0)
            waiting += await self._tell_each(told, failed)
            self._log_unheard(told, failed)
            errors.append(told)
        return errors

    async def _tell_each(self, event: Event, failed: list[Handler | AnyHandler]) -> list[Event]:
        """Call those of its handlers that have not `failed` yet; what goes wrong is added there, and given."""
        errors: list[Event] = []
        for handler, arguments in self._calls(event):
            if handler in failed:
                continue
            try:
                result = handler(*arguments)
                if result is not None and inspect.isawaitable(result):
                    await result
            except Exception as error:  # noqa: BLE001 - what a user's function raises is told to the user's error handlers
                failed.append(handler)
                errors.append(_told(handler, error))
        return errors

    def _calls(self, event: Event) -> list[tuple[Handler | AnyHandler, tuple[Any, ...]]]:
        calls: list[tuple[Handler | AnyHandler, tuple[Any, ...]]] = [
            (handler, (event.payload,)) for handler in self._by_type.get(event.type, ())
        ]
        if self._of_any:
            calls += [(handler, (event.type, event.payload)) for handler in self._of_any]
        return calls

    def _log_unheard(self, error: Event, failed: list[Handler | AnyHandler]) -> None:
        if all(handler in failed for handler, _ in self._calls(error)):
            assert isinstance(error.payload, ErrorEvent)
            _log.warning("%s", error.payload.message)


def _told(handler: Callable[..., object], error: Exception) -> Event:
    _log.debug("a handler raised", exc_info=error)
    name = getattr(handler, "__qualname__", type(handler).__qualname__)
    message = f"the handler {name} raised {type(error).__name__}: {error}"
    return Event(ServerEventType.ERROR, ErrorEvent(message, error_type="handler_error"))
