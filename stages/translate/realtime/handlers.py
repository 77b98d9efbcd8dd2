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
class _Raised:
    handler: Handler | AnyHandler
    name: str
    again: int = 0


@define(eq=False)
class Handlers:
    """The handlers of a session, by the type of event, and those that get every event."""

    _by_type: dict[str, list[Handler]] = field(init=False, factory=dict)
    _of_any: list[AnyHandler] = field(init=False, factory=list)
    _raised: list[_Raised] = field(init=False, factory=list)
    """Those that went wrong, and how often."""

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
        """Call all handlers of `event`; gives an ERROR event for each that raised, and had not done so before.

        Those have been told to the handlers of errors already. One that raised is not asked again, so that this
        ends, whatever goes wrong; an error that nobody is left to hear is logged. See `log_again`.
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
                errors += self._told(handler, error)
        return errors

    def _calls(self, event: Event) -> list[tuple[Handler | AnyHandler, tuple[Any, ...]]]:
        calls: list[tuple[Handler | AnyHandler, tuple[Any, ...]]] = [
            (handler, (event.payload,)) for handler in self._by_type.get(event.type, ())
        ]
        if self._of_any:
            calls += [(handler, (event.type, event.payload)) for handler in self._of_any]
        return calls

    def _told(self, handler: Handler | AnyHandler, error: Exception) -> list[Event]:
        _log.debug("a handler raised", exc_info=error)
        for raised in self._raised:
            if raised.handler == handler:
                raised.again += 1
                return []
        name = f"{_name(handler)} ({_where(handler, error)})"
        self._raised.append(_Raised(handler, name))
        message = f"the handler {name} raised {type(error).__name__}: {error}"
        return [Event(ServerEventType.ERROR, ErrorEvent(message, error_type="handler_error"))]

    def log_again(self) -> None:
        """Say how often each handler that had raised did so again; once, when all is told."""
        for raised in self._raised:
            if raised.again:
                _log.warning("the handler %s raised %d times more", raised.name, raised.again)

    def _log_unheard(self, error: Event, failed: list[Handler | AnyHandler]) -> None:
        if all(handler in failed for handler, _ in self._calls(error)):
            assert isinstance(error.payload, ErrorEvent)
            _log.warning("%s", error.payload.message)


def _name(handler: Callable[..., object]) -> str:
    return getattr(handler, "__qualname__", type(handler).__qualname__)


def _where(handler: Callable[..., object], error: Exception) -> str:
    """The file and the line of the handler that raised; where it could not even be called, its first."""
    called = error.__traceback__.tb_next if error.__traceback__ else None
    if called is not None:
        return f"{called.tb_frame.f_code.co_filename}:{called.tb_lineno}"
    code = getattr(inspect.unwrap(handler), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else "not written in Python"
