/** The listener's page: what it wants from the room, and what it shows of it. */

import { Announcer } from "/room-assets/announcer.js";
import { Chooser } from "/room-assets/chooser.js";
import { Lines } from "/room-assets/lines.js";
import { Log } from "/room-assets/log.js";
import { Memory } from "/room-assets/memory.js";
import { restInFull, stayAwake, toggleFull } from "/room-assets/screen.js";
import { FULL, GOING_AWAY, Link, roomPath } from "/room-assets/socket.js";
import { Voice } from "/room-assets/voice.js";
import { bestOf, TONGUES, wordsFor } from "/room-assets/words.js";

const SCALES = [0.62, 0.78, 1, 1.22, 1.5, 1.85, 2.3, 2.9];
const REST_MS = 12000;
const SHOWN_MS = 6000;

const query = new URLSearchParams(location.search);
const overlay = query.get("overlay") === "1";
const memory = new Memory(decodeURIComponent(roomPath().slice(3)));
const at = (id) => document.getElementById(id);
const page = document.documentElement;

const wish = {
  language: query.get("lang")?.toLowerCase() || (overlay ? "" : memory.get("language", "")),
  original: overlay ? query.get("original") === "1" : memory.get("original", false),
  voice: false,
};
let preferred = wish.language; // what the reader chose, even while the room does not have it
let room = null;
let words = wordsFor(wish.language || bestOf(TONGUES, navigator.languages ?? []));
let link = { state: "connecting", code: 0 };
let voice = null;
let scale = Math.min(SCALES.length - 1, Math.max(0, memory.get("scale", 2)));

const preparing = new Set();
const failed = new Map();
const passing = { text: "", timer: 0 };

const lines = new Lines(at("captions"), at("lines"), (following) => {
  at("newest").hidden = following;
});

const log = new Log(note);
const chooser = new Chooser(at("language"));
const announcer = new Announcer(at("announcer"));

window.dragoman = {
  received: 0, // captions
  missed: [],
  get voice() {
    if (!voice) return null;
    const { playedMs, droppedMs, hiccups, utterances, heldMs, sounding, cushionMs } = voice;
    return { playedMs, droppedMs, hiccups, utterances, heldMs, sounding, cushionMs };
  },
  get link() {
    return link.state;
  },
};

// --- the socket

const socket = new Link(`${roomPath()}/listen-socket`, {
  open: () => ask("hello"),
  message: (message) => Object.hasOwn(takes, message.type) && takes[message.type](message),
  sound: (pcm) => sounding.utterance !== null && voice?.push(pcm),
  state(state, code) {
    link = { state, code };
    if (state !== "open") {
      lines.stopGrowing();
      silence();
      preparing.clear();
    }
    if (state === "refused" || state === "missing") room = room && { ...room, state: "ended" };
    show();
  },
});

/** Say what is wanted, and what of it is here already. */
function ask(type) {
  const languages = wanted();
  socket.send({ type, languages, voice: wish.voice && voiceOf(wish.language) ? wish.language : null, after: log.after(languages), life: log.life });
}

function wanted() {
  if (!wish.language) return [];
  return showsOriginal() ? [wish.language, spoken()] : [wish.language];
}

/** The tag of the original, or null while nobody has said what it is. */
function spoken() {
  return room?.languages.find((language) => language.quality === "original")?.tag ?? room?.source ?? null;
}

function showsOriginal() {
  return wish.original && spoken() !== null && spoken() !== wish.language;
}

function languageOf(tag) {
  return room?.languages.find((language) => language.tag === tag) ?? { tag, name: tag, dir: "auto", quality: "", voice: false };
}

function voiceOf(tag) {
  return room === null || Boolean(languageOf(tag).voice);
}

// --- what the room says

