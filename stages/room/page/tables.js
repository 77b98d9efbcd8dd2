/** Tables of the operator's page, and among them the ledger of a graph that has ended. */

import { make } from "/room-assets/drawing.js";
import { lostWords } from "/room-assets/losses.js";
import { seconds } from "/room-assets/plain-words.js";

/** Show `rows` in `place`. A head that ends in # is over numbers; a cell may be `[text, alarm]`; without rows: `empty`. */
export function table(place, heads, rows, empty) {
  const shown = JSON.stringify(rows.length ? rows : empty);
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

/** What became of the sound of a graph: in a line, and edge by edge for whoever unfolds it. */
export function ledger(title, report) {
  const place = make("div", "ledger");
  const lost = lostWords(report.lost, report.lost_s);
  const told = [
    `${seconds(report.media_s)} of sound, worked on for ${seconds(report.wall_s)}`,
    report.balanced ? "all of it is accounted for" : "the account does not balance",
    lost.length ? `lost: ${lost.join(", ")}` : "nothing is lost",
  ];
  const more = make("details");
  const box = make("div", "scroll");
  const heads = ["Edge", "Sent#", "Received#", "Dropped#", "Declined#", "In flight#", "Texts#", "Texts dropped#", "Longest queue#"];
  table(box, heads, (report.edges ?? []).map(edgeRow), "No edges.");
  more.append(make("summary", "", "Edge by edge"), box);
  place.append(make("h3", "", title), make("p", report.balanced && !lost.length ? "" : "alarm", told.join(" · ")), more);
  return place;
}

function edgeRow(edge) {
  const long = (frames) => seconds(frames / (edge.rate_hz || 1));
  return [
    edge.name,
    long(edge.sent),
    long(edge.received),
    [long(edge.dropped), edge.dropped > 0 && !edge.tap],
    long(edge.declined),
    [long(edge.in_flight), edge.in_flight > 0],
    edge.texts,
    [edge.texts_dropped, edge.texts_dropped > 0],
    seconds(edge.peak_queue_s),
  ];
}
