"""One HTTP POST to an address that is a secret, with the standard library in a thread.

What goes wrong is told as `NoAnswer`, without a word of the address but its host: whoever has a caption address
may write on the stream. So nothing that the library or the service says is passed on either, because both like to
repeat an address. Redirects are not followed, and the environment's proxies not used.

A connection serves one post: captions come seconds apart, and a kept one that the other side has given up
meanwhile would cost a try.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from anyio import fail_after, to_thread
from attrs import define, field, frozen

__all__ = ["Answer", "NoAnswer", "Target", "check_address", "post"]

ANSWER_LIMIT_BYTES = 1024
"""Nothing that is longer is of use."""
NUMBERING = ("seq", "lang")
"""What is added to an address, and therefore taken out of one that was copied from elsewhere."""


class NoAnswer(Exception):
    """The post may have arrived or not: nothing that is HTTP came back. One line, which may be shown."""


@frozen
class Answer:
    """A status, and the beginning of what came with it, which may repeat the address: not to be shown."""

    status: int
    body: bytes = field(repr=False)


def check_address(address: str) -> str | None:
    """What was wanted where `address` cannot be posted to, else None: the check of an option."""
    wanted = (
        "the address that the service gives, which begins with https:// or http:// and has no spaces; "
        "`dragoman list post_captions` says where it is found"
    )
    try:
        parts = urlsplit(address.strip())
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return wanted
    plain = address.strip().isascii() and address.strip().isprintable() and " " not in address.strip()
    return None if fits and plain and "@" not in parts.netloc and not parts.fragment else wanted


@frozen
class Target:
    """Where posts go. It has passed `check_address`."""

    address: str = field(repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """Replaces the usual checking of certificates."""

    @property
    def place(self) -> str:
        """What may be shown of the address."""
        return f"{self._parts.scheme}://{self._parts.netloc}"

    def resource(self, added: Sequence[str]) -> str:
        """The path and query with `added`; what else is in them stays to the letter, for it may be signed."""
        kept = [each for each in self._parts.query.split("&") if each and each.partition("=")[0] not in NUMBERING]
        return f"{self._parts.path or '/'}?{'&'.join([*kept, *added])}"

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout_s)
        tls = self.tls or ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=tls)

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.address.strip())


async def post(target: Target, added: Sequence[str], body: bytes, timeout_s: float) -> Answer:
    """Post `body` as plain text, with `added` in the query, in `timeout_s` at most, whatever the other side does.

    Raises: NoAnswer. Cancelled, the connection is cut.
    """
    exchange = _Exchange(target, target.resource(added), body, timeout_s)
    try:
        with fail_after(timeout_s):
            return await to_thread.run_sync(exchange.run, abandon_on_cancel=True)
    except TimeoutError:
        raise NoAnswer(f"{target.place} did not answer within {timeout_s:g} s") from None
    finally:
        exchange.cut()


@define(eq=False, repr=False)
class _Exchange:
    """A post that is under way in a thread, and can be cut from outside."""

    target: Target
    resource: str
    body: bytes
    timeout_s: float
    _socket: socket.socket | None = field(init=False, default=None)

    def run(self) -> Answer:
        try:
            connection = self.target.connection(self.timeout_s)
            try:
                connection.connect()
                self._socket = connection.sock
                headers = {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
                connection.request("POST", self.resource, self.body, headers)
                answer = connection.getresponse()
                return Answer(answer.status, answer.read(ANSWER_LIMIT_BYTES))
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = _why(error)
        # Raised out here, so that no exception with an address in it hangs on to this one.
        raise NoAnswer(f"cannot post to {self.target.place}: {why}")

    def cut(self) -> None:
        """Wake the thread if it still waits for the network."""
        if self._socket is not None:
            with suppress(OSError):  # it has ended by itself
                self._socket.shutdown(socket.SHUT_RDWR)


def _why(error: Exception) -> str:
    """What went wrong in words of ours: those of the library may repeat the address, or what the service sent."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return "TLS failed"
        case socket.gaierror(strerror=str(said)):
            return said.lower()
        case TimeoutError():
            return "no answer in time"
        case http.client.RemoteDisconnected():
            return "it closed the connection without an answer"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
        case OSError():
            return "the connection broke"
        case _:
            return "what it answers is not HTTP"
