/** The speaker's page: a microphone, a session of the realtime protocol, and what comes of it. */

import { Memory } from "/room-assets/memory.js";
import { Microphone } from "/room-assets/microphone.js";
import { AUTO, LANGUAGES, meet } from "/room-assets/meeting.js";
import { Notices } from "/room-assets/notices.js";
import { BLOCK_MS, Outgoing } from "/room-assets/outgoing.js";
import { stayAwake } from "/room-assets/screen.js";
import { GOING_AWAY, Link, roomPath } from "/room-assets/socket.js";
import { Transcript } from "/room-assets/transcript.js";
import { bestOf } from "/room-assets/words.js";

const QUIET_DB = -55;
const QUIET_BLOCKS = 70;
const LOUD = 0.985;
const TOO_LOUD = 15; // of a count that a block too loud raises by 3, and any other lowers by 1
const FLOOR_DB = -60;
const ALIVE_MS = 45_000;
const HERE = /^(localhost|127\.|\[::1\])/;

const at = (id) => document.getElementById(id);
const key = new URLSearchParams(location.search).get("key") ?? "";
const memory = new Memory(`${decodeURIComponent(roomPath().slice(3))}/speak`);

/** `phase`: idle, starting, live, paused, stopped, refused or taken. `link` and `listeners` as told of late. */
const talk = { phase: "idle", link: "closed", code: 0, listeners: null, language: memory.get("language", ""), quiet: 0, loud: 0, fault: null, loading: false, gone: false };
const keys = matchMedia("(hover: hover) and (pointer: fine)"); // a phone has no space bar
const names = new Map(LANGUAGES);

const link = new Link(`${roomPath()}/speak-socket`, {
  open: introduce,
  message: (message) => Object.hasOwn(takes, message.type) && takes[message.type](message),
  again: () => talk.phase === "live" || talk.phase === "paused" || talk.phase === "starting",
  state(state, code) {
    Object.assign(talk, { link: state, code });
    if (state !== "open") outgoing.open = false;
    if (state === "refused" || state === "missing") refuse(state);
    show();
  },
});
const outgoing = new Outgoing(link);
const microphone = new Microphone(take, lost);
const notices = new Notices(at("notices"));
const transcript = new Transcript(at("transcript"));

window.dragoman = {
  get phase() {
    return talk.phase;
  },
  get outgoing() {
    return { sentMs: outgoing.sentMs, droppedMs: outgoing.droppedMs, heldMs: outgoing.heldMs };
  },
  get contextRate() {
    return microphone.contextRate;
  },
  blocks: 0,
};

// --- the session

/** The first message says who speaks, and in which language. */
function introduce() {
  const session = { mode: "fast", source_language: talk.language, output_modalities: ["text"] };
  link.send({ type: "session.update", session, auth: { api_key: key } });
}

const takes = {
  "session.starting"() {
    talk.loading = true;
    if (talk.phase !== "starting") notices.show("link", "warn", "Connected again", LOADING);
    show();
  },

  "session.created"() {
    Object.assign(talk, { fault: null, loading: false });
    if (talk.phase === "starting") talk.phase = "live";
    if (talk.phase === "paused") link.send({ type: "room.pause", paused: true });
    outgoing.open = talk.phase === "live";
    if (talk.phase === "live") microphone.pause(false);
    notices.drop("link");
    show();
  },

  "session.source_language_changed"({ language }) {
    if (names.has(language) && talk.language !== AUTO) at("language").value = talk.language = language;
  },

  "conversation.item.input_audio_transcription.delta"({ delta }) {
    transcript.add(String(delta), tongue());
  },

  "conversation.item.input_audio_transcription.completed"({ transcript: text }) {
    transcript.settle(String(text), tongue());
  },

  "room.status"(status) {
    talk.listeners = status;
    if (status.link && HERE.test(location.hostname)) at("link").value = status.link; // what this page goes by is for this machine
    showListeners();
  },

  error({ error }) {
    const { code, message } = error ?? {};
    talk.fault = { code, message: String(message ?? "") };
    if (code === "taken_over") end("taken");
    else if (outgoing.open) notices.show("fault", "warn", "The room has an objection", talk.fault.message);
  },
};

/** The language of the talk for `lang`: nothing where it is found out by listening. */
function tongue() {
  return talk.language === AUTO ? "" : talk.language;
}

function refuse(state) {
  end("refused");
  if (state === "missing") return notices.show("link", "bad", "This room does not exist any more", "Open the link that was printed when the server started.");
  if (/_api_key$/.test(talk.fault?.code ?? "") || !key) return wrongKey();
  notices.show("link", "bad", "The room refused to open", talk.fault?.message || "Ask whoever runs the server to look at its log.");
}

function wrongKey() {
  notices.show(
    "link", "bad", "This is not the speaker's link",
    key
      ? "The key in this address is not the one of this room. Open the speaker's link as it was printed when the server started, or ask the hosts for it."
      : "The address lacks its key (?key=…). Open the speaker's link as it was printed when the server started, or ask the hosts for it.",
  );
}

