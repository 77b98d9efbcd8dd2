"""Where the graphs of a hall meet: what one of them gives is shown to the room, measured, and fed to others.

Nobody who puts something in here waits. Whoever reads a feed has a bounded channel of its own, which drops the
oldest where its reader is far behind, and counts that.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from attrs import define, evolve, field

from pipeline.caps import Caps
from pipeline.channels import Channel
from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.node import Buffer, Edge
from pipeline.serve.room.tongues import Key
from stages.room.lag import Delays
from stages.room.order import Stretch
from stages.room.room import Room
from stages.room.wire import Preparation, Progress
from stages.translate.realtime.events import SAMPLE_RATE_HZ

__all__ = ["Feed", "Floor"]

TEXTS_BUFFER = Buffer(items=500)
"""Half an hour of somebody who talks fast: a translation that is further behind is of no use to anybody."""
SOUND_BUFFER = Buffer(ms=60_000)
FAILED = "this language cannot be had now; it is tried again"


@define(eq=False)
class Feed:
    """A stream that graphs of the hall can read, from when they open it on."""

    name: str
    buffer: Buffer
    channels: list[Channel] = field(init=False, factory=list)

    def open(self, reader: str, caps: Caps) -> Channel:
        edge = Edge(self.name, "out", reader, "in", "in", caps, self.buffer, "drop_oldest", plain=False)
        channel = Channel(edge)
        self.channels.append(channel)
        return channel

    def close(self, channel: Channel) -> None:
        """Let the reader come to its end."""
        if channel in self.channels:
            self.channels.remove(channel)
            channel.close()

    def put(self, item: Item) -> None:
        for channel in self.channels:
            channel.offer(item)


@define(eq=False)
class Floor:
    """What is said in a room, in every language. `came_at`: when the speaker's audio up to a frame had come."""

    room: Room
    came_at: Callable[[int], float | None] = lambda _frame: None
    delays: Delays = field(init=False)
    sound: Feed = field(init=False, factory=lambda: Feed("sound", SOUND_BUFFER))
    """What the speaker says, for graphs that listen themselves."""
    _texts: dict[str, Feed] = field(init=False, factory=dict)
    utterance: int = field(init=False, default=0)
    """The number of the newest utterance."""
    _preparations: dict[Key, Preparation] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.delays = Delays(self._behind_s)

    def texts(self, language: str) -> Feed:
        """All texts in `language`, with their marks."""
        return self._texts.setdefault(language, Feed(language, TEXTS_BUFFER))

    def show(self, language: str, item: Item) -> None:
        """Show a text or a mark, and feed it to those who go on from there."""
        now = anyio.current_time()
        if isinstance(item, Text):
            if self.room.publish(language, item, now) is not None:
                self.delays.show(item)
        elif isinstance(item, Mark) and item.kind is MarkKind.UTTERANCE_END:
            self.room.over(language)
        self.texts(language).put(item)

    def speak(self, language: str, audio: Audio, stretch: Stretch) -> None:
        """Let be heard what belongs to `stretch`."""
        sent = self.delays.sound(language, audio, stretch)
        self.room.sound(language, stretch.utterance, audio, sent, self.delays.spoken_at(stretch))

    def tell(self, key: Key, preparation: Preparation | None) -> None:
        """Tell a language's readers how its captions, or its voice, come on; None: they do no more.

        A voice that is being prepared, or is ready first, says nothing of the captions; one that fails is told of.
        """
        if preparation is None:
            self._preparations.pop(key, None)
        else:
            self._preparations[key] = preparation
        all_of = {each: told for each, told in self._preparations.items() if each.language == key.language}
        if not all_of:
            self.room.board.progress.pop(key.language, None)
        elif "failed" in all_of.values():
            self.room.tell(Progress(key.language, "failed", FAILED))
        else:
            preparing = any(told == "preparing" for each, told in all_of.items() if each.kind == "captions")
            self.room.tell(Progress(key.language, "preparing" if preparing else "ready"))

    def numbered(self, text: Text, before: int) -> Text:
        """`text` of a graph that counts from 1, behind the `before` utterances that were there before it."""
        self.utterance = max(self.utterance, before + text.utterance)
        return evolve(text, utterance=before + text.utterance)

    def _behind_s(self, end_ms: int) -> float | None:
        came = self.came_at(end_ms * SAMPLE_RATE_HZ // 1000)
        return None if came is None else anyio.current_time() - came
