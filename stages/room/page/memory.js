/** What a browser remembers of a room. Where it may not remember (a private window), it forgets, and all still works. */

export class Memory {
  #key;
  #held = {};

  constructor(room) {
    this.#key = `dragoman/${room}`;
    try {
      const held = JSON.parse(localStorage.getItem(this.#key) ?? "{}");
      if (held && typeof held === "object" && !Array.isArray(held)) this.#held = held;
    } catch {
      // unreadable or refused: begin anew
    }
  }

  get(name, otherwise) {
    const value = this.#held[name];
    return typeof value === typeof otherwise ? value : otherwise;
  }

  set(name, value) {
    this.#held[name] = value;
    try {
      localStorage.setItem(this.#key, JSON.stringify(this.#held));
    } catch {
      // full or refused: it holds until the page is left
    }
  }
}
