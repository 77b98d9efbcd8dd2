/** What a reader wants of a room, and what the room has of it: a language, the original beneath it, the voice. */

import { bestOf } from "/room-assets/words.js";

const UNKNOWN = { dir: "auto", quality: "", voice: false };

export class Choice {
  voice = false;
  #room = null;
  #memory;
  #language;
  #preferred; // what the reader chose, even while the room does not have it
  #original;

  /** An overlay is what its address says; a page is what its reader chose last. */
  constructor(memory, query, overlay) {
    this.#memory = memory;
    this.#language = this.#preferred = query.get("lang")?.toLowerCase() || (overlay ? "" : memory.get("language", ""));
    this.#original = overlay ? query.get("original") === "1" : memory.get("original", false);
  }

  get language() {
    return this.#language;
  }

  set language(tag) {
    this.#language = this.#preferred = tag;
    this.#memory.set("language", tag);
    this.voice = this.voice && this.hasVoice;
  }

  get original() {
    return this.#original;
  }

  set original(original) {
    this.#original = original;
    this.#memory.set("original", original);
  }

  get room() {
    return this.#room;
  }

  /** What the room says of itself. The language is another one where the one that was is not there, or is again. */
  set room(room) {
    this.#room = room;
    const tags = room.languages.map((language) => language.tag);
    const wishes = navigator.languages ?? [navigator.language];
    this.#language = [this.#preferred, this.#language].find((tag) => tags.includes(tag)) ?? bestOf(tags, wishes) ?? this.spoken ?? tags[0] ?? "";
  }

  /** The tag of the original, or null while nobody has said what it is. */
  get spoken() {
    return this.#room?.languages.find((language) => language.quality === "original")?.tag ?? this.#room?.source ?? null;
  }

  /** Whether the original stands beneath another language. */
  get showsOriginal() {
    return this.#original && this.spoken !== null && this.spoken !== this.#language;
  }

  /** What to ask the room for. */
  get languages() {
    if (!this.#language) return [];
    return this.showsOriginal ? [this.#language, this.spoken] : [this.#language];
  }

  /** Where a text in `tag` belongs: `main`, `original`, or nowhere. */
  roleOf(tag) {
    if (tag === this.#language) return "main";
    return this.showsOriginal && tag === this.spoken ? "original" : null;
  }

  languageOf(tag) {
    return this.#room?.languages.find((language) => language.tag === tag) ?? { ...UNKNOWN, tag, name: tag };
  }

  /** Whether the language is spoken too; before the room has told, it may be. */
  get hasVoice() {
    return this.#room === null || Boolean(this.languageOf(this.#language).voice);
  }
}