const takes = {
  room(message) {
    const before = room;
    const source = spoken();
    room = message;
    if (log.live(room.life ?? null)) lines.seal(); // the server was restarted
    const best = [preferred, wish.language].find((tag) => room.languages.some((language) => language.tag === tag)) ?? guess();
    if (best !== wish.language) {
      wish.language = best;
      begin();
      ask("choose");
    } else if (wish.original && (before === null || source !== spoken())) {
      lines.clear("original");
      ask("choose");
    }
    if (room.state === "ended" || room.state === "waiting") lines.stopGrowing();
    show();
  },

  caption(message) {
    const role = roleOf(message.language);
    if (!role || !log.take(message)) return;
    window.dragoman.received += 1;
    lines.settle(role, languageOf(message.language), message);
    if (role === "main") announcer.say(message.language, message.text);
    awake();
    showEmpty();
  },

  partial(message) {
    const role = roleOf(message.language);
    if (!role) return;
    lines.grow(role, languageOf(message.language), message.utterance, message.text);
    awake();
    showEmpty();
  },

  missed(message) {
    const role = roleOf(message.language);
    if (!role) return;
    note(message.language, message.from, message.to);
    log.skip(message.language, message.to);
  },

  preparing({ language }) {
    preparing.add(language);
    failed.delete(language);
    showStatus();
  },

  ready({ language }) {
    preparing.delete(language);
    failed.delete(language);
    showStatus();
  },

  failed({ language, message }) {
    preparing.delete(language);
    failed.set(language, message);
    showStatus();
  },

  voice(message) {
    if (!voice || !wish.voice || message.language !== wish.language) return;
    if (message.event === "begin") {
      sounding.utterance = message.utterance;
      voice.begin();
    } else if (message.event === "end") {
      sounding.utterance = null;
      voice.end();
    } else if (message.event === "dropped") {
      voice.droppedMs += Number(message.ms) || 0;
      showSkipped();
    }
  },

  error({ message }) {
    pass(String(message ?? ""));
  },
};

const sounding = { utterance: null, droppedMs: 0 };

function roleOf(tag) {
  if (tag === wish.language) return "main";
  return showsOriginal() && tag === spoken() ? "original" : null;
}

function note(language, from, to) {
  window.dragoman.missed.push({ language, from, to });
  if (language === wish.language) lines.note(`${words.missed} (${to - from + 1})`);
}

/** What was chosen is not in the room, or nothing was: what the browser speaks, else the original, else the first there is. */
function guess() {
  const tags = room.languages.map((language) => language.tag);
  return bestOf(tags, navigator.languages ?? [navigator.language]) ?? spoken() ?? tags[0] ?? "";
}

function begin() {
  log.forget();
  lines.clear();
  silence();
  words = wordsFor(wish.language);
}

// --- what is shown

function show() {
  page.lang = words.tongue;
  page.dir = words.dir;
  const title = room?.title || words.captions;
  at("title").textContent = title;
  document.title = title;
  const state = link.state === "open" || link.state === "closed" ? (room?.state ?? "connecting") : link.state;
  const said = { connecting: "…", missing: words.gone, refused: words.refused, waiting: words.waiting, live: words.live, paused: words.paused, ended: words.ended, reconnecting: words.reconnecting, closed: words.ended };
  const pill = at("state");
  pill.dataset.state = state === "missing" ? "refused" : state;
  const short = state === "refused" || state === "missing" ? words.ended : (said[state] ?? "");
  if (pill.textContent !== short) pill.textContent = short;
  for (const name of ["language", "listen", "original", "smaller", "larger", "full", "volume", "settings", "newest"]) {
    const place = at({ listen: "voice-word", settings: "more-word" }[name] ?? `${name}-word`);
    if (place.textContent !== words[name]) place.textContent = words[name];
  }
  at("captions").setAttribute("aria-label", words.captions);
  at("sizes").setAttribute("aria-label", words.settings);
  at("welcome").textContent = room?.state === "ended" ? words.ended : words.welcome;
  chooser.show(room?.languages ?? [], wish.language, words);
  showButtons();
  showStatus();
  showEmpty();
}

function showButtons() {
  const hasVoice = room !== null && Boolean(languageOf(wish.language).voice);
  const button = at("voice");
  button.disabled = room === null;
  button.setAttribute("aria-disabled", String(!hasVoice));
  button.title = room !== null && !hasVoice ? words.mute : "";
  button.setAttribute("aria-pressed", String(wish.voice && hasVoice));
  button.dataset.sounding = String(Boolean(voice?.sounding));
  const original = at("original");
  original.setAttribute("aria-pressed", String(wish.original));
  original.disabled = room !== null && spoken() === wish.language;
  at("smaller").disabled = scale === 0;
  at("larger").disabled = scale === SCALES.length - 1;
  at("full").hidden = !page.requestFullscreen;
  at("full").setAttribute("aria-pressed", String(document.fullscreenElement !== null));
  at("volume").disabled = !wish.voice;
}

