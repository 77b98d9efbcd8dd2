/** What was lost: sound in seconds, texts by number. */

import { count, seconds } from "/room-assets/plain-words.js";

const TEXTS = /, texts$/;

/** `lost` by where and why, in words: `lostS` has the seconds of those that are sound, where that is known. */
export function lostWords(lost = {}, lostS = {}) {
  return Object.entries(lost)
    .filter(([, number]) => number)
    .map(([what, number]) => {
      if (TEXTS.test(what)) return `${what.replace(TEXTS, "")} ${count(number, "text")}`;
      return `${what} ${Object.hasOwn(lostS, what) ? lossWords(lostS[what]) : count(number, "frame")}`;
    });
}

/** All that `graphs` that run, and `reports` of those that have ended, tell of: `{ s, texts }`. */
export function lostInAll(graphs, reports) {
  const edges = graphs.flatMap((graph) => graph.edges).filter((edge) => !edge.tap);
  const told = [...graphs.flatMap((graph) => graph.stages).map((stage) => [stage.losses, stage.lost_s]), ...reports.map((report) => [report.lost, report.lost_s])];
  const texts = ([lost]) => sum(Object.entries(lost ?? {}).map(([what, number]) => (TEXTS.test(what) ? number : 0)));
  return {
    s: sum(edges.map((edge) => edge.dropped_s)) + sum(told.map(([, lostS]) => sum(Object.values(lostS ?? {})))),
    texts: sum(edges.map((edge) => edge.texts_dropped)) + sum(told.map(texts)),
  };
}

/** How long a loss is: one that is short is not told as 0.0 s. */
export function lossWords(s) {
  return s > 0 && s < 0.1 ? `${Math.max(1, Math.round(1000 * s))} ms` : seconds(s);
}

function sum(numbers) {
  return numbers.reduce((total, each) => total + (each ?? 0), 0);
}