// --- the microphone

function take({ pcm, peak, rms }) {
  if (talk.phase !== "live") return;
  window.dragoman.blocks += 1;
  outgoing.put(pcm);
  const db = Math.max(FLOOR_DB, 20 * Math.log10(rms + 1e-9));
  talk.quiet = db < QUIET_DB ? talk.quiet + 1 : 0;
  talk.loud = peak > LOUD ? Math.min(3 * TOO_LOUD, talk.loud + 3) : Math.max(0, talk.loud - 1);
  showLevel(db, peak);
  showHint();
}

function lost(muted) {
  if (muted) {
    notices.show("microphone", "warn", "The microphone was muted", "By its own switch, or by the system. Switch it on again to go on.");
    return;
  }
  microphone.close();
  notices.show("microphone", "bad", "The microphone has gone", "Plug it in again, or choose another one. You go on as soon as it is there.");
  talk.gone = true;
  showLevel(FLOOR_DB, 0);
}

/** Open the microphone; whether it is there now. */
async function open() {
  try {
    await microphone.open(memory.get("device", ""));
  } catch (error) {
    notices.show("microphone", "bad", error.title ?? "The microphone cannot be opened", error.help ?? String(error.message));
    return false;
  }
  notices.drop("microphone");
  talk.gone = false;
  await listDevices();
  return true;
}

async function listDevices() {
  const devices = await Microphone.all();
  const chooser = at("device");
  at("device-row").hidden = devices.length < 2;
  chooser.replaceChildren(...devices.map(({ id, name }) => new Option(name, id)));
  chooser.value = microphone.device;
}

navigator.mediaDevices?.addEventListener?.("devicechange", async () => {
  if (talk.gone && (talk.phase === "live" || talk.phase === "paused")) await open().then(resume);
  else if (microphone.isOpen) listDevices();
});

function resume() {
  microphone.pause(talk.phase !== "live" || !outgoing.open);
}

// --- what the speaker does

async function start() {
  Object.assign(talk, { phase: "starting", fault: null, loading: false });
  notices.drop();
  show();
  if (!(await open())) {
    talk.phase = "idle";
    return show();
  }
  if (talk.phase !== "starting") return;
  stayAwake();
  link.start();
}

function pause() {
  talk.phase = "paused";
  microphone.pause(true);
  outgoing.clear();
  outgoing.open = false;
  link.send({ type: "room.pause", paused: true });
  showLevel(FLOOR_DB, 0);
  showHint();
  show();
}

async function carryOn() {
  if (!microphone.isOpen && !(await open())) return;
  talk.phase = "live";
  talk.quiet = 0;
  microphone.pause(false);
  if (link.send({ type: "room.pause", paused: false })) outgoing.open = true;
  show();
}

/** Stop, whatever the reason: the microphone is closed, nothing is sent. */
function end(phase) {
  talk.phase = phase;
  microphone.close();
  outgoing.clear();
  outgoing.open = false;
  if (phase !== "refused") link.stop();
  talk.listeners = null;
  showLevel(FLOOR_DB, 0);
  showHint();
  showListeners();
  if (phase === "taken") notices.show("link", "warn", "Somebody else speaks now", "This room's speaker link was used on another device, and speaking went over to it. Start again to take it back.");
  show();
}

const DOES = { idle: start, stopped: start, taken: start, refused: start, starting: () => {}, live: pause, paused: carryOn };
at("talk").addEventListener("click", () => DOES[talk.phase]());
at("stop").addEventListener("click", () => {
  end("stopped");
  at("talk").focus();
});

document.addEventListener("keydown", (event) => {
  if (event.code !== "Space" || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest?.("button, select, input, a, textarea")) return; // there, space is theirs
  if (talk.phase !== "live" && talk.phase !== "paused") return;
  event.preventDefault();
  DOES[talk.phase]();
});

at("language").addEventListener("change", (event) => {
  talk.language = event.target.value;
  memory.set("language", talk.language);
  link.send({ type: "session.update", session: { source_language: talk.language } });
});

at("device").addEventListener("change", async (event) => {
  memory.set("device", event.target.value);
  if (await open()) resume();
});

at("copy").addEventListener("click", async () => {
  const place = at("link");
  try {
    await navigator.clipboard.writeText(place.value);
  } catch {
    place.select();
    document.execCommand("copy");
  }
  at("copy").textContent = "Copied";
  setTimeout(() => (at("copy").textContent = "Copy"), 2000);
});

addEventListener("beforeunload", (event) => {
  if (talk.phase === "live") event.preventDefault();
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  if (talk.phase === "live") microphone.wake();
  if (talk.phase === "live" || talk.phase === "paused") stayAwake();
});

/** A session that says nothing for long is ended by the server: a paused one says that it is there. */
setInterval(() => talk.phase === "paused" && link.send({ type: "room.pause", paused: true }), ALIVE_MS);

