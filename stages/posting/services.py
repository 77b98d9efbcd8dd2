"""What the two services want of a post: its query, its body, and what their answers mean. Pure: nothing is sent.

YouTube Live ("Live Caption Vendor info", support.google.com/youtube/answer/6077032): the body is a line with the
UTC time `YYYY-MM-DDTHH:MM:SS.mmm`, then a line of text, and so on, as UTF-8; `<br>` is a line break. `seq` rises
by one with every post of new captions and not for retries. A post with an empty body may be a heartbeat. Senders
in use add that a body must end with a line feed, and that the answer is the service's own time in UTC.

Zoom ("Integrating a third-party closed captioning service", support.zoom.us article 115002212983): the body is
the text alone, `text/plain` in UTF-8, line breaks as `\\n`; `seq` as above; `lang` is a language and a country, as
in `en-US`, where Japanese is `jp-JP`. HTTP 400 says that the meeting has not started, 403 that the address is not
right, 405 that it was no POST; timeouts and all codes may be tried again.

Not documented, by either: how long a text may be, how many posts a second are welcome, how late a caption may
come, and whether a number may be left out. Of a heartbeat's number senders in use make different things; here it
is that of the last captions, so that no new ones can be taken for a repetition. Zoom's page knows no heartbeat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import ClassVar, Literal, Protocol

from attrs import frozen

from pipeline.items import Text
from stages.captions.cues import FULL_WIDTH
from stages.captions.lines import break_into_cues
from stages.captions.text import clean, width
from stages.languages import base

__all__ = [
    "SERVICES",
    "WHERE_YOUTUBE",
    "WHERE_ZOOM",
    "Caption",
    "Post",
    "Service",
    "ServiceName",
    "Verdict",
    "YouTube",
    "Zoom",
    "captions_of",
]

ServiceName = Literal["youtube", "zoom"]

WHERE_YOUTUBE = (
    "YouTube Studio, Create, Go live: in the stream's settings turn on Closed captions, choose "
    "POST captions to URL, and copy the captions ingestion URL"
)
WHERE_ZOOM = (
    "the Zoom meeting, as its host: the arrow beside Show captions, Set up manual captioner, "
    "Copy the API token (the account's settings must allow it)"
)
"""Where a user finds the address (support.google.com/youtube/answer/3068031; Zoom's article as above)."""

MAX_LINES = 2
"""Lines in a caption, as in subtitles."""


@frozen
class Caption:
    """What is shown at once, in up to two lines, from `start_ms` of the source on."""

    start_ms: int
    lines: tuple[str, ...]


@frozen
class Post:
    """Captions that go out under one number. `language` is a tag, or empty; `since_s` when their text came."""

    captions: tuple[Caption, ...]
    language: str
    since_s: float


class Verdict(Enum):
    """What the answer to a post means for it."""

    TAKEN = "taken"
    AGAIN = "again"
    """The service is in trouble, or not ready: the same post may be taken later."""
    REFUSED = "refused"
    """The address is not right, or not any more: any post would be refused."""
    SKIPPED = "skipped"
    """Something is wrong with this very post."""


class Service(Protocol):
    """What differs between the services."""

    @property
    def heartbeats(self) -> bool:
        """Whether an empty post may be sent while nobody speaks."""

    def posts(self, text: Text, since_s: float) -> Iterator[Post]:
        """The posts for `text`, in order; none where there is nothing to show."""

    def query(self, number: int, language: str) -> Sequence[str]:
        """What is added to the address of a post, as `name=value`."""

    def body(self, post: Post, utc: Callable[[int], str]) -> bytes:
        """The body; `utc` gives the time of a position in milliseconds."""

    def verdict(self, status: int) -> Verdict:
        """What the HTTP status `status` means."""

    def hint(self, status: int) -> str:
        """What to do about `status`, where there is something to be done."""


@frozen
class YouTube:
    """A live stream on YouTube: all captions of a text in one post, each with its time."""

    heartbeats: ClassVar[bool] = True

    def posts(self, text: Text, since_s: float) -> Iterator[Post]:
        if captions := captions_of(text):
            yield Post(tuple(captions), text.language, since_s)

    def query(self, number: int, language: str) -> Sequence[str]:
        return [f"seq={number}"]

    def body(self, post: Post, utc: Callable[[int], str]) -> bytes:
        lines = [f"{utc(each.start_ms)}\n{_youtube_text(each.lines)}\n" for each in post.captions]
        return "".join(lines).encode()

    def verdict(self, status: int) -> Verdict:
        return _verdict(status)

    def hint(self, status: int) -> str:
        return f"copy it again for this very stream: {WHERE_YOUTUBE}" if _is_refused(status) else ""


@frozen
class Zoom:
    """A meeting or webinar in Zoom: a post for each caption, which is shown when it comes."""

    heartbeats: ClassVar[bool] = False

    def posts(self, text: Text, since_s: float) -> Iterator[Post]:
        for caption in captions_of(text):
            yield Post((caption,), text.language, since_s)

    def query(self, number: int, language: str) -> Sequence[str]:
        lang = _zoom_tag(language)
        return [f"seq={number}", f"lang={lang}"] if lang else [f"seq={number}"]

    def body(self, post: Post, utc: Callable[[int], str]) -> bytes:
        return "\n".join(line for each in post.captions for line in each.lines).encode()

    def verdict(self, status: int) -> Verdict:
        return Verdict.AGAIN if status == 400 else _verdict(status)

    def hint(self, status: int) -> str:
        if status == 400:
            return "the meeting has not started, or is over"
        return f"copy it again in this very meeting: {WHERE_ZOOM}" if _is_refused(status) else ""


SERVICES: dict[ServiceName, Service] = {"youtube": YouTube(), "zoom": Zoom()}


def captions_of(text: Text) -> list[Caption]:
    """`text` in captions as they are read, each from when its part of the text was said, by its share of it."""
    language = base(text.language)
    line_units = 2 * 16 if language in FULL_WIDTH else 42
    most = MAX_LINES * line_units
    broken = break_into_cues(
        clean(text.text), language, line_units=line_units, max_lines=MAX_LINES, cue_units=most
    )
    units = [sum(map(width, lines)) for lines in broken]
    span, total = max(0, text.end_ms - text.start_ms), max(1, sum(units))
    starts = [max(0, text.start_ms) + span * sum(units[:at]) // total for at in range(len(units))]
    return [Caption(start_ms, lines) for start_ms, lines in zip(starts, broken, strict=True)]


def _verdict(status: int) -> Verdict:
    if 200 <= status < 300:
        return Verdict.TAKEN
    if status >= 500 or status in (408, 425, 429):
        return Verdict.AGAIN
    if status < 400 or status in (401, 403, 404, 410):
        return Verdict.REFUSED  # a redirect too: it is not followed, because the address is a secret
    return Verdict.SKIPPED


def _is_refused(status: int) -> bool:
    return _verdict(status) is Verdict.REFUSED


_LIKE_A_TIME = re.compile(r"\d{4}-\d\d-\d\dT")
_NO_MARKUP = str.maketrans("<>", "‹›")


def _youtube_text(lines: Sequence[str]) -> str:
    """One line; no sign of it is taken for `<br>` or for the time of a next caption."""
    text = "<br>".join(line.translate(_NO_MARKUP) for line in lines)
    return f" {text}" if _LIKE_A_TIME.match(text) else text


def _zoom_tag(language: str) -> str:
    """`pt-BR` for `pt-br`; empty for what is no tag with a country."""
    match = re.fullmatch(r"([a-z]{2,3})-([a-z]{2})", language.lower())
    if match is None:
        return ""
    spoken, country = match.groups()
    return f"{'jp' if spoken == 'ja' else spoken}-{country.upper()}"
