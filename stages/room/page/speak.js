/** The speaker's page: a microphone, a session of the realtime protocol, and what comes of it. */

import { Attendance } from "/room-assets/attendance.js";
import { Desk } from "/room-assets/desk.js";
import { Level } from "/room-assets/level.js";
import { AUTO, LANGUAGES, meeting } from "/room-assets/meeting.js";
import { Memory } from "/room-assets/memory.js";
import { Notices } from "/room-assets/notices.js";
import { BLOCK_MS, Outgoing } from "/room-assets/outgoing.js";
import { stayAwake } from "/room-assets/screen.js";
import { GOING_AWAY, Link, roomPath } from "/room-assets/socket.js";
import { ADRIFT, BUTTONS, LOADING, NOTICES, SENTENCES, START, STATES } from "/room-assets/speaker-words.js";
import { Transcript } from "/room-assets/transcript.js";
import { bestOf } from "/room-assets/words.js";

const ALIVE_MS = 45_000;

const at = (id) => document.getElementById(id);
const key = new URLSearchParams(location.search).get("key") ?? "";
const memory = new Memory(`${decodeURIComponent(roomPath().slice(3))}/speak`);
const keys = matchMedia("(hover: hover) and (pointer: fine)"); // a phone has no space bar
const names = new Map(LANGUAGES);

/** `phase`: idle, starting, live, paused, stopped, refused, barred or taken. `link` and `code` as told of late. */
const talk = { phase: "idle", link: "closed", code: 0, language: memory.get("language", ""), fault: null, created: false, loading: false };

const link = new Link(`${roomPath()}/speak-socket`, {
  open: introduce,
  message: (message) => Object.hasOwn(takes, message.type) && takes[message.type](message),
  again: () => isOn(),
  state(state, code) {
    Object.assign(talk, { link: state, code });
    if (state !== "open") {
      outgoing.open = talk.created = talk.loading = false;
      attendance.show();
    }
    if (state === "refused" || state === "missing") refuse(state, talk.fault);
    show();
  },
});
const room = meeting(key, { room: met, status: (status) => attendance.show(status), away: () => attendance.show(), refused: refuse });
const outgoing = new Outgoing(link);
const notices = new Notices(at("notices"));
const transcript = new Transcript(at("transcript"));
const level = new Level(at("meter"));
const desk = new Desk(memory, notices, { block: take, gone: () => level.rest() });
const attendance = new Attendance(names, new URL(roomPath(), location.href).href);

window.dragoman = {
  get phase() {
    return talk.phase;
  },
  get outgoing() {
    return { sentMs: outgoing.sentMs, droppedMs: outgoing.droppedMs, heldMs: outgoing.heldMs };
  },
  get contextRate() {
    return desk.contextRate;
  },
  blocks: 0,
};

function isOn() {
  return talk.phase === "live" || talk.phase === "paused" || talk.phase === "starting";
}

/** Whether what is said reaches nobody: the connection is lost, or back and the session not open yet. */
function isUnheard() {
  return (isOn() && talk.link === "reconnecting") || (talk.phase === "live" && !talk.created);
}

// --- the session

/** The first message says who speaks, and in which language; a pause is told even before, so that nobody sees "live". */
function introduce() {
  const session = { mode: "fast", source_language: talk.language, output_modalities: ["text"] };
  if (talk.phase === "paused") link.send({ type: "room.pause", paused: true });
  link.send({ type: "session.update", session, auth: { api_key: key } });
}

