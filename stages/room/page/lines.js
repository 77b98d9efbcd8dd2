/**
 * The captions on the page: settled lines above, dimmer; the newest at the bottom, in a place with room to grow in.
 *
 * A block is one utterance: its text in the chosen language, and beneath it, where wanted, the original. The newest
 * block stays in view unless the reader has scrolled up. Everything is text, never markup.
 */

const MOST_BLOCKS = 400;
const LOOK_BACK = 60;
const NEAR_PX = 64;
const GLIDE_MS = 260;

export class Lines {
  #scroller;
  #list;
  #onfollow;
  #following = true;
  #top = 0;
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /** `onfollow(following)` is called when the reader leaves the newest line, or is back at it. */
  constructor(scroller, list, onfollow) {
    this.#scroller = scroller;
    this.#list = list;
    this.#onfollow = onfollow;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#following && this.#stick()).observe(scroller);
  }

  get isEmpty() {
    return !this.#list.firstElementChild;
  }

  /** A settled line takes the place of whatever grows in its language. `role` is `main` or `original`. */
  settle(role, language, { utterance, text, seq }) {
    this.#change(() => {
      this.#stopGrowing(role);
      const place = this.#place(role, language, utterance);
      const line = document.createElement("span");
      line.className = "settled";
      line.dataset.seq = seq;
      line.textContent = text;
      if (place.childNodes.length) place.append(" ");
      place.append(line);
    });
  }

  grow(role, language, utterance, text) {
    this.#change(() => {
      const before = this.#list.querySelector(`.${role} > .growing`);
      if (before && before.closest("li").utterance !== utterance) this.#stopGrowing(role);
      if (!text) return this.#stopGrowing(role);
      const place = this.#place(role, language, utterance);
      let growing = place.querySelector(".growing");
      if (!growing) {
        growing = document.createElement("span");
        growing.className = "growing";
        if (place.childNodes.length) place.append(" ");
        place.append(growing);
      }
      if (growing.textContent !== text) growing.textContent = text;
    });
  }

  /** A line of our own, such as that some could not be kept. */
  note(text) {
    this.#change(() => {
      const block = document.createElement("li");
      block.className = "missed";
      block.textContent = text;
      this.#list.append(block);
    });
  }

  /** Utterances are counted anew from here on: what stands is earlier than all that comes. */
  seal() {
    for (const block of this.#list.children) block.utterance = -1;
  }

  /** What was growing will not be finished: the connection or the talk has ended. */
  stopGrowing() {
    this.#change(() => ["main", "original"].forEach((role) => this.#stopGrowing(role)));
  }

  /** Without the original, or with nothing at all. */
  clear(role = null) {
    this.#change(() => {
      if (!role) return this.#list.replaceChildren();
      for (const place of this.#list.querySelectorAll(`.${role}`)) place.replaceChildren();
      for (const block of [...this.#list.children]) if (!block.textContent) block.remove();
    });
  }

  follow() {
    this.#following = true;
    this.#stick();
    this.#onfollow(true);
  }

  /** The size of the text has changed, or the room there is. */
  settleDown() {
    if (this.#following) this.#stick();
  }

  #place(role, language, utterance) {
    const place = this.#block(utterance).querySelector(`.${role}`);
    const known = language.tag !== "auto"; // nobody has said which language it is
    place.lang = known ? language.tag : "";
    place.dir = known ? language.dir : "auto";
    return place;
  }

  /** The block of `utterance`; a new one comes behind those of earlier utterances. */
  #block(utterance) {
    let after = null;
    let steps = 0;
    for (let block = this.#list.lastElementChild; block && steps < LOOK_BACK; block = block.previousElementSibling, steps += 1) {
      if (block.utterance === utterance) return block; // a note has none, and is passed over
      if (after === null && !(block.utterance > utterance)) after = block;
    }
    const block = document.createElement("li");
    block.utterance = utterance;
    for (const role of ["main", "original"]) {
      const place = document.createElement("p");
      place.className = role;
      block.append(place);
    }
    if (after) after.after(block);
    else if (steps < LOOK_BACK) this.#list.prepend(block);
    else this.#list.append(block);
    return block;
  }

  #stopGrowing(role) {
    for (const growing of this.#list.querySelectorAll(`.${role} > .growing`)) {
      const block = growing.closest("li");
      growing.previousSibling?.nodeType === Node.TEXT_NODE && growing.previousSibling.remove();
      growing.remove();
      if (!block.textContent) block.remove();
    }
  }

  #change(work) {
    const list = this.#list;
    const before = list.offsetHeight;
    const newest = list.querySelector(".newest");
    work();
    this.#trim();
    const last = list.lastElementChild;
    if (newest !== last) {
      newest?.classList.remove("newest");
      last?.classList.add("newest");
    }
    if (!this.#following) return;
    this.#stick();
    const grown = list.offsetHeight - before;
    if (before > 0 && grown > 0 && !this.#still.matches && document.visibilityState === "visible") {
      list.animate?.([{ transform: `translateY(${grown}px)` }, { transform: "none" }], { duration: GLIDE_MS, easing: "cubic-bezier(.2,.7,.2,1)" });
    }
  }

  #trim() {
    while (this.#list.childElementCount > MOST_BLOCKS) {
      const first = this.#list.firstElementChild;
      const height = first.offsetHeight;
      first.remove();
      if (!this.#following) this.#scroller.scrollTop -= height;
    }
  }

  /** How far the list goes on below what is in view. By its layout: while it glides, scrollHeight says something else. */
  get #below() {
    const { scrollTop, clientHeight } = this.#scroller;
    return this.#list.offsetTop + this.#list.offsetHeight - scrollTop - clientHeight;
  }

  #stick() {
    this.#scroller.scrollTop += this.#below;
    this.#top = this.#scroller.scrollTop;
  }

  /** Only who scrolls up leaves the newest line: that there is suddenly more, or less room, is not the reader's doing. */
  #scrolled() {
    const up = this.#scroller.scrollTop < this.#top - 1;
    this.#top = this.#scroller.scrollTop;
    const following = this.#below < NEAR_PX || (this.#following && !up);
    if (following === this.#following) return;
    this.#following = following;
    this.#onfollow(following);
  }
}
