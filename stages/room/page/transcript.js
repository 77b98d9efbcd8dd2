/** What is understood of the talk: whole utterances, and the one that is growing. */

const MOST_LINES = 30;
const NEAR_PX = 48;

export class Transcript {
  #place;
  #growing = null;

  constructor(place) {
    this.#place = place;
  }

  /** More of the utterance that is growing. */
  add(text, language) {
    this.#change(language, (line) => line.append(text));
  }

  /** All of it; the next one begins behind it. */
  settle(text, language) {
    this.#change(language, (line) => {
      line.textContent = text;
      line.classList.remove("growing");
      if (!text.trim()) line.remove();
      this.#growing = null;
    });
  }

  #change(language, work) {
    const place = this.#place;
    const near = place.scrollHeight - place.scrollTop - place.clientHeight < NEAR_PX;
    work(this.#line(language));
    while (place.childElementCount > MOST_LINES) place.firstElementChild.remove();
    if (near) place.scrollTop = place.scrollHeight;
  }

  #line(language) {
    if (!this.#growing) {
      this.#growing = document.createElement("p");
      this.#growing.className = "growing";
      this.#growing.dir = "auto";
      this.#place.querySelector("#nothing")?.remove();
      this.#place.append(this.#growing);
    }
    this.#growing.lang = language;
    return this.#growing;
  }
}