const takes = {
  "session.starting"() {
    talk.loading = true;
    if (talk.phase !== "starting") notices.show("link", "warn", ...NOTICES.loading);
    show();
  },

  "session.created"() {
    Object.assign(talk, { fault: null, loading: false, created: true });
    if (talk.phase === "starting") talk.phase = "live";
    if (talk.phase === "live") listen();
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
    attendance.show(status);
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

/** The room does not let this page in. With another key than the room's, nothing will change that. */
function refuse(state, fault) {
  const wrong = !key || /_api_key$/.test(fault?.code ?? "");
  end(wrong ? "barred" : "refused");
  const [title, help] = state === "missing" ? NOTICES.missing : wrong ? NOTICES[key ? "wrongKey" : "noKey"] : NOTICES.refused;
  notices.show("link", "bad", title, (!wrong && state !== "missing" && fault?.message) || help);
}

function take({ pcm, peak, rms }) {
  if (talk.phase !== "live") return;
  window.dragoman.blocks += 1;
  outgoing.put(pcm);
  level.take({ peak, rms });
  showHint();
}

/** Let what is said go out, as soon as the session is open. */
function listen() {
  outgoing.open = talk.created;
  desk.pause(false);
}

// --- what the speaker does

async function start() {
  room.stop();
  Object.assign(talk, { phase: "starting", fault: null, loading: false });
  notices.drop();
  stayAwakeOnce();
  show();
  const there = await desk.open();
  if (talk.phase !== "starting") desk.close(); // stopped while the browser asked
  else if (there) link.start();
  else end("idle");
}

let awake = false;
function stayAwakeOnce() {
  if (!awake) stayAwake();
  awake = true;
}

function pause() {
  talk.phase = "paused";
  desk.pause(true);
  outgoing.clear();
  outgoing.open = false;
  link.send({ type: "room.pause", paused: true });
  level.rest();
  show();
}

async function carryOn() {
  if (!desk.isOpen && !(await desk.open())) return;
  talk.phase = "live";
  link.send({ type: "room.pause", paused: false });
  listen();
  show();
}

/** Stop, whatever the reason: the microphone is closed, nothing is sent. */
function end(phase) {
  talk.phase = phase;
  desk.close();
  outgoing.clear();
  outgoing.open = false;
  level.rest();
  attendance.show();
  if (phase === "taken") notices.show("link", "warn", ...NOTICES.taken);
  if (phase !== "refused" && phase !== "barred") {
    link.stop();
    room.start();
  }
  show();
}

const DOES = { idle: start, stopped: start, taken: start, refused: start, live: pause, paused: carryOn };
at("talk").addEventListener("click", () => DOES[talk.phase]?.());
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

addEventListener("beforeunload", (event) => {
  if (talk.phase === "live") event.preventDefault();
});

/** A session that says nothing for long is ended by the server: a paused one says that it is there. */
setInterval(() => talk.phase === "paused" && link.send({ type: "room.pause", paused: true }), ALIVE_MS);

// --- what is shown

function show() {
  const { phase } = talk;
  const adrift = isOn() && talk.link === "reconnecting";
  const shown = phase === "barred" ? "refused" : phase;
  const pill = at("state");
  pill.dataset.state = adrift ? "reconnecting" : shown;
  say(pill, adrift ? "Reconnecting…" : STATES[shown]);
  const button = at("talk");
  button.dataset.does = phase === "live" ? "pause" : "start";
  button.disabled = phase === "starting" || phase === "barred";
  say(at("talk-word"), BUTTONS[phase] ?? START);
  say(at("sentence"), talk.loading && isOn() ? LOADING : isUnheard() ? ADRIFT : SENTENCES[shown]);
  at("stop").hidden = !isOn();
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

/** What is worth knowing now, the gravest first. */
function showHint() {
  const live = talk.phase === "live";
  const behind = live && talk.created && outgoing.heldMs > 3 * BLOCK_MS;
  const warning = behind ? `The network is slow: ${seconds(outgoing.heldMs)} wait here.` : live ? level.advice : "";
  const lost = outgoing.droppedMs > 0 ? `${seconds(outgoing.droppedMs)} could not be sent.` : "";
  const space = keys.matches ? { live: "Space pauses.", paused: "Space goes on." }[talk.phase] : "";
  at("hint").classList.toggle("warn", warning !== "");
  say(at("hint"), `${warning} ${lost}`.trim() || space || "");
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

function listLanguages() {
  const chooser = at("language");
  chooser.replaceChildren(...[...names].map(([tag, name]) => new Option(name, tag)), new Option("Found out by listening", AUTO));
  if (!names.has(talk.language) && talk.language !== AUTO) talk.language = bestOf([...names.keys()], navigator.languages ?? []) ?? "en-us";
  chooser.value = talk.language;
}

/** The room says what it is, while nobody speaks here. */
function met(message) {
  document.title = at("title").textContent = message.title || "Speak";
  for (const { tag, name } of message.languages ?? []) if (tag !== AUTO) names.set(tag, name);
  if (!memory.get("language", "") && names.has(message.source)) talk.language = message.source;
  listLanguages();
  if (message.state === "live") notices.show("occupied", "warn", ...NOTICES.occupied);
  else notices.drop("occupied");
}

listLanguages();
show();
if (key) room.start();
else refuse("refused", null);
