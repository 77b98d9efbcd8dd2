/** The listener's page: what comes from the room, what of it is shown, and what the reader does. */

import { Announcer } from "/room-assets/announcer.js";
import { Choice } from "/room-assets/choice.js";
import { Chooser } from "/room-assets/chooser.js";
import { Interpreter } from "/room-assets/interpreter.js";
import { Lines } from "/room-assets/lines.js";
import { Log } from "/room-assets/log.js";
import { Memory } from "/room-assets/memory.js";
import { overlaid } from "/room-assets/overlay.js";
import { restInFull, stayAwake, toggleFull } from "/room-assets/screen.js";
import { FULL, GOING_AWAY, Link, roomPath } from "/room-assets/socket.js";
import { Status } from "/room-assets/status.js";
import { TypeSize } from "/room-assets/type-size.js";
import { bestOf, TONGUES, wordsFor } from "/room-assets/words.js";

const query = new URLSearchParams(location.search);
const overlay = query.get("overlay") === "1";
const memory = new Memory(decodeURIComponent(roomPath().slice(3)));
const at = (id) => document.getElementById(id);
const page = document.documentElement;

const choice = new Choice(memory, query, overlay);
const size = new TypeSize(memory);
const log = new Log(note);
const lines = new Lines(at("captions"), at("lines"), (following) => {
  at("newest").hidden = following;
});
const chooser = new Chooser(at("language"));
const announcer = new Announcer(at("announcer"));
const status = new Status(at("status"));
const interpreter = new Interpreter({ changed: showVoice, skipped: (ms) => status.pass(`${words.skipped}: ${(ms / 1000).toFixed(1)} s`) });

let words = wordsFor(choice.language || bestOf(TONGUES, navigator.languages ?? []));
let link = { state: "connecting", code: 0 };
let told = false; // the room has said how it is, over this connection
const stirred = overlay ? overlaid(at("lines"), query.get("lines")) : () => {};
const preparing = new Set();
const failed = new Map();

window.dragoman = {
  received: 0, // captions
  missed: [],
  get voice() {
    if (!interpreter.voice) return null;
    const { playedMs, hiccups, utterances, heldMs, sounding, cushionMs } = interpreter.voice;
    const { droppedMs, lateMs, asleep } = interpreter;
    return { playedMs, droppedMs, hiccups, utterances, heldMs, sounding, cushionMs, lateMs, asleep };
  },
  get link() {
    return link.state;
  },
};

// --- the room

const socket = new Link(`${roomPath()}/listen-socket`, {
  open: () => ask("hello"),
  message: (message) => Object.hasOwn(takes, message.type) && takes[message.type](message),
  sound: (pcm) => interpreter.push(pcm),
  state(state, code) {
    link = { state, code };
    if (state !== "open") {
      told = false;
      lines.stopGrowing();
      preparing.clear();
      if (choice.voice && state === "reconnecting") interpreter.end();
      else interpreter.stop();
    }
    show();
  },
});

/** Say what is wanted, and what of it is here already. */
function ask(type) {
  const { language, languages } = choice;
  const voice = choice.voice && choice.hasVoice ? language : null;
  socket.send({ type, languages, voice, after: log.after(languages), life: log.life });
}

const takes = {
  room(message) {
    const { room: before, spoken, language } = choice;
    choice.room = message;
    told = true;
    if (log.live(message.life ?? null)) lines.seal(); // the server was restarted
    if (choice.language !== language) {
      begin();
      ask("choose");
    } else if (choice.original && (before === null || spoken !== choice.spoken)) {
      lines.clear("original");
      ask("choose");
    }
    if (message.state === "ended" || message.state === "waiting") lines.stopGrowing();
    show();
  },

  caption(message) {
    const role = choice.roleOf(message.language);
    if (!role || !log.take(message)) return;
    window.dragoman.received += 1;
    lines.settle(role, choice.languageOf(message.language), message);
    if (role === "main") announcer.say(message.language, message.text);
    read();
  },

  partial(message) {
    const role = choice.roleOf(message.language);
    if (!role) return;
    lines.grow(role, choice.languageOf(message.language), message.utterance, message.text);
    read();
  },

  missed({ language, from, to }) {
    if (!choice.roleOf(language)) return;
    note(language, from, to);
    log.skip(language, to);
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
    if (choice.voice && message.language === choice.language) interpreter.take(message);
  },

  error({ message }) {
    status.pass(String(message ?? ""));
  },
};

function note(language, from, to) {
  window.dragoman.missed.push({ language, from, to });
  if (language === choice.language) lines.note(`${words.missed} (${to - from + 1})`);
}