/** One quiet line above the controls: the gravest thing there is to say. */
function showStatus() {
  const status = at("status");
  const bad = link.state === "refused" ? words.refused : link.state === "missing" ? words.gone : failed.get(wish.language);
  const going = { [GOING_AWAY]: words.restarting, [FULL]: words.crowded }[link.code];
  const soft = (link.state === "reconnecting" && going) || (preparing.has(wish.language) && words.preparing) || passing.text;
  const text = String(bad || soft || "");
  status.classList.toggle("bad", Boolean(bad));
  if (status.textContent !== text) status.textContent = text;
}

function showEmpty() {
  at("empty").hidden = !lines.isEmpty;
}

function showSkipped() {
  pass(`${words.skipped}: ${(voice.droppedMs / 1000).toFixed(1)} s`);
}

/** Say it for a while. */
function pass(text) {
  clearTimeout(passing.timer);
  passing.text = text;
  passing.timer = setTimeout(() => {
    passing.text = "";
    showStatus();
  }, SHOWN_MS);
  showStatus();
}

/** In the overlay, a text that nobody followed up goes. */
let resting = 0;
function awake() {
  if (!overlay) return;
  at("lines").classList.remove("rested");
  clearTimeout(resting);
  resting = setTimeout(() => at("lines").classList.add("rested"), REST_MS);
}

// --- what the reader does

function choose(tag) {
  wish.language = preferred = tag;
  memory.set("language", tag);
  wish.voice = wish.voice && voiceOf(tag);
  begin();
  ask("choose");
  show();
  lines.follow();
}

at("language").addEventListener("change", (event) => choose(event.target.value));

at("original").addEventListener("click", () => {
  wish.original = !wish.original;
  memory.set("original", wish.original);
  if (spoken() !== null && spoken() !== wish.language) {
    log.forget(spoken());
    lines.clear("original");
  }
  ask("choose");
  show();
});

function resize(step) {
  scale = Math.min(SCALES.length - 1, Math.max(0, scale + step));
  memory.set("scale", scale);
  showScale();
  showButtons();
}

function showScale() {
  page.style.setProperty("--scale", String(SCALES[scale]));
  lines.settleDown();
}

at("smaller").addEventListener("click", () => resize(-1));
at("larger").addEventListener("click", () => resize(1));
at("newest").addEventListener("click", () => {
  lines.follow();
  at("captions").focus({ preventScroll: true });
});

at("more").addEventListener("click", () => {
  const open = at("panel").classList.toggle("shown");
  at("more").setAttribute("aria-expanded", String(open));
});

at("full").addEventListener("click", toggleFull);
restInFull(showButtons);

// --- the voice

/** Sound may only begin with a tap: this is in one. */
at("voice").addEventListener("click", async () => {
  if (!voiceOf(wish.language)) return pass(words.mute);
  wish.voice = !wish.voice;
  if (wish.voice) {
    voice ??= Voice.open(sounds);
    voice.volume = memory.get("volume", 1);
    voice.context.resume();
  } else {
    silence();
  }
  ask("choose");
  show();
});

/** It begins or ends to sound, or had to drop some of what it held. */
function sounds() {
  showButtons();
  if (voice.droppedMs > sounding.droppedMs) showSkipped();
  sounding.droppedMs = voice.droppedMs;
}

/** What was to be heard is not any more: another language, no voice, no connection. */
function silence() {
  sounding.utterance = null;
  if (!voice) return;
  if (wish.voice && link.state === "reconnecting") voice.end();
  else voice.cut();
}

at("volume").value = String(Math.round(100 * memory.get("volume", 1)));
at("volume").addEventListener("input", (event) => {
  memory.set("volume", Number(event.target.value) / 100);
  if (voice) voice.volume = memory.get("volume", 1);
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  if (wish.voice) voice?.context.resume();
  stayAwake();
});

if (overlay) {
  page.classList.add("overlay");
  page.style.setProperty("--lines", String(Math.min(8, Math.max(1, Number(query.get("lines")) || 2))));
} else {
  stayAwake();
}
showScale();
show();
socket.start();
