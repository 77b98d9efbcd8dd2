/**
 * What the speaker said and is not sent yet: a few seconds at most, the oldest dropped and counted.
 *
 * Nothing goes out before the session is open, and nothing that waited here outlives a pause.
 */

export const BLOCK_MS = 100;
const MOST_BLOCKS = 100;
const MOST_WAITING_BYTES = 96_000;

export class Outgoing {
  sentMs = 0;
  droppedMs = 0;
  #link;
  #held = [];
  #open = false;

  constructor(link) {
    this.#link = link;
  }

  get heldMs() {
    return this.#held.length * BLOCK_MS;
  }

  /** The session is open, or no longer. */
  set open(open) {
    this.#open = open;
    this.flush();
  }

  get open() {
    return this.#open;
  }

  /** `pcm`: an ArrayBuffer of one block. */
  put(pcm) {
    this.#held.push(pcm);
    this.flush();
    while (this.#held.length > MOST_BLOCKS) {
      this.#held.shift();
      this.droppedMs += BLOCK_MS;
    }
  }

  /** Send what the network takes. */
  flush() {
    while (this.#open && this.#held.length && this.#link.waiting < MOST_WAITING_BYTES) {
      if (!this.#link.send({ type: "input_audio_buffer.append", audio: base64(this.#held[0]) })) return;
      this.#held.shift();
      this.sentMs += BLOCK_MS;
    }
  }

  /** Forget what waits, counted: a pause begins, or the talk is over. */
  clear() {
    this.droppedMs += this.heldMs;
    this.#held = [];
  }
}

export function base64(buffer) {
  return btoa(String.fromCharCode(...new Uint8Array(buffer)));
}
