/** The operator's page: twice a second a snapshot comes, and is shown. */

import { Drawing, make, say } from "/room-assets/drawing.js";
import { lossWords, lostInAll } from "/room-assets/losses.js";
import { Notices } from "/room-assets/notices.js";
import { count, graphWords, isKnown, isRecording, languageWords, seconds } from "/room-assets/plain-words.js";
import { GOING_AWAY, Link, roomPath } from "/room-assets/socket.js";
import { ledger, table } from "/room-assets/tables.js";

const at = (id) => document.getElementById(id);
const key = new URLSearchParams(location.search).get("key") ?? "";
const FIRST = /recognition$/; // all others live on it
const drawings = new Map();
const ledgers = new Map();
const notices = new Notices(at("notices"));
let tongues = {}; // the names of the languages, by tag
let life = null; // of the room: another one where the server was started anew
let fault = "";
let ended = false; // as the room said last
let paused = false; // the microphone of the server's machine, if one speaks

const link = new Link(`${roomPath()}/watch-socket`, {
  open: () => link.send({ type: "hello", key }),
  message: (message) => Object.hasOwn(takes, message.type) && takes[message.type](message),
  state: showLink,
});

window.dragoman = {
  snapshots: 0,
  get link() {
    return at("state").dataset.link;
  },
};

const takes = {
  snapshot(snapshot) {
    window.dragoman.snapshots += 1;
    if (life !== null && snapshot.life !== life) forget();
    life = snapshot.life ?? null;
    ended = snapshot.state === "ended";
    say(at("state"), { waiting: "Waiting for a speaker", live: "Live", paused: "Paused", ended: "Ended" }[snapshot.state] ?? String(snapshot.state));
    at("state").dataset.state = snapshot.state;
    say(at("clock"), `watched for ${seconds(snapshot.at_s)}`);
    tongues = snapshot.names ?? {};
    if (snapshot.title) {
      say(at("title"), snapshot.title);
      document.title = snapshot.title;
    }
    showPause(snapshot.microphone);
    showGraphs([...(snapshot.graphs ?? [])].sort((one, other) => FIRST.test(other.name) - FIRST.test(one.name)));
    showCards(snapshot);
    showLanguages(snapshot.listeners ?? {});
    showSpeakers(snapshot);
  },

  ledger({ graph, report }) {
    ledgers.set(graph, report);
    showLedgers();
  },

  error({ message, error }) {
    fault = String(message ?? error?.message ?? "");
  },
};

// --- the microphone

/** A browser's microphone is paused by who speaks into it. */
function showPause(microphone) {
  at("pause").hidden = !microphone;
  paused = Boolean(microphone?.paused);
  at("pause").classList.toggle("primary", paused);
  say(at("pause"), paused ? "Let the microphone hear" : "Pause the microphone");
  if (microphone?.lost) notices.show("microphone", "bad", "The microphone of the server's machine is lost", `${microphone.lost}. It goes on as soon as it is back.`);
  else notices.drop("microphone");
}

at("pause").addEventListener("click", () => link.send({ type: "pause", paused: !paused }));

// --- the picture

function showGraphs(graphs) {
  at("no-graph").hidden = graphs.length > 0;
  const names = new Set(graphs.map((graph) => graph.name));
  for (const [name, drawing] of drawings) {
    if (names.has(name)) continue;
    drawing.element.remove();
    drawings.delete(name);
  }
  for (const graph of graphs) {
    if (!drawings.has(graph.name)) {
      drawings.set(graph.name, new Drawing(graphWords(graph, tongues), isKnown(graph.name)));
      at("graphs")[FIRST.test(graph.name) ? "prepend" : "append"](drawings.get(graph.name).element);
    }
    drawings.get(graph.name).show(graph);
  }
}

// --- figures

