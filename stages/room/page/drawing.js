/** A running graph as a picture: drawn once, then only its words and colours change. Built of nodes, never of markup. */

import { BOX, layers } from "/room-assets/layers.js";
import { lostWords } from "/room-assets/losses.js";
import { count, seconds, stageWords, wrapped } from "/room-assets/plain-words.js";

const SVG = "http://www.w3.org/2000/svg";
const ROOM = 15;
const ASIDE = 25; // for what is written beside the outermost lines
const TOLD_LINES = 2;
const LINE_LETTERS = 30;
const FULL_S = 2;

/** What a stage does, in a word, and the class it is painted with. */
export function doing({ state, busy, waits_for: waits }) {
  if (state === "failed") return ["failed", "failed"];
  if (state !== "running") return [state || "over", "over"];
  if (busy) return ["at work", "busy"];
  if (waits === "room") return ["held up", "room"];
  return ["waiting", "input"];
}

export class Drawing {
  #figure;
  #plain;
  #title;
  #facts;
  #shape = "";
  #stages = new Map();
  #edges = new Map();

  /** `plain`: its stages are told in plain words, and not by their names. */
  constructor(name, plain = false) {
    this.#plain = plain;
    this.#figure = make("figure", "graph");
    const caption = make("figcaption");
    this.#title = document.createTextNode(name);
    this.#facts = make("span");
    caption.append(this.#title, this.#facts);
    this.#figure.append(caption);
  }

  get element() {
    return this.#figure;
  }

  /** Show this snapshot of the graph. */
  show(graph) {
    const shape = JSON.stringify([graph.stages.map((stage) => stage.name), graph.edges.map((edge) => [edge.name, edge.producer, edge.consumer])]);
    if (shape !== this.#shape) this.#draw(graph);
    this.#shape = shape;
    say(this.#facts, [graph.state === "running" ? "" : graph.state, graph.done_s > 0 ? `${seconds(graph.done_s)} heard` : ""].filter(Boolean).join(" · "));
    for (const stage of graph.stages) this.#showStage(stage);
    for (const edge of graph.edges) this.#showEdge(edge);
  }

  #draw(graph) {
    this.#figure.querySelector("svg")?.remove();
    this.#stages.clear();
    this.#edges.clear();
    const names = graph.stages.map((stage) => stage.name);
    const known = new Set(names);
    const edges = graph.edges.filter((edge) => known.has(edge.producer) && known.has(edge.consumer));
    const { width, height, boxes, lines } = layers(names, edges.map((edge) => [edge.producer, edge.consumer]));
    const whole = width + 2 * (ROOM + ASIDE);
    const svg = draw("svg", { width: `${whole / 16}rem`, height: `${(height + 2 * ROOM) / 16}rem`, viewBox: `${-ROOM - ASIDE} ${-ROOM} ${whole} ${height + 2 * ROOM}`, role: "img" });
    const title = draw("title");
    title.textContent = `The graph ${this.#title.data}: ${names.join(", ")}`;
    svg.append(title);
    const labels = edges.map((edge, i) => {
      const [line, label] = this.#edge(edge, lines[i]);
      svg.append(line);
      return label;
    });
    svg.append(...labels); // above all lines
    for (const stage of graph.stages) svg.append(this.#stage(stage, boxes.get(stage.name)));
    this.#figure.append(svg);
  }

  #stage(stage, { x, y }) {
    const group = draw("g", { class: "stage", transform: `translate(${x} ${y})` });
    const write = (look, x, y, text = "") => {
      const made = draw("text", { class: look, x, y });
      made.textContent = text;
      group.append(made);
      return made;
    };
    group.append(draw("rect", { width: BOX.width, height: BOX.height, rx: 10 }));
    write("name", 12, 23, short(this.#plain ? stageWords(stage) : stage.name, 18));
    const chip = write("chip", BOX.width - 12, 23);
    const told = Array.from({ length: TOLD_LINES }, (_, line) => write("told", 12, 41 + 14 * line));
    const tip = draw("title");
    group.append(tip);
    this.#stages.set(stage.name, { group, chip, told, tip });
    return group;
  }

  #edge(edge, points) {
    const line = draw("g", { class: "edge" });
    const words = draw("g", { class: "edge" });
    const from = points[0];
    const to = points.at(-1);
    const path = [`M${from.x} ${from.y}`];
    for (let i = 1; i < points.length; i += 1) {
      const [a, b] = [points[i - 1], points[i]];
      const middle = (a.y + b.y) / 2;
      path.push(a.x === b.x ? `L${b.x} ${b.y}` : `C${a.x} ${middle} ${b.x} ${middle} ${b.x} ${b.y}`);
    }
    const label = draw("text", { x: (from.x + points[1].x) / 2 + 8, y: (from.y + points[1].y) / 2 - 2 });
    const lost = draw("text", { class: "lost", x: (from.x + points[1].x) / 2 + 8, y: (from.y + points[1].y) / 2 + 13 });
    const tip = draw("title");
    tip.textContent = edge.name;
    line.append(
      draw("path", { d: path.join("") }),
      draw("path", { class: "head", d: `M${to.x - 4.5} ${to.y - 8}L${to.x} ${to.y}L${to.x + 4.5} ${to.y - 8}z` }),
      tip,
    );
    words.append(label, lost);
    this.#edges.set(edge.name, { line, label, lost, tip });
    return [line, words];
  }

  #showStage(stage) {
    const place = this.#stages.get(stage.name);
    const [word, look] = doing(stage);
    place.group.setAttribute("class", `stage ${look}`);
    say(place.chip, word);
    const counts = Object.entries(stage.counts ?? {}).filter(([, count]) => count).map(([what, count]) => `${what} ${count}`);
    counts.unshift(...lostWords(stage.losses, stage.lost_s));
    const lines = wrapped(stage.status || counts.join(" · "), LINE_LETTERS, TOLD_LINES);
    place.told.forEach((line, n) => say(line, lines[n] ?? ""));
    say(place.tip, [`${stage.name} (${stage.kind}): ${word}`, stage.status, ...counts].filter(Boolean).join("\n"));
  }

  #showEdge(edge) {
    const place = this.#edges.get(edge.name);
    if (!place) return;
    const moving = edge.rate_x > 0.02;
    const full = edge.queue_s >= FULL_S;
    place.line.setAttribute("class", ["edge", edge.fused && "fused", moving && "moving", full && "full"].filter(Boolean).join(" "));
    say(place.label, edge.fused ? "" : facts(edge).join(" · "));
    const lost = [edge.dropped_s > 0 && seconds(edge.dropped_s), edge.texts_dropped > 0 && count(edge.texts_dropped, "text")].filter(Boolean);
    say(place.lost, lost.length ? `dropped ${lost.join(", ")}` : "");
    const pace = `${(edge.rate_x ?? 0).toFixed(2)} times real time`;
    say(place.tip, [edge.name, ...facts(edge), pace, `at most ${seconds(edge.peak_queue_s)} waited`, `when full: ${edge.policy}`].join("\n"));
  }
}

/** What there is to say of an edge: the sound that waits there, and its texts. */
export function facts(edge) {
  const found = [];
  if (edge.sent_s > 0 || edge.queue_s > 0) found.push(edge.queue_s >= 0.05 ? `${edge.queue_s.toFixed(1)} s waiting` : "sound");
  if (edge.texts > 0 || edge.texts_waiting > 0) found.push(count(edge.texts ?? 0, "text"));
  if (edge.texts_waiting > 0) found.push(`${edge.texts_waiting} waiting`);
  return found.length ? found : ["idle"];
}

export function make(tag, look = "", text = "") {
  const element = document.createElement(tag);
  if (look) element.className = look;
  if (text) element.textContent = text;
  return element;
}

export function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function short(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function draw(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
