/** The list of a room's languages. It is built anew only when it changes: a reader may have it open. */

export class Chooser {
  #list;
  #shown = "";

  constructor(list) {
    this.#list = list;
  }

  show(languages, chosen, words) {
    const shown = JSON.stringify([languages, words.tongue]);
    if (shown !== this.#shown) this.#list.replaceChildren(...languages.map((language) => option(language, words)));
    this.#shown = shown;
    this.#list.disabled = languages.length === 0;
    this.#list.value = chosen;
  }
}

function option({ tag, name, quality }, words) {
  const made = document.createElement("option");
  const extra = { original: words.original, experimental: words.experimental }[quality];
  made.value = made.lang = tag;
  made.textContent = extra ? `${name} · ${extra}` : name;
  return made;
}
