/** What is understood of the talk: whole utterances, and the one that is growing. */

const MOST_LINES = 30;
const NEAR_PX = 48;

export class Transcript {
  #place;
  #growing = null;
  #following = true;
  #top = 0;

  constructor(place) {
    this.#place = place;
    place.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#follow()).observe(place);
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
    work(this.#line(language));
    while (place.childElementCount > MOST_LINES) place.firstElementChild.remove();
    this.#follow();
  }

  /** The newest line stays in view, also where the box shrinks, unless somebody has scrolled up. */
  #follow() {
    if (!this.#following) return;
    this.#place.scrollTop = this.#place.scrollHeight;
    this.#top = this.#place.scrollTop;
  }

  /** Only who scrolls up leaves the newest line. */
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#place;
    const up = scrollTop < this.#top - 1;
    this.#top = scrollTop;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_PX || (this.#following && !up);
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
