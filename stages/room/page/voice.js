/**
 * The interpreter's voice: blocks of PCM from the network, played without gaps and without clicks.
 *
 * Blocks of one utterance are joined to the sample. A run begins when a cushion of sound is there (or the whole
 * utterance), and where the network makes it wait, a new run begins with a bigger cushion. Every run fades in, and
 * always has its fade out scheduled: it is put off when more sound comes in time.
 */

export const RATE_HZ = 24000;
const FADE_S = 0.008;
const MARGIN_S = [0.03, 0.15]; // what is nearer may be under way in the audio thread: a block of its, within these bounds
const AHEAD_S = 1.5;
const LEAST_CUSHION_S = 0.2;
const MOST_CUSHION_S = 1.2;
const MOST_HELD_S = 20;

export class Voice {
  playedMs = 0;
  droppedMs = 0;
  hiccups = 0;
  utterances = 0;
  #context;
  #out;
  #onchange;
  #held = []; // Float32Array blocks, and "end" behind the last one of an utterance
  #heldFrames = 0;
  #run = null; // {gain, until, playing}
  #cushion = LEAST_CUSHION_S;
  #speaking = false; // between an utterance's begin and end
  #volume = 1;

  /** `context`: 24 kHz where the browser can; `onchange()` when it starts or stops sounding, or has dropped sound. */
  constructor(context, onchange = () => {}) {
    this.#context = context;
    this.#onchange = onchange;
    this.#out = context.createGain();
    this.#out.connect(context.destination);
  }

  /** One for this browser; to be called in a tap, without which it may not sound. */
  static open(onchange) {
    if (navigator.audioSession) navigator.audioSession.type = "playback"; // an iPhone's mute switch is for ringing
    const Context = window.AudioContext ?? window.webkitAudioContext;
    let context;
    try {
      context = new Context({ sampleRate: RATE_HZ, latencyHint: "playback" });
    } catch {
      context = new Context(); // it resamples each block
    }
    return new Voice(context, onchange);
  }

  get context() {
    return this.#context;
  }

  get sounding() {
    return this.#run !== null && this.#run.playing > 0;
  }

  get heldMs() {
    return (1000 * this.#heldFrames) / RATE_HZ;
  }

  /** How much is to be heard before what comes next: held, or under way. */
  get aheadMs() {
    return this.heldMs + 1000 * Math.max(0, (this.#run?.until ?? 0) - this.#context.currentTime);
  }

  get cushionMs() {
    return Math.round(1000 * this.#cushion);
  }

  set volume(volume) {
    this.#volume = volume;
    this.#out.gain.setTargetAtTime(volume * volume, this.#context.currentTime, 0.02);
  }

  get volume() {
    return this.#volume;
  }

  begin() {
    if (this.#speaking) this.end();
    this.#speaking = true;
    this.utterances += 1;
  }

  /** `pcm`: an ArrayBuffer of 16-bit samples, little-endian, mono, 24 kHz. */
  push(pcm) {
    const view = new DataView(pcm);
    const samples = new Float32Array(pcm.byteLength >> 1);
    for (let i = 0; i < samples.length; i += 1) samples[i] = view.getInt16(2 * i, true) / 32768;
    if (!samples.length) return;
    this.#held.push(samples);
    this.#heldFrames += samples.length;
    this.#spill();
    this.#schedule();
  }

  /** The utterance is whole: what is held of it plays, however little it is. */
  end() {
    this.#speaking = false;
    if (this.#held.length) {
      if (this.#held.at(-1) !== "end") this.#held.push("end");
    } else if (this.#run) {
      this.#run.whole = true;
    }
    this.#schedule();
  }

  /** Be silent now, without a click; what was held is forgotten. */
  cut() {
    this.#held = [];
    this.#heldFrames = 0;
    this.#speaking = false;
    const run = this.#run;
    this.#run = null;
    if (run) {
      const now = this.#context.currentTime;
      run.gain.gain.cancelScheduledValues(now);
      run.gain.gain.setTargetAtTime(0, now, FADE_S / 3);
      run.sources.forEach((source) => source.stop(now + 3 * FADE_S));
    }
    this.#onchange();
  }

  /** Too much is held: the oldest goes, counted. */
  #spill() {
    let cut = false;
    while (this.#heldFrames > MOST_HELD_S * RATE_HZ) {
      const block = this.#held.shift();
      if (block === "end") continue;
      this.#heldFrames -= block.length;
      this.droppedMs += (1000 * block.length) / RATE_HZ;
      cut = true;
    }
    if (!cut) return;
    if (this.#held[0] !== "end") this.#held.unshift("end"); // what follows does not join what was played
    this.#onchange();
  }

  #schedule() {
    const now = this.#context.currentTime;
    const soon = now + Math.min(MARGIN_S[1], Math.max(MARGIN_S[0], this.#context.baseLatency || 0));
    if (this.#run && this.#run.until < soon) this.#endRun(now);
    while (this.#held.length) {
      if (this.#held[0] === "end") {
        this.#held.shift();
        if (this.#run) this.#run.whole = true;
        continue;
      }
      if (this.#run?.until > now + AHEAD_S) return;
      if (!this.#run || this.#run.whole) {
        const before = this.#run?.until ?? 0;
        if (!this.#ready()) return;
        this.#beginRun(Math.max(soon + FADE_S, before + FADE_S));
      }
      this.#place(this.#held.shift());
    }
  }

  #ready() {
    return this.#held.includes("end") || this.#heldFrames >= this.#cushion * RATE_HZ;
  }

  #beginRun(at) {
    const gain = this.#context.createGain();
    gain.connect(this.#out);
    gain.gain.setValueAtTime(0, 0);
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(1, at + FADE_S);
    this.#run = { gain, until: at, faded: Infinity, least: at + FADE_S, playing: 0, whole: false, sources: new Set() };
  }

  #place(samples) {
    const run = this.#run;
    const buffer = this.#context.createBuffer(1, samples.length, RATE_HZ);
    buffer.copyToChannel(samples, 0);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(run.gain);
    source.start(run.until);
    source.onended = () => this.#ended(run, source, samples.length);
    run.sources.add(source);
    run.playing += 1;
    this.#heldFrames -= samples.length;
    run.until += samples.length / RATE_HZ;
    this.#fadeAt(run);
    if (run.playing === 1) this.#onchange();
  }

  /** Put the fade out to where the run now ends. */
  #fadeAt(run) {
    const volume = run.gain.gain;
    if (run.faded < Infinity) volume.cancelScheduledValues(run.faded);
    run.faded = Math.max(run.until - FADE_S, run.least);
    if (run.faded >= run.until) return; // shorter than its fade in
    volume.setValueAtTime(1, run.faded);
    volume.linearRampToValueAtTime(0, run.until);
  }

  #ended(run, source, frames) {
    source.disconnect();
    run.sources.delete(source);
    run.playing -= 1;
    this.playedMs += (1000 * frames) / RATE_HZ;
    this.#schedule(); // of an earlier run, too: what comes behind it has waited for that
    if (run.playing === 0) {
      if (run !== this.#run) run.gain.disconnect();
      this.#onchange();
    }
  }

  /** Everything that was placed has been played, or is in its last fade. */
  #endRun(now) {
    const run = this.#run;
    this.#run = null;
    if (!run.whole && this.#speaking) {
      this.hiccups += 1;
      this.#cushion = Math.min(MOST_CUSHION_S, 1.6 * this.#cushion);
    } else if (run.whole) {
      this.#cushion = Math.max(LEAST_CUSHION_S, 0.97 * this.#cushion);
    }
    if (run.until <= now) run.gain.disconnect();
  }
}
