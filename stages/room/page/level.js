/** How loud the microphone is: a meter, and advice where it is too loud or hardly anything is heard. */

const QUIET_DB = -55;
const QUIET_BLOCKS = 70;
const LOUD = 0.985;
const TOO_LOUD = 15; // of a count that a block too loud raises by 3, and any other lowers by 1
const FLOOR_DB = -60;

export class Level {
  #meter;
  #quiet = 0;
  #loud = 0;

  constructor(meter) {
    this.#meter = meter;
  }

  /** A block of 100 ms: its loudest sample and its root mean square, of 1. */
  take({ peak, rms }) {
    const db = Math.max(FLOOR_DB, 20 * Math.log10(rms + 1e-9));
    this.#quiet = db < QUIET_DB ? this.#quiet + 1 : 0;
    this.#loud = peak > LOUD ? Math.min(3 * TOO_LOUD, this.#loud + 3) : Math.max(0, this.#loud - 1);
    this.#show(db, peak > LOUD);
  }

  /** Nothing is heard, and that is right. */
  rest() {
    this.#quiet = this.#loud = 0;
    this.#show(FLOOR_DB, false);
  }

  get advice() {
    if (this.#quiet > QUIET_BLOCKS) return "Hardly anything is heard. Is it the right microphone, and switched on?";
    return this.#loud > TOO_LOUD ? "Too loud: go a little away from the microphone." : "";
  }

  #show(db, loud) {
    document.documentElement.style.setProperty("--level", ((db - FLOOR_DB) / -FLOOR_DB).toFixed(3));
    this.#meter.setAttribute("aria-valuenow", String(Math.round(db)));
    this.#meter.setAttribute("aria-valuetext", db <= FLOOR_DB ? "silent" : `${Math.round(db)} decibels`);
    this.#meter.dataset.loud = String(loud);
  }
}
