/**
 * The microphone's sound, in the audio thread: resampled to 24 kHz where the context has another rate, cut into blocks
 * of 100 ms of PCM16. While it is paused it looks at nothing and posts nothing.
 */

const RATE_HZ = 24000;
const BLOCK = 2400;
const PHASES = 256;
const LOBES = 16;

/** A low-pass (sinc under a Blackman window), read off between the samples. Positions are reckoned in whole numbers: nothing drifts. */
class Resampler {
  constructor(rate) {
    this.rate = rate;
    const widen = Math.max(1, rate / RATE_HZ);
    this.half = Math.ceil(LOBES * widen);
    this.taps = new Float32Array((PHASES + 1) * 2 * this.half);
    const cut = 0.94 / widen;
    for (let phase = 0; phase <= PHASES; phase += 1) {
      const row = phase * 2 * this.half;
      let sum = 0;
      for (let tap = 0; tap < 2 * this.half; tap += 1) {
        const x = tap - this.half + 1 - phase / PHASES;
        const sinc = x === 0 ? 1 : Math.sin(Math.PI * cut * x) / (Math.PI * cut * x);
        const u = Math.min(1, Math.abs(x) / this.half);
        const window = 0.42 + 0.5 * Math.cos(Math.PI * u) + 0.08 * Math.cos(2 * Math.PI * u);
        sum += this.taps[row + tap] = sinc * window;
      }
      for (let tap = 0; tap < 2 * this.half; tap += 1) this.taps[row + tap] /= sum;
    }
    this.reset();
  }

  reset() {
    this.past = new Float32Array(8192);
    this.length = this.half - 1; // silence before the first sample
    this.first = -(this.half - 1); // the position of past[0]
    this.next = 0; // the number of the next frame at 24 kHz
  }

  /** `into(sample)` for each frame that can be reckoned now. */
  feed(samples, into) {
    if (this.length + samples.length > this.past.length) {
      const grown = new Float32Array(2 * (this.length + samples.length));
      grown.set(this.past.subarray(0, this.length));
      this.past = grown;
    }
    this.past.set(samples, this.length);
    this.length += samples.length;
    const { rate, half, taps } = this;
    for (;;) {
      const scaled = this.next * rate;
      const whole = Math.floor(scaled / RATE_HZ);
      const begin = whole - half + 1 - this.first;
      if (begin + 2 * half > this.length) break;
      const row = Math.round(((scaled - whole * RATE_HZ) / RATE_HZ) * PHASES) * 2 * half;
      let sum = 0;
      for (let tap = 0; tap < 2 * half; tap += 1) sum += this.past[begin + tap] * taps[row + tap];
      into(sum);
      this.next += 1;
    }
    const keep = Math.max(0, Math.floor((this.next * rate) / RATE_HZ) - half + 1 - this.first);
    if (keep > 0) {
      this.past.copyWithin(0, keep, this.length);
      this.length -= keep;
      this.first += keep;
    }
  }
}

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.paused = true;
    this.over = false;
    this.resampler = sampleRate === RATE_HZ ? null : new Resampler(sampleRate);
    this.begin();
    this.port.onmessage = ({ data }) => {
      if (data === "close") this.over = true;
      if (typeof data.paused === "boolean" && data.paused !== this.paused) {
        this.paused = data.paused;
        this.begin(); // what was begun before a pause does not come out after it
        this.resampler?.reset();
      }
    };
  }

  begin() {
    this.block = new Int16Array(BLOCK);
    this.filled = 0;
    this.peak = 0;
    this.energy = 0;
  }

  process([input]) {
    if (this.over) return false;
    const samples = input[0];
    if (this.paused || !samples) return true;
    if (this.resampler) this.resampler.feed(samples, (sample) => this.take(sample));
    else for (let i = 0; i < samples.length; i += 1) this.take(samples[i]);
    return true;
  }

  take(sample) {
    const size = Math.abs(sample);
    if (size > this.peak) this.peak = size;
    this.energy += sample * sample;
    this.block[this.filled] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
    this.filled += 1;
    if (this.filled < BLOCK) return;
    const { block, peak, energy } = this;
    this.port.postMessage({ pcm: block.buffer, peak, rms: Math.sqrt(energy / BLOCK) }, [block.buffer]);
    this.begin();
  }
}

registerProcessor("microphone", Microphone);
