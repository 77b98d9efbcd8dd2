/** Who listens, by language, and the link that brings them here. */

import { AUTO } from "/room-assets/meeting.js";

const HERE = /^(localhost|127\.|\[::1\])/;
const COPIED_MS = 2000;

export class Attendance {
  #names;
  #at = (id) => document.getElementById(id);

  /** `names`: those of the languages, by tag. `link`: what this page itself would call the room. */
  constructor(names, link) {
    this.#names = names;
    this.#at("link").value = link;
    this.#at("copy").addEventListener("click", () => this.#copy());
  }

  /** What the room says of it; without that, nothing is known. */
  show(status = null) {
    const { listeners, by_language: languages = {}, link } = status ?? {};
    this.#at("number").textContent = status ? String(Number(listeners) || 0) : "–";
    const chips = Object.entries(languages)
      .sort((one, other) => other[1] - one[1])
      .map(([tag, count]) => this.#chip(tag, count));
    this.#at("by-language").replaceChildren(...chips);
    if (link && HERE.test(location.hostname)) this.#at("link").value = link; // what this page goes by is for this machine
  }

  #chip(tag, count) {
    const chip = document.createElement("li");
    const number = document.createElement("b");
    number.textContent = String(count);
    chip.append(tag === AUTO ? "Original" : (this.#names.get(tag) ?? tag), " ", number);
    return chip;
  }

  async #copy() {
    const [place, button] = [this.#at("link"), this.#at("copy")];
    try {
      await navigator.clipboard.writeText(place.value);
    } catch {
      place.select();
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
  }
}
