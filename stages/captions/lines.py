"""Breaks a text into captions of a few lines, at the ends of sentences, clauses and phrases.

It is a search for the cheapest way (dynamic programming over the places where a break may be): a break costs
little after a full stop or a comma, some before a conjunction or preposition, much where it would part an article
from its noun, and most inside a word. Lines should be alike in length, the lower one rather the longer, and
captions few. Nothing of the text is lost: the lines joined are the text, but for spaces.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from attrs import define, field, frozen

from stages.captions.text import clusters, ideographic, width
from stages.captions.words import CLINGS, LEADS, TAILS, TITLES

__all__ = ["break_into_cues"]

SENTENCE, CLAUSE, PHRASE, PLAIN, APART, INSIDE = 0.0, 1.0, 2.0, 4.0, 12.0, 30.0
"""What a break costs, by where it is; `APART` parts what belongs together, `INSIDE` a word."""

CUE = 10.0
"""What a further caption costs: more than a plain break saves, so that captions are few."""
LINE = 2.0
"""What a further line costs: a text that fits on one line stays on one."""

_NO_START = frozenset(
    "、。，．・：；？！ー々ゝゞヽヾ〜～%％ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ,.;:?!'’的地得了着过吗呢吧们"
)
"""What a line never starts with where there are no spaces: punctuation, small kana, particles."""
_PARTICLES = frozenset("はがをにでとものへや")
"""Japanese words of one letter that end a phrase."""
_CONJUNCTIONS = frozenset("并和与但而或及因")
"""Chinese characters that begin a phrase, alone or as the first of a word."""
_SENTENCE_ENDS = frozenset(".!?…。！？．؟۔।")
_CLAUSE_ENDS = frozenset(",;:、，；：،؛—–")
_QUOTES = frozenset("\"'”’»›)]}）］｝」』】〉》〕")


def break_into_cues(
    text: str, language: str, *, line_units: int, max_lines: int, cue_units: int
) -> list[tuple[str, ...]]:
    """The captions for `text`, which is clean: each a tuple of up to `max_lines` lines.

    A line is at most `line_units` wide, in halves of full-width characters (`text.width`); a caption
    is at most `cue_units` wide, if it has more than one word. `language` is a BCP-47 tag.
    """
    atoms = list(_atoms(text, language.partition("-")[0].lower(), line_units))
    return _Search(atoms, line_units, max_lines, cue_units).cues()


_Breaks = tuple[int, ...]
_Way = tuple[float, _Breaks]


@frozen
class _Atom:
    """What is never broken; whether a space is before it, and what a break there costs."""

    text: str
    spaced: bool = False
    cost: float = PLAIN


@define
class _Search:
    """The cheapest way to put `atoms` into captions. Ranges of atoms are (begin, end)."""

    atoms: Sequence[_Atom]
    line_units: int
    max_lines: int
    cue_units: int
    _places: list[int] = field(init=False, factory=lambda: [0])
    _known: dict[tuple[int, int, int], list[_Way]] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        for atom in self.atoms:
            self._places.append(self._places[-1] + width(atom.text) + atom.spaced)

    def cues(self) -> list[tuple[str, ...]]:
        best: list[tuple[float, int, _Breaks]] = [(0.0, 0, ())]
        for end in range(1, len(self.atoms) + 1):
            best.append(
                min(
                    (best[begin][0] + self._cue_cost(begin, end) + cost, begin, breaks)
                    for begin in self._begins(end)
                    for cost, breaks in self._ways(begin, end, self.max_lines)
                )
            )
        return list(self._walk(best))[::-1]

    def _walk(self, best: Sequence[tuple[float, int, _Breaks]]) -> Iterator[tuple[str, ...]]:
        """The captions on the cheapest way, the last first."""
        end = len(self.atoms)
        while end:
            _, begin, breaks = best[end]
            edges = [begin, *breaks, end]
            yield tuple(self._text(*edges[at : at + 2]) for at in range(len(edges) - 1))
            end = begin

    def _begins(self, end: int) -> range:
        """Where a caption that ends at `end` may begin, if its lines can be had; one word always may."""
        most = min(self.cue_units, self.line_units * self.max_lines + self.max_lines - 1)
        return range(min(end - 1, self._earliest(end, most)), end)

    def _cue_cost(self, begin: int, end: int) -> float:
        """Fewer captions, parted at good places, alike in length, none of a lonely word."""
        full = self.line_units * self.max_lines
        filled = self._width(begin, end) / full
        parted = 2 * self.atoms[begin].cost if begin else 0.0
        lonely = max(0.0, 0.15 - filled) * 30 if (begin, end) != (0, len(self.atoms)) else 0.0
        return CUE + parted + 8 * filled**2 + lonely

    def _ways(self, begin: int, end: int, most: int) -> list[_Way]:
        """The best way to put this range into `most` lines, as what it costs and where it breaks; none if none."""
        if self._width(begin, end) <= self.line_units:
            return [(0.0, ())]
        if most == 1:
            return []
        if (begin, end, most) not in self._known:
            self._known[begin, end, most] = self._split(begin, end, most)
        return self._known[begin, end, most]

    def _split(self, begin: int, end: int, most: int) -> list[_Way]:
        first = max(begin + 1, self._earliest(end, (most - 1) * (self.line_units + 1) - 1))
        last = bisect_right(self._places, self.line_units + self._places[begin] + self.atoms[begin].spaced)
        ways = [
            self._two(begin, at, end, way) for at in range(first, last) for way in self._ways(at, end, most - 1)
        ]
        return [min(ways)] if ways else []

    def _two(self, begin: int, at: int, end: int, rest: _Way) -> _Way:
        """One line up to `at` and the `rest`: alike in length, the first rather the shorter."""
        cost, breaks = rest
        upper, lower = self._width(begin, at), self._width(at, end) / (len(breaks) + 1)
        slope = (upper - lower) / self.line_units
        return LINE + cost + self.atoms[at].cost + 6 * abs(slope) + max(0.0, 3 * slope), (at, *breaks)

    def _earliest(self, end: int, units: int) -> int:
        """From where on the atoms up to `end` are at most `units` wide."""
        at = bisect_left(self._places, self._places[end] - units - 1, 0, end)
        return at + 1 if at < end and self._width(at, end) > units else at

    def _width(self, begin: int, end: int) -> int:
        return self._places[end] - self._places[begin] - self.atoms[begin].spaced

    def _text(self, begin: int, end: int) -> str:
        text = "".join(" " * atom.spaced + atom.text for atom in self.atoms[begin:end])
        return text.removeprefix(" ")


# --- where a break may be, and what it costs


def _atoms(text: str, language: str, line_units: int) -> Iterator[_Atom]:
    last = ""
    for word in text.split():
        cost = _cost_between(last, word, language)
        for number, (piece, inner) in enumerate(_pieces(word, line_units, language)):
            yield _Atom(piece, spaced=not number and bool(last), cost=inner if number else cost)
        last = word


def _cost_between(last: str, word: str, language: str) -> float:
    """What a line break costs at the space between `last` and `word`."""
    bare, following = _bare(last), _bare(word)
    abbreviated = last.endswith(".") and (bare in TITLES or len(bare) == 1)
    if not following or abbreviated or unicodedata.category(last[-1:] or "-") in ("Ps", "Pi"):
        return APART
    ending = last.rstrip("".join(_QUOTES))[-1:]
    if ending in _SENTENCE_ENDS or ending in _CLAUSE_ENDS:
        return SENTENCE if ending in _SENTENCE_ENDS else CLAUSE
    return _cost_of_words(bare, following, last[:1], word[:1], language)


def _cost_of_words(bare: str, following: str, initial: str, initial_after: str, language: str) -> float:
    leads = LEADS.get(language, frozenset())
    if following in TAILS.get(language, ()) or bare in leads or bare in CLINGS.get(language, ()) or bare.isdigit():
        return APART
    if following in leads or bare in TAILS.get(language, ()):
        return PHRASE
    if initial.isupper() and initial_after.isupper() and language != "de":
        return APART  # a first name and a last name, most likely
    return PLAIN


def _bare(word: str) -> str:
    """`word` in lower case without the punctuation around it."""
    begin, end = 0, len(word)
    while begin < end and unicodedata.category(word[begin])[0] == "P":
        begin += 1
    while begin < end and unicodedata.category(word[end - 1])[0] == "P":
        end -= 1
    return word[begin:end].lower()


def _pieces(word: str, line_units: int, language: str) -> Iterator[tuple[str, float]]:
    """`word` cut where it may be, and what each cut costs: beside kanji and kana, or where it is too long."""
    if word.isascii() and len(word) <= line_units:
        yield word, 0.0
        return
    begin, cost, units = 0, 0.0, 0
    at, last = 0, ""
    for cluster in clusters(word):
        for part in [cluster] if width(cluster) <= line_units else cluster:
            cut = _cost_inside(last, part, language) if last else None
            if cut is None and units + width(part) > line_units:
                cut = INSIDE
            if cut is not None:
                yield word[begin:at], cost
                begin, cost, units = at, cut, 0
            units, at, last = units + width(part), at + len(part), part
    yield word[begin:], cost


def _cost_inside(last: str, cluster: str, language: str) -> float | None:
    """What a break between two characters of a word costs; None where there must be none."""
    left, right = last[0], cluster[0]
    if not (ideographic(left) or ideographic(right)):
        return None
    if (
        right in _NO_START
        or unicodedata.category(right) in ("Pe", "Pf")
        or unicodedata.category(left) in ("Ps", "Pi")
    ):
        return None
    if left in _SENTENCE_ENDS or left in _CLAUSE_ENDS or left in _QUOTES:
        return SENTENCE if left in _SENTENCE_ENDS else CLAUSE
    if language == "zh" and (left in _CONJUNCTIONS or right in _CONJUNCTIONS):
        return APART if left in _CONJUNCTIONS else PHRASE
    if _hiragana(left) and not _hiragana(right):
        return PHRASE if left in _PARTICLES else PLAIN
    return APART if _hiragana(right) or (_katakana(left) and _katakana(right)) else PLAIN + PHRASE


def _hiragana(character: str) -> bool:
    return "\u3041" <= character <= "\u309f"


def _katakana(character: str) -> bool:
    return "\u30a0" <= character <= "\u30ff"
