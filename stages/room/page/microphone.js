/** The browser's microphone as blocks of 100 ms of PCM16 at 24 kHz, and what to do where there is none. */

export const RATE_HZ = 24000;

/** Why there is no microphone: `title`, and `help`, which says what to do. */
export class NoMicrophone extends Error {
  constructor(kind, title, help) {
    super(title);
    Object.assign(this, { kind, title, help });
  }
}

export class Microphone {
  #stream = null;
  #context = null;
  #node = null;
  #paused = true;
  #on;

  /** `on.block({pcm, peak, rms})`, never while paused; `on.gone()` when the device has; `on.muted(muted)` by the system. */
  constructor(on) {
    this.#on = on;
  }

  get isOpen() {
    return this.#stream !== null;
  }

  get device() {
    return this.#stream?.getAudioTracks()[0]?.getSettings().deviceId ?? "";
  }

  get contextRate() {
    return this.#context?.sampleRate ?? 0;
  }

  /** Open `device` (empty: the usual one), paused. Raises: NoMicrophone. */
  async open(device = "") {
    if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw insecure();
    this.close();
    const wish = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true };
    if (device) wish.deviceId = { exact: device };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: wish });
    } catch (error) {
      if (device && (error.name === "OverconstrainedError" || error.name === "NotFoundError")) return this.open();
      throw explained(error);
    }
    this.#stream = stream;
    const [track] = stream.getAudioTracks();
    track.enabled = !this.#paused;
    track.onended = () => this.#stream === stream && this.#on.gone();
    track.onmute = () => this.#stream === stream && !this.#paused && this.#on.muted(true);
    track.onunmute = () => this.#stream === stream && this.#on.muted(false);
    try {
      await this.#listen(stream);
    } catch (error) {
      this.close();
      throw explained(error);
    }
  }

  async #listen(stream) {
    let context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
    let source;
    try {
      source = context.createMediaStreamSource(stream);
    } catch {
      await context.close(); // Firefox joins only equal rates: the worklet resamples then
      context = new AudioContext({ latencyHint: "interactive" });
      source = context.createMediaStreamSource(stream);
    }
    this.#context = context;
    context.resume();
    await context.audioWorklet.addModule("/room-assets/microphone-worklet.js");
    if (this.#context !== context) return; // closed meanwhile
    const node = (this.#node = new AudioWorkletNode(context, "microphone", {
      numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit",
    }));
    node.port.onmessage = ({ data }) => {
      if (!this.#paused && this.#node === node) this.#on.block(data);
    };
    source.connect(node);
    node.connect(context.destination); // silent: it only keeps the node at work
    this.pause(this.#paused);
  }

  /** Cut the sound off at three places, each enough by itself: the track, the audio thread, and here. */
  pause(paused) {
    this.#paused = paused;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !paused;
    this.#node?.port.postMessage({ paused });
    if (!paused) this.wake();
  }

  /** After a phone call, or a sleep: in a tap, if it will not go on by itself. */
  wake() {
    const context = this.#context;
    if (context && context.state !== "running") context.resume().catch(() => {}); // nothing comes then: that is noticed
  }

  close() {
    const [stream, context, node] = [this.#stream, this.#context, this.#node];
    this.#stream = this.#context = this.#node = null;
    node?.port.postMessage("close");
    stream?.getTracks().forEach((track) => track.stop());
    if (context && context.state !== "closed") context.close();
  }

  /** The microphones by id and name; names are there once one was opened. */
  static async all() {
    try {
      const devices = await navigator.mediaDevices.enumerateDevices();
      return devices.filter((each) => each.kind === "audioinput" && each.deviceId).map((each, n) => ({ id: each.deviceId, name: each.label || `Microphone ${n + 1}` }));
    } catch {
      return [];
    }
  }
}

function insecure() {
  return new NoMicrophone(
    "insecure",
    "This address may not use the microphone",
    "Browsers give the microphone only to pages opened with https:// or on this same machine (http://localhost). Open the https:// link of this room, or start the server with --tls-cert.",
  );
}

function explained(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return new NoMicrophone(
        "denied",
        "The microphone is not allowed",
        "Click the lock or microphone sign beside the address, allow the microphone for this page, then start again. On a phone or a Mac also look whether the system lets this browser use the microphone (Settings, Privacy, Microphone).",
      );
    case "NotFoundError":
    case "OverconstrainedError":
      return new NoMicrophone("none", "No microphone was found", "Plug one in, or switch it on, then start again.");
    case "NotReadableError":
    case "AbortError":
      return new NoMicrophone(
        "busy",
        "The microphone cannot be opened",
        "Another program is probably using it. Close calls and recorders, or unplug the microphone and plug it in again, then start again.",
      );
    default:
      return new NoMicrophone("unknown", "The microphone cannot be opened", `Try another one, or another browser. The browser says: ${error.message || error.name}`);
  }
}
