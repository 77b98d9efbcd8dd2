/** What has to be said aside, one notice of each kind: a title, and what to do. */

export class Notices {
  #place;

  constructor(place) {
    this.#place = place;
  }

  /** `grave`: `warn` or `bad`. */
  show(kind, grave, title, help) {
    const notice = document.createElement("div");
    notice.className = `notice ${grave}`;
    notice.dataset.kind = kind;
    const head = document.createElement("strong");
    head.textContent = title;
    notice.append(head, help);
    const old = [...this.#place.children].find((each) => each.dataset.kind === kind);
    if (old?.textContent === notice.textContent) return; // it is not said twice
    if (old) old.replaceWith(notice);
    else this.#place.append(notice);
  }

  /** Take a notice back, or all. */
  drop(kind = null) {
    for (const each of [...this.#place.children]) if (kind === null || each.dataset.kind === kind) each.remove();
  }
}
