/** How large the captions are: a step of a scale, remembered. */

const SCALES = [0.62, 0.78, 1, 1.22, 1.5, 1.85, 2.3, 2.9];
const USUAL = 2;

export class TypeSize {
  #memory;
  #step;

  constructor(memory) {
    this.#memory = memory;
    this.#set(memory.get("scale", USUAL));
  }

  get isLeast() {
    return this.#step === 0;
  }

  get isMost() {
    return this.#step === SCALES.length - 1;
  }

  /** One step larger (1), or smaller (-1). */
  change(steps) {
    this.#set(this.#step + steps);
    this.#memory.set("scale", this.#step);
  }

  #set(step) {
    this.#step = Math.min(SCALES.length - 1, Math.max(0, Math.trunc(step)));
    document.documentElement.style.setProperty("--scale", String(SCALES[this.#step]));
  }
}
