"""Which part of a growing hypothesis can be shown already: what two hypotheses in a row agree on.

LocalAgreement-2 (Liu et al. 2020, "Low-latency sequence-to-sequence speech recognition and translation by
partial hypothesis selection"). The rule to keep: what was given is never taken back. A later hypothesis that
tells it otherwise is lined up with it, word by word, and only what comes behind is new.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from attrs import define, field

__all__ = ["Agreement", "words"]

_WIDE = "぀-ヿ㐀-䶿一-鿿豈-﫿가-힯"
_WORD = re.compile(rf"\s*(?:[{_WIDE}]|[^\s{_WIDE}]+)")


def words(text: str) -> list[str]:
    """The words of `text`, each with a space before it where one stands there; joined they are the text.

    Chinese, Japanese and Korean are taken character by character: they write no spaces, or few.

    >>> words(" Guten  Tag.")
    ['Guten', ' Tag.']
    """
    return [_one_space(match.group()) for match in _WORD.finditer(text.strip())]


def _one_space(word: str) -> str:
    bare = word.lstrip()
    return bare if len(bare) == len(word) else f" {bare}"


@define
class Agreement:
    """The settled beginning of one utterance. `feed` hypotheses as they come, then `finish`.

    Each gives the text that is new; all that was given, joined, is `settled`.
    """

    _settled: list[str] = field(init=False, factory=list)
    _last: list[str] | None = field(init=False, default=None)

    @property
    def settled(self) -> str:
        return "".join(self._settled)

    def feed(self, hypothesis: str) -> str:
        """What this hypothesis and the one before agree on, behind what is settled; often nothing."""
        new, last = self._behind(words(hypothesis)), self._last
        self._last = words(hypothesis)
        if last is None:
            return ""
        return self._settle(new[: _agreeing(self._behind(last), new)])

    def finish(self, final: str) -> str:
        """What the last word on it, or on its beginning, adds to what is settled.

        More hypotheses may follow, which tell all of it; or another utterance begins: `clear`.
        """
        said, told = "".join(words(final)), self.settled
        if told and said.startswith(told):  # perhaps all that is new is a comma
            self._settled = words(final)
            return said[len(told) :]
        return self._settle(self._behind(words(final)))

    def clear(self) -> None:
        """Forget everything: another utterance begins."""
        self._settled, self._last = [], None

    def _behind(self, hypothesis: Sequence[str]) -> Sequence[str]:
        return hypothesis[_place_behind(self._settled, hypothesis) :]

    def _settle(self, new: Sequence[str]) -> str:
        if not new:
            return ""
        first = new[0]
        if self._settled and not first.startswith(" ") and not _is_wide(first):
            first = f" {first}"  # it began a hypothesis, and comes second here
        given = [first, *new[1:]]
        self._settled += given
        return "".join(given)


def _agreeing(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words they begin with alike."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if _bare(a) != _bare(b):
            break
        count += 1
    return count


def _bare(word: str) -> str:
    """A word without what the next hypothesis may spell otherwise: its case and the punctuation around it."""
    letters = word.strip()
    while letters and unicodedata.category(letters[-1])[0] == "P":
        letters = letters[:-1]
    while letters and unicodedata.category(letters[0])[0] == "P":
        letters = letters[1:]
    return letters.casefold() or word.strip()


def _place_behind(settled: Sequence[str], hypothesis: Sequence[str]) -> int:
    """How many of the hypothesis's first words tell what is settled: the fewest edits, then the like number."""
    if _agreeing(settled, hypothesis) == len(settled):
        return len(settled)
    told = [_bare(word) for word in hypothesis]
    costs = list(range(len(told) + 1))
    for number, word in enumerate(settled, start=1):
        bare, diagonal, costs[0] = _bare(word), costs[0], number
        for place, other in enumerate(told, start=1):
            best = min(diagonal + (bare != other), costs[place] + 1, costs[place - 1] + 1)
            diagonal, costs[place] = costs[place], best
    return min(range(len(costs)), key=lambda place: (costs[place], abs(place - len(settled))))


def _is_wide(word: str) -> bool:
    return bool(re.match(rf"[{_WIDE}]", word))
