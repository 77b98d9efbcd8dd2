/**
 * Which captions have come, by language and number: nothing is shown twice, and no hole goes unnoticed.
 *
 * The numbers are those of one life of the room. In another one they mean nothing.
 */

const REMEMBERED = 300;

export class Log {
  life = null;
  #heard = new Map();
  #onhole;

  /** `onhole(language, from, to)` for lines that nobody announced as missing. */
  constructor(onhole) {
    this.#onhole = onhole;
  }

  /** The last number of each of `languages` of which there is one. */
  after(languages) {
    return Object.fromEntries(languages.filter((tag) => this.#heard.has(tag)).map((tag) => [tag, this.#heard.get(tag).last]));
  }

  /** The room lives `life`; whether that is another one than before. */
  live(life) {
    if (life === this.life) return false;
    this.life = life;
    this.#heard.clear();
    return true;
  }

  /** Whether this caption is a new one; from now on it is not. */
  take({ language, seq }) {
    const known = this.#heard.get(language);
    if (known?.seqs.has(seq)) return false;
    if (known && seq > known.last + 1) this.#onhole(language, known.last + 1, seq - 1);
    const heard = known ?? { last: 0, seqs: new Set() };
    this.#heard.set(language, heard);
    heard.last = Math.max(heard.last, seq);
    heard.seqs.add(seq);
    if (heard.seqs.size > REMEMBERED) heard.seqs.delete(heard.seqs.values().next().value);
    return true;
  }

  /** The lines up to `to` are not to be had. */
  skip(language, to) {
    const known = this.#heard.get(language);
    if (known && known.last < to) known.last = to;
  }

  /** Of `language`, or of all: what comes next is the beginning. */
  forget(language = null) {
    if (language === null) this.#heard.clear();
    else this.#heard.delete(language);
  }
}
