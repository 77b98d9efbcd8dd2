/**
 * The interpreter's voice as a listener has it: begun by a tap, woken by another, and how late it is.
 *
 * A phone that rings, or whose screen is locked, may stop the audio clock and say nothing of it. Sound that comes
 * while that clock stands still is let go, counted; a tap then opens the audio anew.
 */

import { RATE_HZ, Voice } from "/room-assets/voice.js";

const STILL_MS = 2000;
const FADED_MS = 100;
const LATE_MS = [3000, 4000]; // not late any more, and late: between them it stays as it was

export class Interpreter {
  voice = null;
  asleep = false;
  lateMs = 0; // 0 while it is not late
  #on;
  #volume = 1;
  #utterance = null; // whose sound is coming
  #lostMs = 0; // but for what the voice itself has dropped
  #toldMs = 0;
  #clock = { s: -1, stillSince: null };

  /** `on.changed()` when there is something else to show; `on.skipped(ms)`, in all, when sound was lost. */
  constructor(on) {
    this.#on = on;
  }

  get droppedMs() {
    return this.#lostMs + (this.voice?.droppedMs ?? 0);
  }

  get sounding() {
    return Boolean(this.voice?.sounding);
  }

  set volume(volume) {
    this.#volume = volume;
    if (this.voice) this.voice.volume = volume;
  }

  /** Sound may only begin with a tap: this has to be in one. */
  start() {
    this.close();
    this.#lostMs = this.droppedMs;
    this.voice = Voice.open(() => this.#changed());
    this.voice.volume = this.#volume;
    this.#clock = { s: -1, stillSince: null };
    this.rouse();
  }

  /** In a tap: open the audio anew if it sleeps; whether it did. */
  wake() {
    if (!this.asleep) return false;
    const utterance = this.#utterance;
    this.#lostMs += this.voice.heldMs;
    this.start();
    this.#utterance = utterance;
    if (utterance !== null) this.voice.begin();
    return true;
  }

  /** Sound may go on without a tap: the page is seen again. */
  rouse() {
    const { context } = this.voice;
    if (context.state !== "running") context.resume().catch(() => {}); // it sleeps, then: that is noticed, and said
  }

  /** What was to be heard is not any more. */
  stop() {
    this.#utterance = null;
    this.lateMs = 0;
    this.asleep = false;
    this.voice?.cut();
  }

  /** The connection is lost: what is here is still heard. */
  end() {
    this.#utterance = null;
    this.lateMs = 0;
    this.voice?.end();
  }

  /** What the room says of the voice. */
  take({ event, utterance, ms, behind_ms: behindMs }) {
    if (!this.voice) return;
    if (event === "begin") {
      this.#utterance = utterance;
      this.#late(behindMs);
      this.voice.begin();
    } else if (event === "end") {
      this.#utterance = null;
      this.voice.end();
    } else if (event === "dropped") {
      this.#lose(Number(ms) || 0);
    }
  }

  push(pcm) {
    if (this.#utterance === null || !this.voice) return;
    if (this.#stands()) this.#lose((1000 * (pcm.byteLength >> 1)) / RATE_HZ);
    else this.voice.push(pcm);
  }

  #late(behindMs) {
    const late = Number.isFinite(behindMs) ? behindMs + this.voice.aheadMs : 0;
    this.lateMs = late >= LATE_MS[this.lateMs ? 0 : 1] ? late : 0;
    this.#on.changed();
  }

  /** Whether the audio clock stands still. */
  #stands() {
    const [s, now] = [this.voice.context.currentTime, performance.now()];
    if (s !== this.#clock.s) this.#clock = { s, stillSince: null };
    else this.#clock.stillSince ??= now;
    const asleep = this.#clock.stillSince !== null && now - this.#clock.stillSince > STILL_MS;
    if (asleep !== this.asleep) {
      this.asleep = asleep;
      this.#on.changed();
    }
    return asleep;
  }

  #changed() {
    this.#tell();
    this.#on.changed();
  }

  #lose(ms) {
    this.#lostMs += ms;
    this.#tell();
  }

  #tell() {
    if (this.asleep || this.droppedMs <= this.#toldMs) return;
    this.#toldMs = this.droppedMs;
    this.#on.skipped(this.droppedMs);
  }

  /** Not wanted any more: give the audio back to the phone. */
  close() {
    const context = this.voice?.context;
    if (!context || context.state === "closed") return;
    this.stop();
    setTimeout(() => context.close(), FADED_MS);
  }
}
