from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.stage import Out
from pipeline.testing import check_transform, feed_all, joined, noise, split
from stages.translate.echo import Echo


def port(items: list[Item | Out], name: str) -> list[Item]:
    return [given.item for given in items if isinstance(given, Out) and given.port == name]


@given(
    frames=st.integers(0, 3000),
    start=st.integers(0, 10**6),
    cuts=st.lists(st.integers(0, 3000), max_size=6),
    utterance_ms=st.integers(10, 60),
)
def test_every_frame_comes_back_once_at_its_own_position(
    frames: int, start: int, cuts: list[int], utterance_ms: int
) -> None:
    sound = noise(frames, start=start)
    items = split([sound], [start + cut for cut in cuts])
    out = feed_all(Echo(utterance_ms=utterance_ms), items)
    audio = [item for item in port(out, "audio") if isinstance(item, Audio)]
    assert joined(audio) == ([sound] if frames else [])
    whole = feed_all(Echo(utterance_ms=utterance_ms), [sound])
    assert port(out, "text") == port(whole, "text")


def test_texts_say_when_and_share_their_number() -> None:
    out = feed_all(Echo(), [noise(24000 * 3)])
    texts = [item for item in port(out, "text") if isinstance(item, Text)]
    transcripts = [item for item in port(out, "transcript") if isinstance(item, Text)]
    assert transcripts[0] == Text("utterance 1, 2.0 s", 0, 2000, "en-us", 1)
    assert texts[1] == Text("[pt-br] utterance 2, 1.0 s", 2000, 3000, "pt-br", 2)
    assert [text.utterance for text in texts] == [text.utterance for text in transcripts]


def test_a_mark_ends_the_utterance_and_goes_to_every_port() -> None:
    gap = Mark(MarkKind.GAP, 2400, 24000, 100)
    out = feed_all(Echo(), [noise(2400), gap, noise(2400, start=2500)])
    for name in ("audio", "text", "transcript"):
        items = port(out, name)
        assert gap in items
        assert [item.start for item in items if isinstance(item, Mark)] == [2400, 2400, 4900]


def test_cut_anywhere_it_is_the_same() -> None:
    check_transform(lambda: Echo(utterance_ms=10), [noise(240)])
