/** Settled lines for a screen reader, in a live region that nobody sees; of a burst, as when joining, only the last. */

const BURST_MS = 400;
const BURST = 3;

export class Announcer {
  #region;
  #waiting = [];
  #timer = 0;

  constructor(region) {
    this.#region = region;
  }

  say(language, text) {
    this.#waiting.push([language, text]);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#speak(), BURST_MS);
  }

  #speak() {
    const fresh = this.#waiting.length > BURST ? this.#waiting.slice(-1) : this.#waiting;
    this.#waiting = [];
    for (const [language, text] of fresh) {
      const line = document.createElement("p");
      line.lang = language;
      line.textContent = text;
      this.#region.append(line);
    }
    while (this.#region.childElementCount > BURST) this.#region.firstElementChild.remove();
  }
}