/** Another language is read from now on. */
function begin() {
  log.forget();
  lines.clear();
  if (choice.voice) interpreter.stop();
  else interpreter.close();
  words = wordsFor(choice.language);
}

// --- what is shown

/** How the room is, as far as this page knows. */
function state() {
  if (link.state === "refused" || link.state === "missing") return "refused";
  if (link.state === "closed") return "ended";
  if (told) return choice.room.state;
  if (choice.room?.state === "ended") return "ended"; // it was told, and the server is gone since
  return link.state === "open" ? (choice.room ? "reconnecting" : "connecting") : link.state;
}

function show() {
  page.lang = words.tongue;
  page.dir = words.dir;
  const title = choice.room?.title || words.captions;
  document.title = title;
  say(at("title"), title);
  at("state").dataset.state = state();
  say(at("state"), { connecting: "…", refused: words.ended }[state()] ?? words[state()] ?? "");
  for (const place of document.querySelectorAll("[data-word]")) say(place, words[place.dataset.word]);
  at("captions").setAttribute("aria-label", words.captions);
  at("sizes").setAttribute("aria-label", words.settings);
  say(at("welcome"), { ended: words.ended, refused: words.ended, paused: words.pausing }[state()] ?? words.welcome);
  chooser.show(choice.room?.languages ?? [], choice.language, words);
  showButtons();
  showVoice();
  showStatus();
  at("empty").hidden = !lines.isEmpty;
}

/** There is more to read, or less. */
function read() {
  at("empty").hidden = !lines.isEmpty;
  showStatus();
  stirred();
}

function showButtons() {
  at("original").setAttribute("aria-pressed", String(choice.original));
  at("original").disabled = choice.room !== null && choice.spoken === choice.language;
  at("smaller").disabled = size.isLeast;
  at("larger").disabled = size.isMost;
  at("full").hidden = !page.requestFullscreen;
  at("full").setAttribute("aria-pressed", String(document.fullscreenElement !== null));
  at("volume").disabled = !choice.voice;
}

function showVoice() {
  const known = choice.room !== null;
  const button = at("voice");
  button.disabled = !known;
  button.setAttribute("aria-disabled", String(!known || !choice.hasVoice));
  button.title = known && !choice.hasVoice ? words.mute : "";
  button.setAttribute("aria-pressed", String(known && choice.voice && choice.hasVoice));
  button.dataset.sounding = String(interpreter.sounding);
  say(at("late"), choice.voice && interpreter.lateMs && !interpreter.asleep ? words.late.replace("#", Math.round(interpreter.lateMs / 1000)) : "");
  showStatus();
}

function showStatus() {
  const bad = { refused: words.refused, missing: words.gone }[link.state] ?? failed.get(choice.language);
  const going = state() === "reconnecting" && { [GOING_AWAY]: words.restarting, [FULL]: words.crowded }[link.code];
  const asleep = choice.voice && interpreter.asleep && words.asleep;
  const ready = preparing.has(choice.language) && words.preparing;
  status.show(bad, going || asleep || ready, state() === "paused" && !lines.isEmpty && words.pausing);
}

function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

// --- what the reader does

at("language").addEventListener("change", (event) => {
  choice.language = event.target.value;
  begin();
  ask("choose");
  show();
  lines.follow();
});

at("original").addEventListener("click", () => {
  choice.original = !choice.original;
  if (choice.spoken !== null && choice.spoken !== choice.language) {
    log.forget(choice.spoken);
    lines.clear("original");
  }
  ask("choose");
  show();
});

for (const [name, steps] of [["smaller", -1], ["larger", 1]]) {
  at(name).addEventListener("click", () => {
    size.change(steps);
    lines.settleDown();
    showButtons();
  });
}

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

at("voice").addEventListener("click", () => {
  if (!choice.hasVoice) return status.pass(words.mute);
  if (choice.voice && interpreter.wake()) return show();
  choice.voice = !choice.voice;
  if (choice.voice) {
    interpreter.start();
    status.pass(words.soon);
  } else {
    interpreter.close();
  }
  ask("choose");
  show();
});

/** Not a click: on an iPhone only what looks like a button gets those. */
document.addEventListener("pointerup", (event) => {
  if (choice.voice && !at("voice").contains(event.target) && interpreter.wake()) show();
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && choice.voice) interpreter.rouse();
});

function turn(volume) {
  interpreter.volume = volume;
  at("volume").value = String(Math.round(100 * volume));
}

at("volume").addEventListener("input", (event) => {
  memory.set("volume", Number(event.target.value) / 100);
  turn(memory.get("volume", 1));
});

if (!overlay) stayAwake();
turn(memory.get("volume", 1));
show();
socket.start();
