"""Posts that wait for their turn, so many at most, and the count of what became of all of them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Literal

from attrs import define, field

from stages.posting.services import Post

__all__ = ["Fate", "WaitingPosts"]

Fate = Literal["posted", "too late", "skipped"]


@define
class WaitingPosts:
    """A queue that drops the oldest when it is full. Of every post it is known what became of it:

    `added == posted + lost + held`, where `lost` is what was dropped, too late or skipped.
    """

    limit: int
    added: int = field(init=False, default=0)
    posted: int = field(init=False, default=0)
    dropped: int = field(init=False, default=0)
    too_late: int = field(init=False, default=0)
    skipped: int = field(init=False, default=0)
    _posts: deque[Post] = field(init=False, factory=deque)
    _taken: bool = field(init=False, default=False)

    def add(self, posts: Iterable[Post]) -> None:
        for post in posts:
            self.added += 1
            self._posts.append(post)
            if len(self._posts) > self.limit:
                self._posts.popleft()
                self.dropped += 1

    def take(self) -> Post | None:
        """The oldest, which is then under way until it is `settled`; None where none waits."""
        if not self._posts:
            return None
        self._taken = True
        return self._posts.popleft()

    def settle(self, fate: Fate) -> None:
        """What was taken has come to its end."""
        self._taken = False
        match fate:
            case "posted":
                self.posted += 1
            case "too late":
                self.too_late += 1
            case "skipped":
                self.skipped += 1

    @property
    def held(self) -> int:
        """How many wait, or are under way."""
        return len(self._posts) + self._taken

    @property
    def lost(self) -> int:
        """How many will never be posted."""
        return self.dropped + self.too_late + self.skipped

    def losses(self, *, ended: bool) -> Mapping[str, int]:
        """By reason, what was not posted; what is still held counts once all has `ended`."""
        return {
            "dropped for newer ones while the service did not take them, texts": self.dropped,
            "given up, because it was too late for them, texts": self.too_late,
            "refused one by one by the service, texts": self.skipped,
            "not posted by the end, texts": self.held if ended else 0,
        }
