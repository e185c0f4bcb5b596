/**
 * Lays a directed graph out in layers, left to right: a node stands one layer behind its farthest predecessor,
 * and each layer is ordered by where its neighbours stand (barycentres, a few sweeps), so that few edges cross.
 */
const SWEEPS = 8;

/**
 * `nodes`: `{ id, width, height }`; `edges`: `{ from, to }`. Edges that would close a ring are drawn, but do not
 * move nodes. Resolves positions of nodes (left, top), the paths' ends, and the whole's size.
 */
export function layered(nodes, edges, { gapX = 56, gapY = 18, margin = 12 } = {}) {
  const ids = new Set(nodes.map(({ id }) => id));
  const known = edges.filter(({ from, to }) => ids.has(from) && ids.has(to) && from !== to);
  const layerOf = layersOf(nodes, known);
  const layers = [];
  for (const node of nodes) {
    const layer = layerOf.get(node.id);
    layers[layer] ??= [];
    layers[layer].push(node);
  }
  order(layers, known);

  const place = new Map();
  const heights = layers.map((layer) =>
    layer.reduce((sum, { height }) => sum + height + gapY, -gapY),
  );
  const tallest = Math.max(0, ...heights);
  let left = margin;
  layers.forEach((layer, i) => {
    const width = Math.max(...layer.map((node) => node.width));
    let top = margin + (tallest - heights[i]) / 2;
    for (const node of layer) {
      place.set(node.id, { left, top, width: node.width, height: node.height });
      top += node.height + gapY;
    }
    left += width + gapX;
  });
  return { place, width: left - gapX + margin, height: tallest + 2 * margin };
}

function layersOf(nodes, edges) {
  const next = new Map(nodes.map(({ id }) => [id, []]));
  for (const { from, to } of edges) next.get(from).push(to);
  const state = new Map();
  const sorted = [];
  const back = new Set();
  const visit = (id) => {
    state.set(id, 'open');
    for (const to of next.get(id)) {
      if (state.get(to) === 'open') back.add(`${id}\n${to}`);
      else if (!state.has(to)) visit(to);
    }
    state.set(id, 'done');
    sorted.unshift(id);
  };
  for (const { id } of nodes) if (!state.has(id)) visit(id);
  const layer = new Map(sorted.map((id) => [id, 0]));
  for (const id of sorted)
    for (const to of next.get(id))
      if (!back.has(`${id}\n${to}`)) layer.set(to, Math.max(layer.get(to), layer.get(id) + 1));
  return layer;
}

function order(layers, edges) {
  const before = new Map();
  const after = new Map();
  for (const { from, to } of edges) {
    before.set(to, [...(before.get(to) ?? []), from]);
    after.set(from, [...(after.get(from) ?? []), to]);
  }
  const position = new Map();
  const number = (layer) =>
    layer.forEach(({ id }, i) => {
      position.set(id, i / Math.max(1, layer.length - 1));
    });
  layers.forEach(number);
  const sweep = (sequence, neighbours) => {
    for (const layer of sequence) {
      const centre = new Map(
        layer.map(({ id }) => {
          const near = neighbours.get(id) ?? [];
          return [
            id,
            near.length === 0
              ? position.get(id)
              : near.reduce((sum, each) => sum + position.get(each), 0) / near.length,
          ];
        }),
      );
      layer.sort((a, b) => centre.get(a.id) - centre.get(b.id));
      number(layer);
    }
  };
  for (let i = 0; i < SWEEPS; i++) {
    sweep(layers, before);
    sweep(layers.toReversed(), after);
  }
}