function showCards({ lag = {}, listeners = {}, graphs = [], people }) {
  const all = Object.values(listeners);
  const read = all.filter((each) => each.count).length;
  const sum = (name) => all.reduce((total, each) => total + (each[name] ?? 0), 0);
  const running = graphs.filter((graph) => !(ended && ledgers.has(graph.name))); // at the end a graph may be in both
  const lost = lostInAll(running, [...ledgers.values()]);
  card("shown", "Captions appear after", ...lagOf(lag.shown));
  card("heard", "The voice follows after", ...lagOf(lag.heard));
  const hear = count(sum("voices"), "hears", "hear");
  card("listeners", "Listeners", String(people ?? sum("count")), read ? `in ${count(read, "language")} · ${hear} the voice` : "nobody now");
  const here = [lossWords(lost.s), lost.texts && count(lost.texts, "text")].filter(Boolean).join(", ");
  const phonesS = sum("dropped_s");
  const isLost = lost.s + lost.texts + phonesS > 0;
  card("lost", "Lost", lossWords(lost.s + phonesS), isLost ? `${here} here, ${lossWords(phonesS)} at slow phones` : "nothing", isLost);
}

function lagOf(lag) {
  if (!lag?.n) return ["–", "nothing yet"];
  const told = (value) => (value < 1 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(1)} s`);
  return [told(lag.p50_s), `as a rule · 95 of 100 within ${told(lag.p95_s)}`];
}

function card(id, name, big, small, alarm = false) {
  let place = at(`card-${id}`);
  if (!place) {
    place = make("div");
    place.id = `card-${id}`;
    const value = make("dd");
    value.append(make("span", "big"), make("span", "small"));
    place.append(make("dt", "", name), value);
    at("cards").append(place);
  }
  say(place.querySelector(".big"), big);
  say(place.querySelector(".small"), small);
  place.querySelector(".big").classList.toggle("alarm", alarm);
}

function showLanguages(listeners) {
  const rows = Object.entries(listeners).map(([tag, { count: readers = 0, voices = 0, dropped_s: lost = 0 }]) => [languageWords(tag, tongues), readers, voices, [seconds(lost), lost > 0]]);
  table(at("languages"), ["Language", "Read#", "Hear the voice#", "Sound skipped#"], rows, "Nobody listens.");
}

function showSpeakers({ state, sessions = [], microphone, graphs = [] }) {
  const doing = { waiting: "gets ready", live: "speaks", paused: "is paused" };
  const rows = sessions.map(({ state, since_s: since }) => ["Somebody in a browser", doing[state] ?? state, seconds(since)]);
  if (microphone) rows.push(["The microphone of the server's machine", microphone.lost ? ["is lost", true] : sessions.length ? "waits until the browser has ended" : doing[microphone.paused ? "paused" : "live"], ""]);
  if (graphs.some(isRecording)) rows.push(["A recording", sessions.length ? "is not heard: a browser speaks" : "speaks", ""]);
  table(at("speakers"), ["Who", "Now", "For#"], rows, state === "live" ? "What the graph below hears." : "Nobody speaks.");
}

// --- the ledger

/** What had ended was of another server. */
function forget() {
  ledgers.clear();
  showLedgers();
}

function showLedgers() {
  at("ledger-section").hidden = ledgers.size === 0;
  at("ledgers").replaceChildren(...[...ledgers].map(([name, report]) => ledger(graphWords({ ...report, name }, tongues), report)));
}

// --- the link

function showLink(state, code) {
  at("state").dataset.link = state;
  at("pause").disabled = state !== "open";
  if (state === "open") return notices.drop();
  if (state === "connecting") return;
  const away = state === "reconnecting";
  if (away && ended) return notices.show("link", "warn", "The room has ended", "This is how it ended; this page goes on when the room opens again.");
  say(at("state"), { reconnecting: "Reconnecting…", refused: "Refused", missing: "Gone", closed: "Closed" }[state]);
  at("state").dataset.state = away ? "reconnecting" : "refused";
  if (!window.dragoman.snapshots) document.querySelector("main").hidden = !away; // there is nothing to be seen
  notices.show("link", away ? "warn" : "bad", ...notice(state, code));
}

function notice(state, code) {
  if (state === "missing") return ["This room does not exist any more", "Open the link that was printed when the server started."];
  if (state === "reconnecting") return ["Not connected", code === GOING_AWAY ? "The server is restarting. What is shown is from before." : "The server does not answer. What is shown is from before; this page tries again by itself."];
  if (key && fault && !/key/i.test(fault)) return ["The room refused to open", fault];
  return ["This is not the operator's link", "Open the operator's link as it was printed when the server started; the speaker's will not do."];
}

if (key) link.start();
else showLink("refused", 0);