// --- what is shown

const SENTENCES = {
  idle: "Your words become captions, and voices, in the languages of those who listen.",
  starting: "Opening the room…",
  live: "You are live. Speak as you would to people in the room.",
  paused: "Paused. Nothing leaves this device.",
  stopped: "You have stopped. The microphone is off.",
  refused: "The room is not open to this page.",
  taken: "The microphone is off.",
};
const LOADING = "Getting ready: the models are being loaded. That may take a minute.";
const BUTTONS = { live: "Pause", paused: "Go on", starting: "One moment…" };
const STATES = { idle: "Not started", starting: "Connecting…", live: "Live", paused: "Paused", stopped: "Stopped", refused: "Refused", taken: "Taken over" };

function show() {
  const { phase } = talk;
  const open = phase === "live" || phase === "paused" || phase === "starting";
  const adrift = open && talk.link === "reconnecting";
  const pill = at("state");
  pill.dataset.state = adrift ? "reconnecting" : phase;
  say(pill, adrift ? "Reconnecting…" : STATES[phase]);
  const button = at("talk");
  button.dataset.does = phase === "live" ? "pause" : "start";
  button.disabled = phase === "starting" || !key;
  say(at("talk-word"), BUTTONS[phase] ?? "Start speaking");
  say(at("sentence"), phase === "starting" && talk.loading ? LOADING : SENTENCES[phase]);
  at("stop").hidden = !open;
  at("device").disabled = phase === "starting";
  if (adrift) lostLink();
  showHint();
}

function lostLink() {
  const why = talk.code === GOING_AWAY ? "The server is restarting." : "The network or the server does not answer.";
  const kept = talk.phase === "live" ? ", and keeps your last 10 seconds meanwhile" : "";
  notices.show("link", "warn", "Not connected", `${talk.fault?.message || why} This page tries again by itself${kept}.`);
}

function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function showLevel(db, peak) {
  const level = (db - FLOOR_DB) / -FLOOR_DB;
  document.documentElement.style.setProperty("--level", level.toFixed(3));
  const meter = at("meter");
  meter.setAttribute("aria-valuenow", String(Math.round(db)));
  meter.setAttribute("aria-valuetext", db <= FLOOR_DB ? "silent" : `${Math.round(db)} decibels`);
  meter.dataset.loud = String(peak > LOUD);
}

/** What is worth knowing now, the gravest first. */
function showHint() {
  const lostS = (outgoing.droppedMs / 1000).toFixed(1);
  const behind = outgoing.heldMs > 3 * BLOCK_MS;
  let text = "";
  if (talk.phase === "live" && behind) text = `The network is slow: ${(outgoing.heldMs / 1000).toFixed(1)} s wait here.`;
  else if (talk.phase === "live" && talk.quiet > QUIET_BLOCKS) text = "Hardly anything is heard. Is it the right microphone, and switched on?";
  else if (talk.phase === "live" && talk.loud > TOO_LOUD) text = "Too loud: go a little away from the microphone.";
  const warns = text !== "";
  if (outgoing.droppedMs > 0) text = `${text} ${lostS} s could not be sent.`.trim();
  else if (!text && keys.matches && talk.phase === "live") text = "Space pauses.";
  else if (!text && keys.matches && talk.phase === "paused") text = "Space goes on.";
  at("hint").classList.toggle("warn", warns);
  say(at("hint"), text);
}

function showListeners() {
  const { listeners = 0, by_language: languages = {} } = talk.listeners ?? {};
  say(at("number"), String(Number(listeners) || 0));
  const chips = Object.entries(languages)
    .sort((one, other) => other[1] - one[1])
    .map(([tag, count]) => {
      const chip = document.createElement("li");
      const number = document.createElement("b");
      number.textContent = String(count);
      chip.append(tag === AUTO ? "Original" : (names.get(tag) ?? tag), " ", number);
      return chip;
    });
  at("by-language").replaceChildren(...chips);
}

function listLanguages() {
  const chooser = at("language");
  chooser.replaceChildren(...[...names].map(([tag, name]) => new Option(name, tag)), new Option("Found out by listening", AUTO));
  if (!names.has(talk.language) && talk.language !== AUTO) talk.language = bestOf([...names.keys()], navigator.languages ?? []) ?? "en-us";
  chooser.value = talk.language;
}

function met(room) {
  document.title = at("title").textContent = room.title || "Speak";
  for (const { tag, name } of room.languages ?? []) if (tag !== AUTO) names.set(tag, name);
  if (!memory.get("language", "") && names.has(room.source)) talk.language = room.source;
  listLanguages();
  if (room.state === "live" && talk.phase === "idle") notices.show("link", "warn", "Somebody is speaking in this room now", "If you start, speaking goes over to you.");
}

at("link").value = new URL(roomPath(), location.href).href;
listLanguages();
show();
if (key) meet(met);
else wrongKey();
