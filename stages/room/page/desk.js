/** The microphone on the speaker's page: which one it is, whether it is there, and whether anything comes from it. */

import { Microphone } from "/room-assets/microphone.js";
import { NOTICES } from "/room-assets/speaker-words.js";

const LOOK_MS = 1000;
const STILL_MS = 2500;

export class Desk {
  #memory;
  #notices;
  #on;
  #microphone;
  #gone = false;
  #paused = true;
  #heardAt = 0;
  #chooser = document.getElementById("device");

  /** `on.block({pcm, peak, rms})`, never while paused; `on.gone()` when the device has. */
  constructor(memory, notices, on) {
    this.#memory = memory;
    this.#notices = notices;
    this.#on = on;
    this.#microphone = new Microphone({ block: (block) => this.#heard(block), gone: () => this.#lost(), muted: (muted) => this.#muted(muted) });
    this.#chooser.addEventListener("change", () => {
      memory.set("device", this.#chooser.value);
      this.open();
    });
    navigator.mediaDevices?.addEventListener?.("devicechange", () => (this.#gone ? this.open() : this.isOpen && this.#list()));
    document.addEventListener("pointerup", () => this.#wake());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#wake());
    setInterval(() => this.#look(), LOOK_MS);
  }

  get isOpen() {
    return this.#microphone.isOpen;
  }

  get contextRate() {
    return this.#microphone.contextRate;
  }

  /** Open it, as paused as it was; whether it is there now. */
  async open() {
    try {
      await this.#microphone.open(this.#memory.get("device", ""));
    } catch (error) {
      this.#notices.show("microphone", "bad", error.title ?? "The microphone cannot be opened", error.help ?? String(error.message));
      return false;
    }
    this.#gone = false;
    this.#heardAt = performance.now();
    this.#notices.drop("microphone");
    await this.#list();
    return true;
  }

  close() {
    this.#gone = false;
    this.pause(true);
    this.#microphone.close();
  }

  pause(paused) {
    this.#paused = paused;
    this.#heardAt = performance.now();
    this.#microphone.pause(paused);
    if (paused) this.#notices.drop("still");
  }

  #heard(block) {
    this.#heardAt = performance.now();
    this.#notices.drop("still");
    this.#on.block(block);
  }

  #muted(muted) {
    if (muted) this.#notices.show("microphone", "warn", ...NOTICES.muted);
    else this.#notices.drop("microphone");
  }

  #lost() {
    this.#microphone.close();
    this.#gone = true;
    this.#notices.show("microphone", "bad", ...NOTICES.gone);
    this.#on.gone();
  }

  /** It is open and gives nothing: a phone call has it, or the audio has fallen asleep. */
  #look() {
    const still = this.isOpen && !this.#paused && performance.now() - this.#heardAt > STILL_MS;
    if (still) this.#notices.show("still", "warn", ...NOTICES.still);
  }

  #wake() {
    if (!this.#paused) this.#microphone.wake();
  }

  async #list() {
    const devices = await Microphone.all();
    document.getElementById("device-row").hidden = devices.length < 2;
    this.#chooser.replaceChildren(...devices.map(({ id, name }) => new Option(name, id)));
    this.#chooser.value = this.#microphone.device;
  }
}
