/** The operator's page: twice a second a snapshot comes, and is shown. */

import { count, Drawing, make, say, seconds } from "/room-assets/drawing.js";
import { Notices } from "/room-assets/notices.js";
import { Link, roomPath } from "/room-assets/socket.js";

const at = (id) => document.getElementById(id);
const key = new URLSearchParams(location.search).get("key") ?? "";
const FIRST = /recognition$/; // all others live on it
const drawings = new Map();
const ledgers = new Map();
const notices = new Notices(at("notices"));
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
    ended = snapshot.state === "ended";
    say(at("state"), { waiting: "Waiting for a speaker", live: "Live", paused: "Paused", ended: "Ended" }[snapshot.state] ?? String(snapshot.state));
    at("state").dataset.state = snapshot.state;
    say(at("clock"), seconds(snapshot.at_s));
    if (snapshot.title) {
      say(at("title"), snapshot.title);
      document.title = snapshot.title;
    }
    showPause(snapshot.microphone);
    showGraphs([...(snapshot.graphs ?? [])].sort((one, other) => FIRST.test(other.name) - FIRST.test(one.name)));
    showCards(snapshot);
    showLanguages(snapshot.listeners ?? {});
    showSessions(snapshot.sessions ?? []);
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
      drawings.set(graph.name, new Drawing(graph.name));
      at("graphs")[FIRST.test(graph.name) ? "prepend" : "append"](drawings.get(graph.name).element);
    }
    drawings.get(graph.name).show(graph);
  }
}

// --- figures

function showCards({ lag = {}, listeners = {}, graphs = [], people }) {
  const all = Object.values(listeners);
  const sum = (name) => all.reduce((total, each) => total + (each[name] ?? 0), 0);
  const droppedS = graphs.flatMap((graph) => graph.edges).reduce((total, edge) => total + (edge.tap ? 0 : (edge.dropped_s ?? 0)), 0);
  card("shown", "From spoken to shown", ...lagOf(lag.shown));
  card("heard", "From spoken to heard", ...lagOf(lag.heard));
  // Who reads two languages is still one person.
  card("listeners", "Listeners", String(people ?? sum("count")), `${count(all.length, "language")} · ${sum("voices")} hear the voice`);
  const lostS = droppedS + sum("dropped_s");
  card("lost", "Lost", seconds(lostS), lostS > 0 ? `${seconds(droppedS)} in graphs, ${seconds(sum("dropped_s"))} at slow phones` : "nothing", lostS > 0);
}

function lagOf(lag) {
  if (!lag?.n) return ["–", "nothing yet"];
  const told = (value) => (value < 1 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(1)} s`);
  return [told(lag.p50_s), `p50 · p95 ${told(lag.p95_s)} · of ${lag.n}`];
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
  const rows = Object.entries(listeners).map(([tag, { count: readers = 0, voices = 0, dropped_s: lost = 0 }]) => [tag, readers, voices, [seconds(lost), lost > 0]]);
  table(at("languages"), ["Language", "Listeners#", "Voice on#", "Sound dropped#"], rows, "Nobody listens.");
}

function showSessions(sessions) {
  const rows = sessions.map(({ name, state, since_s: since }) => [name, state, seconds(since)]);
  table(at("sessions"), ["Session", "State", "For#"], rows, "No session.");
}

/** A name that ends in # heads numbers; a cell may be [text, alarm]. */
function table(place, heads, rows, empty) {
  const shown = JSON.stringify(rows);
  if (place.dataset.shown === shown) return;
  place.dataset.shown = shown;
  if (!rows.length) return place.replaceChildren(make("p", "quiet", empty));
  const made = make("table");
  const head = made.createTHead().insertRow();
  for (const name of heads) {
    const cell = make("th", name.endsWith("#") ? "number" : "", name.replace("#", ""));
    cell.scope = "col";
    head.append(cell);
  }
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((value, column) => {
      const [text, alarm] = Array.isArray(value) ? value : [value, false];
      line.append(make("td", [heads[column].endsWith("#") && "number", alarm && "alarm"].filter(Boolean).join(" "), String(text ?? "")));
    });
  }
  place.replaceChildren(made);
}

// --- the ledger

function showLedgers() {
  at("ledger-section").hidden = ledgers.size === 0;
  at("ledgers").replaceChildren(...[...ledgers].map(([name, report]) => ledger(name, report)));
}

function ledger(name, report) {
  const place = make("div", "ledger");
  const lost = Object.entries(report.lost ?? {});
  const told = [
    `${seconds(report.media_s)} of sound in ${seconds(report.wall_s)}`,
    report.balanced ? "every frame is accounted for" : "the ledger does not balance",
    lost.length ? `lost: ${lost.map(([what, number]) => `${what} ${number}`).join(", ")}` : "nothing lost",
  ];
  place.append(make("h3", "", name), make("p", report.balanced && !lost.length ? "" : "alarm", told.join(" · ")));
  const rate = (edge) => edge.rate_hz || 1;
  const rows = (report.edges ?? []).map((edge) => [
    edge.name,
    seconds(edge.sent / rate(edge)),
    seconds(edge.received / rate(edge)),
    [seconds(edge.dropped / rate(edge)), edge.dropped > 0 && !edge.tap],
    seconds(edge.declined / rate(edge)),
    [seconds(edge.in_flight / rate(edge)), edge.in_flight > 0],
    edge.texts,
    [edge.texts_dropped, edge.texts_dropped > 0],
    seconds(edge.peak_queue_s),
  ]);
  const box = make("div", "scroll");
  table(box, ["Edge", "Sent#", "Received#", "Dropped#", "Declined#", "In flight#", "Texts#", "Texts dropped#", "Longest queue#"], rows, "No edges.");
  place.append(box);
  return place;
}

// --- the link

function showLink(state, code) {
  at("state").dataset.link = state;
  at("pause").disabled = state !== "open";
  if (state === "open") return notices.drop();
  if (state === "connecting") return;
  if (state === "reconnecting" && ended) return notices.show("link", "warn", "The room has ended", "This is how it ended; this page goes on when the room opens again.");
  const words = { reconnecting: "Reconnecting…", refused: "Refused", missing: "Gone", closed: "Closed" }[state];
  say(at("state"), words);
  at("state").dataset.state = state === "reconnecting" ? "reconnecting" : "refused";
  if (state === "refused") at("no-graph").hidden = true; // nothing of the kind is known
  if (state === "refused" && (!key || !fault || /key/i.test(fault))) notices.show("link", "bad", "This is not the operator's link", "Open the operator's link as it was printed when the server started; the speaker's will not do.");
  else if (state === "refused") notices.show("link", "bad", "The room refused to open", fault);
  else if (state === "missing") notices.show("link", "bad", "This room does not exist any more", "Open the link that was printed when the server started.");
  else if (state === "reconnecting") notices.show("link", "warn", "Not connected", code === 1001 ? "The server is restarting. What is shown is from before." : "The server does not answer. What is shown is from before; this page tries again by itself.");
}

document.title = decodeURIComponent(roomPath().slice(3));
say(at("title"), document.title);
if (key) link.start();
else showLink("refused", 0);
