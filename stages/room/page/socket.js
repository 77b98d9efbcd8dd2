/**
 * A WebSocket that comes back by itself.
 *
 * It tries again after a wait that doubles and is never twice the same (300 phones must not come back in one
 * moment), at once when the network or the page comes back, and never after it was refused.
 */

const FIRST_S = 0.5;
const MOST_S = 15;
const FULL_S = 20;
const GONE_AFTER = 3;
const STALE_S = 15;

export const REFUSED = 1008;
export const GOING_AWAY = 1001;
export const FULL = 1013;
const LOST = 1006;

/** The address of a room's socket, from the page's own: `/r/NAME` and whatever stands behind it. */
export function roomPath() {
  const [, , name = ""] = location.pathname.split("/");
  return `/r/${name}`;
}

export class Link {
  #url;
  #on;
  #socket = null;
  #tries = 0;
  #timer = 0;
  #over = false;
  #heard = 0;
  #why = 0; // the code of the close that began the trouble: what comes after it is only 1006

  /**
   * `on.open()`, `on.message(object)`, `on.sound(ArrayBuffer)`; `on.state(state, code)` with `connecting`, `open`,
   * `reconnecting` (and why: a close code), `refused`, `missing` or `closed`. `on.again(code)`: whether to come back; else it does.
   */
  constructor(path, on) {
    const url = new URL(path, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = url.hash = "";
    this.#url = url.href;
    this.#on = on;
    addEventListener("online", () => this.#hurry());
    addEventListener("offline", () => this.#drop());
    addEventListener("pageshow", (event) => event.persisted && this.#hurry());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#look();
    });
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Bytes that wait here because the network is slower than we are. */
  get waiting() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  start() {
    this.#over = false;
    this.#tries = 0;
    this.#connect("connecting");
  }

  /** Whether it went out: nothing does while the link is down. */
  send(message) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Leave, and stay away. */
  stop(state = "closed", code = 1000) {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#forget(1000);
    this.#on.state(state, code);
  }

  #connect(state) {
    clearTimeout(this.#timer);
    this.#forget(1000);
    this.#on.state(state, this.#why);
    const socket = (this.#socket = new WebSocket(this.#url));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#heard = performance.now();
      this.#on.state("open", 0);
      this.#on.open();
    };
    socket.onmessage = (event) => {
      this.#heard = performance.now();
      this.#tries = this.#why = 0;
      if (typeof event.data === "string") this.#tell(event.data);
      else this.#on.sound?.(event.data);
    };
    socket.onclose = (event) => this.#closed(event.code);
  }

  #tell(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // not ours: a proxy's, perhaps
    }
    if (message && typeof message.type === "string") this.#on.message(message);
  }

  #closed(code) {
    this.#socket = null;
    if (this.#over) return;
    if (code === REFUSED) return this.stop("refused", code);
    if (this.#on.again?.(code) === false) return this.stop("closed", code);
    this.#tries += 1;
    this.#why = code === LOST ? this.#why || LOST : code;
    const most = code === FULL ? FULL_S : Math.min(MOST_S, FIRST_S * 2 ** (this.#tries - 1));
    this.#timer = setTimeout(() => this.#connect("reconnecting"), 1000 * most * (0.5 + Math.random() / 2));
    this.#on.state("reconnecting", this.#why);
    if (this.#tries % GONE_AFTER === 0) this.#ask();
  }

  /** A socket does not tell a room that is gone from a network that is; the page's own address does. */
  async #ask() {
    try {
      const answer = await fetch(location.pathname, { cache: "no-store" });
      if (answer.status === 404 && !this.#over && !this.isOpen) this.stop("missing", 404);
    } catch {
      // no network: go on trying
    }
  }

  #hurry() {
    if (this.#over || this.isOpen || this.#socket?.readyState === WebSocket.CONNECTING) return;
    this.#connect("reconnecting");
  }

  /** The network has gone: a socket notices that much later. */
  #drop() {
    if (this.#over || !this.#socket) return;
    this.#forget(1000);
    this.#closed(LOST);
  }

  /** Seen again: a socket that was silent while the phone slept may be dead without knowing it. */
  #look() {
    if (this.#over) return;
    if (this.isOpen && performance.now() - this.#heard > STALE_S * 1000) this.#drop();
    this.#hurry();
  }

  #forget(code) {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }
}
