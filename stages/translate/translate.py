"""Speech in one language into speech and text in another: what `use: translate` stands for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from attrs import define, evolve, field

from pipeline.caps import TEXT, AudioCaps, Caps, Port
from pipeline.stage import Part, Parts, Stage, between, option
from stages.asr import Asr
from stages.echo.words import OwnWords
from stages.echo_guard import EchoGuard
from stages.languages import checked, checked_or_auto
from stages.models.speakers import choose
from stages.mt import Mt
from stages.resample import Resample
from stages.translate.echo import Echo
from stages.translate.languages import Route, route
from stages.tts import RATE, Tts
from stages.vad import Vad

__all__ = ["Translate"]


@define(kw_only=True)
class Translate:
    """Translate speech: `audio` is the spoken translation, `text` its words, `transcript` what was said.

    The engine `local` works on this machine alone, from a recogniser, a translation and a voice that come with
    `dragoman[local,voices]`; it is made of the stages vad, asr, mt and tts, and what nobody reads is left out.
    A pair of languages that it cannot do is refused when the graph is checked: see `dragoman languages`.
    The engine `echo` needs no models and gives back what it hears. The engine `realtime` is a service over a
    socket, hosted or `dragoman serve`; `use: realtime` is the same with all its options.
    """

    engine: Literal["local", "echo", "realtime"] = option("local", help="what translates")
    source_language: str = option(help="the language spoken, or auto", check=checked_or_auto, example="en-us")
    target_language: str = option(help="the language to translate into", check=checked, example="pt-br")
    asr_model: Path | None = option(None, help="the folder of another CTranslate2 Whisper model, such as small")
    mt_model: Path | None = option(
        None,
        help="the folder of a CTranslate2 translation model with its SentencePiece files, for any pair",
    )
    voice: str | None = option(None, help="the voice that speaks: see the option of `tts`")
    speed: float = option(1.0, help="1 is the voice's own pace, 1.25 a quarter faster", check=between(0.5, 2))
    min_silence_ms: int = option(
        400,
        help="a pause that ends an utterance; longer keeps sentences whole, shorter translates sooner",
        check=between(60, 10000, "ms"),
    )
    beam: int = option(
        1, help="how hard the recogniser searches; 5 is slower and barely better", check=between(1, 20)
    )
    partials_s: float | None = option(
        None,
        help="local: guess while somebody still speaks, whenever so much more was said; sentences are translated "
        "and spoken as soon as they are settled; it costs much",
        check=between(0.3, 10, "s"),
    )
    echo_guard: str | None = option(
        None,
        help="the stage that plays our speech where the microphone hears it, so that it is not translated again",
        names_stage="played",
    )
    microphone: str | None = option(
        None, help="echo_guard: the stage that hears, where there are several", names_stage="time_of"
    )
    half_duplex: bool = option(False, help="echo_guard: do without all that is heard while our speech plays")

    mode: Literal["fast", "slow"] = option(
        "fast", help="realtime: fast is ready at once, slow boots for half a minute and knows more languages"
    )
    voice_id: int | None = option(None, help="realtime: the number of a cloned voice")
    api_key: str | None = option(None, help="realtime: your key; without it, CAMB_API_KEY", secret=True)
    base_url: str | None = option(
        None, help="realtime: the service's address, such as ws://127.0.0.1:8765; without it, the hosted one"
    )

    ends_matter: bool = field(default=False, repr=False)
    """Whether something waits for the end of an utterance, so that it must come though sentences are settled."""

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AudioCaps(RATE, 1))}

    def __attrs_post_init__(self) -> None:
        if self.echo_guard is None and self.half_duplex:
            raise ValueError(
                "half_duplex: wanted `echo_guard` with it, the stage that plays our speech, came true"
            )

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """Audio and two texts. Raises ValueError for a pair, or a voice, that there is not."""
        if self.engine == "local":
            self._route()
            choose(self.target_language, self.voice)
        return {"audio": AudioCaps(RATE, 1), "text": TEXT, "transcript": TEXT}

    def parts(self) -> Parts:
        """The stages that do it. Raises ValueError for a pair that cannot be done."""
        parts = {"echo": self._echo, "realtime": self._realtime, "local": self._local}[self.engine]()
        if self.echo_guard is None:
            return parts
        guard = EchoGuard(speaker=self.echo_guard, microphone=self.microphone, half_duplex=self.half_duplex)
        return _guarded(parts, guard)

    def _local(self) -> Parts:
        way, vad = self._route(), Vad(min_silence_ms=self.min_silence_ms)
        asr = evolve(self._asr(way, way.task), partials_s=self.partials_s)
        if not self.ends_matter:
            asr.when_settled = vad.begin_anew
        parts = {
            "pcm": Part(Resample(rate=16000, channels=1)),
            "vad": Part(vad, ("pcm",)),
            "asr": Part(asr, ("vad",)),
        }
        outputs = {"audio": "tts", "text": "asr", "transcript": "asr"}
        if way.task == "translate":
            # Whisper's translation leaves no transcript, so it listens twice where one is read.
            parts["transcriber"] = Part(self._asr(way, "transcribe"), ("vad",))
            outputs["transcript"] = "transcriber"
        if way.pivot is not None:
            mt = Mt(source_language=way.pivot, target_language=way.target, model=self.mt_model)
            parts["mt"] = Part(mt, ("asr",))
            outputs["text"] = "mt"
        voice = Tts(language=way.target, voice=self.voice, speed=self.speed)
        parts["tts"] = Part(voice, (outputs["text"],))
        return Parts(parts, {"in": "pcm"}, outputs)

    def _route(self) -> Route:
        return route(self.source_language, self.target_language, own_translation=self.mt_model is not None)

    def _asr(self, way: Route, task: Literal["transcribe", "translate"]) -> Asr:
        # Two recognisers must agree on what an utterance is; they need not on sentences.
        alone = way.task == "transcribe"
        return Asr(language=way.source, task=task, model=self.asr_model, beam=self.beam, sentences=alone)

    def _echo(self) -> Parts:
        source = "en-us" if self.source_language == "auto" else self.source_language
        return _alone("echo", Echo(source_language=source, target_language=self.target_language))

    def _realtime(self) -> Parts:
        # Imported here: the other engines need none of it.
        from stages.translate.realtime.interpreter import Interpreter
        from stages.translate.realtime.transport import DEFAULT_BASE_URL

        interpreter = Interpreter(
            source_language=self.source_language,
            target_language=self.target_language,
            mode=self.mode,
            voice_id=self.voice_id,
            api_key=self.api_key,
            base_url=self.base_url or DEFAULT_BASE_URL,
        )
        return _alone("service", interpreter)


def _guarded(parts: Parts, guard: EchoGuard) -> Parts:
    """The same with `guard` in front, and behind every recogniser what knows our own words again."""
    behind = {name: f"{name}-words" for name, part in parts.parts.items() if isinstance(part.stage, Asr)}
    first = set(parts.inputs.values())
    guarded = {"guard": Part(guard)}
    for name, part in parts.parts.items():
        reads = [behind.get(read, read) for read in part.reads]
        guarded[name] = evolve(part, reads=[*reads, "guard"] if name in first else reads)
        if name in behind:
            guarded[behind[name]] = Part(OwnWords(guard=guard), (name,))
    outputs = {port: behind.get(part, part) for port, part in parts.outputs.items()}
    return Parts(guarded, dict.fromkeys(parts.inputs, "guard"), outputs)


def _alone(name: str, stage: Stage) -> Parts:
    """An assembly of one part, which has all three ports itself."""
    return Parts(
        {name: Part(stage)}, {"in": name}, {port: f"{name}.{port}" for port in ("audio", "text", "transcript")}
    )
