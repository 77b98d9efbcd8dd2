/** One quiet line: the gravest thing there is to say, and for a while what is said in passing. */

const SHOWN_MS = 6000;

export class Status {
  #place;
  #passing = "";
  #timer = 0;
  #told = { bad: "", grave: "", mild: "" };

  constructor(place) {
    this.#place = place;
  }

  /** What there is to say, if anything: `bad`, else `grave`, else what is passing, else `mild`. */
  show(bad, grave, mild) {
    this.#told = { bad, grave, mild };
    this.#say();
  }

  /** Say it for a while. */
  pass(text) {
    clearTimeout(this.#timer);
    this.#passing = text;
    this.#timer = setTimeout(() => {
      this.#passing = "";
      this.#say();
    }, SHOWN_MS);
    this.#say();
  }

  #say() {
    const { bad, grave, mild } = this.#told;
    const text = String(bad || grave || this.#passing || mild || "");
    this.#place.classList.toggle("bad", Boolean(bad));
    if (this.#place.textContent !== text) this.#place.textContent = text;
  }
}
