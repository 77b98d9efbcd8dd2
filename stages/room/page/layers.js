/**
 * Where the stages of a graph stand: in layers from top to bottom, each below all that feed it. Pure.
 *
 * An edge that passes layers by gets a lane of its own through them, so that no line runs through a box.
 */

export const BOX = { width: 208, height: 64 };
const GAP = { across: 28, down: 50, lane: 26 };
const SWEEPS = 4;

/**
 * `names` and `edges` ([producer, consumer] pairs) to `{width, height, boxes: Map name -> {x, y}, lines: [[{x, y}...]]}`,
 * the lines in the order of the edges: points from the bottom of the producer to the top of the consumer.
 */
export function layers(names, edges) {
  const depth = depths(names, edges);
  const rows = [];
  const put = (node, row) => (rows[row] ??= []).push(node);
  for (const name of names) put({ name, row: depth.get(name), near: [] }, depth.get(name));
  const byName = new Map(rows.flat().map((node) => [node.name, node]));
  const chains = edges.map(([from, to]) => {
    const chain = [byName.get(from)];
    for (let row = depth.get(from) + 1; row < depth.get(to); row += 1) {
      const lane = { name: null, row, near: [] };
      put(lane, row);
      chain.push(lane);
    }
    chain.push(byName.get(to));
    for (let i = 1; i < chain.length; i += 1) {
      chain[i].near.push(chain[i - 1]);
      chain[i - 1].near.push(chain[i]);
    }
    return chain;
  });
  const width = arrange(rows);
  const boxes = new Map();
  for (const node of rows.flat()) if (node.name !== null) boxes.set(node.name, { x: node.x, y: node.row * (BOX.height + GAP.down) });
  const lines = chains.map((chain) => spread(chain));
  return { width, height: rows.length * (BOX.height + GAP.down) - GAP.down, boxes, lines };
}

/** How many steps it is at most from a source. What a loop would be is cut: a graph has none. */
function depths(names, edges) {
  const depth = new Map(names.map((name) => [name, 0]));
  for (let step = 0; step < names.length; step += 1) {
    let changed = false;
    for (const [from, to] of edges) {
      if (depth.get(to) <= depth.get(from)) {
        depth.set(to, depth.get(from) + 1);
        changed = true;
      }
    }
    if (!changed) break;
  }
  return depth;
}

/** Order each row by where its neighbours stand, then set every `x`; the width of it all. */
function arrange(rows) {
  const widthOf = (node) => (node.name === null ? GAP.lane : BOX.width);
  const place = (row) => {
    let x = 0;
    for (const node of row) {
      node.x = x;
      x += widthOf(node) + GAP.across;
    }
    return x - GAP.across;
  };
  const centre = (node) => node.x + widthOf(node) / 2;
  const centreAll = (width) => {
    for (const row of rows) {
      const shift = (width - place(row)) / 2;
      for (const node of row) node.x += shift;
    }
  };
  const width = Math.max(0, ...rows.map(place));
  centreAll(width);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const row of sweep % 2 ? [...rows].reverse() : rows) {
      const wish = new Map(row.map((node) => [node, node.near.length ? node.near.reduce((sum, each) => sum + centre(each), 0) / node.near.length : centre(node)]));
      row.sort((one, other) => wish.get(one) - wish.get(other));
    }
    centreAll(width);
  }
  return width;
}

/** The points of one line; several at the same box leave it side by side. */
function spread(chain) {
  const down = BOX.height + GAP.down;
  return chain.flatMap((node, step) => {
    const next = chain[step + 1];
    const before = chain[step - 1];
    if (node.name === null) {
      const x = node.x + GAP.lane / 2;
      return [{ x, y: node.row * down }, { x, y: node.row * down + BOX.height }];
    }
    const others = node.near.filter((each) => (next ? each.row > node.row : each.row < node.row)).sort((one, other) => one.x - other.x);
    const x = node.x + (BOX.width * (others.indexOf(next ?? before) + 1)) / (others.length + 1);
    return [{ x, y: node.row * down + (next ? BOX.height : 0) }];
  });
}
