"""Texts of fourteen languages and of none, and streams of them at all kinds of times, for Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from pipeline.items import Text

SAMPLES = {
    "ar-ae": "لقد اخترنا أن نذهب إلى القمر في هذا العقد، ليس لأنها سهلة، بل لأنها صعبة.",
    "ar-eg": "قال الرجل: «أين الكتاب؟» ثم خرج من البيت ولم يعد حتى المساء.",
    "ar-sa": "السَّلامُ عَلَيْكُم وَرَحْمَةُ اللهِ وَبَرَكاتُهُ، كيف حالك اليوم؟",
    "de-de": "Die Donaudampfschifffahrtsgesellschaft teilte mit, dass der Kapitän nicht kommt, weil er krank ist.",
    "en-gb": "Nor is Mr. Quilter's manner less interesting than his matter; and he tells us so himself.",
    "en-us": "We choose to go to the Moon in this decade, not because it is easy, but because it is hard.",
    "es-es": "—¿Dónde está el niño? —preguntó ella; ¡no lo sé!, respondió él desde la puerta de la casa.",
    "fr-ca": "Il dit : « Quoi ? » Et nous avons décidé d'aller sur la Lune au cours de cette décennie.",
    "fr-fr": "Parce que c'est difficile, aujourd'hui, l'homme n'est qu'un roseau, le plus faible de la nature.",
    "hi-in": "हमने इस दशक में चाँद पर जाने का फैसला किया है, क्योंकि यह कठिन है। क्षत्रिय और ज्ञान के लिए धन्यवाद।",
    "ja-jp": "「容易だからではなく、困難だからです。」ヴァイオリニストは東京タワーへ行きました。ちょっと待って！",
    "ko-kr": "우리는 이 십 년 안에 달에 가기로 결정했습니다. 그것이 쉽기 때문이 아니라, 어렵기 때문입니다.",
    "pt-br": "Não é fácil, mas escolhemos ir à Lua nesta década porque é difícil; a Sra. Souza concordou.",
    "zh-cn": "我们选择在这个十年内登上月球，不是因为它容易，而是因为它困难。《红楼梦》是一本好书！",
}
ODD = [
    "a --> b ---> c <i>x</i> {\\an8} & &amp; <!-- no -->",
    "👩‍👩‍👧‍👦🇧🇷🇵🇹👍🏽 é é क्‍ष \u202egnihton\u202c \x00\x1b[31mred\x07",
    "one\n\ntwo\r\n\r\nthree\u2028four\u2029five\x85six",
    "https://example.org/" + "very-long-path/" * 9,
    "x" * 300,
    "Z" + "\u0301" * 200,
    "क्" * 60,
    "\ud800 lone \udfff",
    "\u200d\u200b\ufeff",
    "WEBVTT",
    "12",
    "1\n00:00:01,000 --> 00:00:02,000\nfake",
    "-->",
]

languages = st.sampled_from([*SAMPLES, "", "xx", "EN-US", "ja"])


def texts(language: str) -> st.SearchStrategy[str]:
    """From one word to several sentences of the language, or anything at all."""
    words = SAMPLES.get(language, SAMPLES["en-us"]).split(" ")
    if len(words) < 4:
        words = list("".join(words))
        return st.lists(st.sampled_from(words), min_size=1, max_size=120).map("".join) | anything
    return st.lists(st.sampled_from(words), min_size=1, max_size=45).map(" ".join) | anything


anything = st.sampled_from(ODD) | st.text(max_size=200) | st.just(" ".join(SAMPLES.values()))


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, list[Text]]:
    """A language and texts in it: in order, out of order, too fast, too long, before time, partial or final."""
    language = draw(languages)
    out, now = [], draw(st.integers(-2000, 10_000))
    for number in range(draw(st.integers(0, 8))):
        start = now + draw(st.integers(-1500, 4000) | st.sampled_from([0, 84, 10**7]))
        end = start + draw(st.integers(-100, 9000) | st.sampled_from([0, 1, 60_000]))
        now = end if draw(st.booleans()) else start
        final = draw(st.integers(0, 4)) > 0
        out.append(Text(draw(texts(language)), start, end, language, number, final))
    return language, out
