"""Words that lines of captions are broken at, and words that do not end a line, for each language.

`LEADS` begin a phrase (conjunctions, relative pronouns, prepositions): a line may well begin with them, and never
ends with them. `CLINGS` belong to the word behind them (articles, possessives, subject pronouns, auxiliaries,
negations): a line never ends with them. `TAILS` belong to the word before them (postpositions, particles).
After the Netflix Timed Text Style Guide, General Requirements, "Line Treatment".
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CLINGS", "LEADS", "TAILS", "TITLES"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LEADS: Mapping[str, frozenset[str]] = {
    "en": _words(
        "and but or nor so yet because although though while when where if unless until since that which who whom "
        "whose as than about above across after against along among around at before behind below beneath beside "
        "between beyond by down during except for from in inside into like near of off on onto out outside over "
        "past through throughout to toward towards under up upon via with within without"
    ),
    "pt": _words(
        "e mas ou nem porque pois que se quando enquanto embora como onde quem cujo cuja porém portanto então a à "
        "ao às aos ante após até com contra de do da dos das desde em no na nos nas num numa entre para pra pelo "
        "pela pelos pelas perante por sem sob sobre trás dum duma neste nesta nesse nessa naquele naquela"
    ),
    "es": _words(
        "y e pero o u ni sino porque pues que si cuando mientras aunque como donde quien cuyo cuya a al ante bajo "
        "con contra de del desde durante en entre hacia hasta mediante para por según sin sobre tras"
    ),
    "fr": _words(
        "et mais ou ni car donc parce que qui quand lorsque si comme où dont puisque tandis à au aux après avant "
        "avec chez contre dans de du des depuis derrière dès devant durant en entre envers jusque jusqu'à malgré "
        "par parmi pendant pour sans selon sous sur vers"
    ),
    "de": _words(
        "und aber oder denn sondern weil dass ob wenn als während obwohl damit bevor nachdem der die das welche "
        "welcher welches ab an am auf aus bei beim bis durch für gegen hinter in im ins mit nach neben ohne seit "
        "statt trotz über um unter von vom vor wegen zu zum zur zwischen"
    ),
    "it": _words(
        "e ed ma o né perché che chi se quando mentre sebbene come dove cui a ad al allo alla ai agli alle con "
        "contro da dal dallo dalla dai dagli dalle di del dello della dei degli delle dopo durante fra in nel "
        "nello nella nei negli nelle per prima senza sopra sotto su sul sullo sulla sui sugli sulle tra verso"
    ),
    "ar": _words(
        "و أو ثم لكن ولكن لأن إذا عندما بينما حيث أن إن الذي التي الذين في من إلى على عن مع بعد قبل بين خلال منذ "
        "حتى تحت فوق عند حول ضد بدون"
    ),
    "hi": _words("और या लेकिन मगर परंतु किंतु क्योंकि कि जो जब जहाँ अगर यदि तो इसलिए ताकि जबकि"),
    "ko": _words("그리고 그러나 하지만 그런데 그래서 따라서 또는 또한 즉 만약"),
}

CLINGS: Mapping[str, frozenset[str]] = {
    "en": _words(
        "a an the this that these those my your his her its our their some any no every each i you he she it we "
        "they am is are was were be been being do does did have has had will would shall should can could may "
        "might must not don't doesn't didn't won't can't isn't aren't wasn't i'm you're he's she's it's we're "
        "they're i've you've we've they've i'll you'll we'll they'll very too so"
    ),
    "pt": _words(
        "o a os as um uma uns umas meu minha meus minhas seu sua seus suas nosso nossa nossos nossas este esta "
        "estes estas esse essa esses essas aquele aquela aqueles aquelas eu tu você ele ela nós vocês eles elas "
        "me te se lhe lhes não é são foi foram era eram está estão estava ser tem têm tinha há vai vão muito "
        "mais tão"
    ),
    "es": _words(
        "el la los las un una unos unas lo mi mis tu tus su sus nuestro nuestra nuestros nuestras este esta estos "
        "estas ese esa esos esas aquel aquella yo tú usted él ella nosotros ustedes ellos ellas me te se le les "
        "nos no es son fue fueron era eran está están estaba ser ha han había hay va van muy más tan"
    ),
    "fr": _words(
        "le la les l' un une des du mon ma mes ton ta tes son sa ses notre nos votre vos leur leurs ce cet cette "
        "ces je tu il elle on nous vous ils elles me te se ne n' y en est sont était étaient sera être a ont "
        "avait avaient va vont très plus si ne"
    ),
    "de": _words(
        "der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner mein meine dein "
        "deine sein seine ihr ihre unser unsere euer eure dieser diese dieses diesen diesem ich du er sie es wir "
        "man nicht sehr zu so ist sind war waren hat haben hatte wird werden wurde"
    ),
    "it": _words(
        "il lo la i gli le un uno una l' mio mia miei mie tuo tua suo sua suoi sue nostro nostra vostro vostra "
        "loro questo questa questi queste quel quello quella quei io tu lui lei noi voi mi ti si ci vi non è sono "
        "era erano fu sarà essere ha hanno aveva avevano va vanno molto più così"
    ),
    "ar": _words("هذا هذه ذلك تلك هؤلاء هو هي هم نحن أنا أنت لا لم لن ما قد سوف كان كانت ليس كل"),
    "hi": _words("यह वह ये वे इस उस इन उन मैं हम तुम आप मेरा मेरी मेरे हमारा आपका आपके उसका उसके एक न नहीं मत बहुत"),
    "ko": _words("이 그 저 한 두 세 네 내 제 안 못 더 가장 아주 매우 모든 각"),
}

TAILS: Mapping[str, frozenset[str]] = {
    "hi": _words("का की के को से में पर ने तक लिए साथ द्वारा है हैं था थी थे हो होगा होगी होंगे रहा रही रहे गया गई गए ही भी"),
    "ko": _words("것 수 때 등 있다 없다 있습니다 없습니다 않습니다"),
}

TITLES = _words("mr mrs ms dr prof st sr sra sres srs dra mme mlle m hr herr frau fr pe d dom don doña sig sig.ra")
"""Words that end in a full stop and not a sentence, with a name behind them."""
