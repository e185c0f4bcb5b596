/** Topology: what reads what. All topologies between their topics and sinks, or the steps of one; live figures on it. */
import { get } from '../api.js';
import { h, reconcile, replace, setText } from '../dom.js';
import * as f from '../format.js';
import { layered } from '../layout.js';
import { live, onLive } from '../live.js';
import { badge, cell, choices, empty, panel, refresh, setBadge, table } from '../parts.js';
import { addressOf } from '../place.js';

export const title = 'Topology';
export const lead = 'Topics, what reads them, and where results go.';

const HEIGHT = 56;
const widthOf = (text) => Math.min(300, Math.max(160, 28 + text.length * 7.4));

export function show(main, { place, signal }) {
  const chosen = place.get('name');
  const drawing = h('div');
  const note = h('div');
  const picker = h('div');
  replace(main, picker, note, drawing);
  let graph;
  refresh({
    signal,
    everyMs: 5_000,
    place: note,
    load: () => get('/v1/topologies', {}, signal),
    draw: ({ topologies }) => {
      const one = topologies.find(({ name }) => name === chosen);
      const shape = JSON.stringify([chosen, topologies.map(({ name, hash }) => [name, hash])]);
      if (graph?.shape !== shape) {
        replace(
          picker,
          choices(
            'Topology',
            [
              { id: undefined, label: 'Everything', href: addressOf('topology', { name: null }) },
              ...topologies.map(({ name }) => ({
                id: name,
                label: name,
                href: addressOf('topology', { name }),
              })),
            ],
            one?.name,
          ),
        );
        picker.className = 'panel-head scrolls';
        const tasks = one === undefined ? undefined : taskTable();
        graph = { shape, tasks, ...(one === undefined ? wholeGraph(topologies) : stepGraph(one)) };
        if (topologies.length === 0)
          return replace(
            drawing,
            empty(
              'No topology runs here',
              'Start this process with the role ',
              h('code', {}, 'engine'),
              '.',
            ),
          );
        replace(
          drawing,
          h(
            'div',
            { class: 'panels' },
            panel(
              one?.name ?? 'Everything',
              {
                wide: true,
                hint: one ? `its steps · ${one.hash}` : 'choose a topology to see its steps',
              },
              h(
                'div',
                { class: 'graph-box', tabindex: '0', role: 'region', 'aria-label': 'Graph' },
                graph.svg,
              ),
            ),
            tasks
              ? panel('Tasks', { wide: true, hint: 'one per stage and partition' }, tasks.root)
              : null,
          ),
        );
      }
      if (one !== undefined) graph.tasks.draw(one.tasks);
      graph.update();
    },
  });
  const stop = onLive(() => graph?.update());
  signal.addEventListener('abort', stop);
}

/** Topics – topologies – topics – sinks; feeds are drawn as what they are, the way into a sink. */
function wholeGraph(topologies) {
  const nodes = new Map();
  const edges = [];
  /** Of each sink. */
  const feeds = new Map();
  const node = (id, rest) => {
    if (!nodes.has(id)) nodes.set(id, { id, width: widthOf(rest.label), height: HEIGHT, ...rest });
  };
  for (const { name, graph } of topologies) {
    const isFeed = graph.nodes.some(({ kind }) => kind === 'sink');
    node(`t:${name}`, {
      label: name,
      kind: isFeed ? 'feed' : 'topology',
      figures: () => topologyFigures(name),
      href: addressOf('topology', { name }),
      topology: name,
    });
    const incoming = new Set(graph.edges.map(({ to }) => to));
    const outgoing = new Set(graph.edges.map(({ from }) => from));
    for (const { id, kind, label } of graph.nodes) {
      if (kind === 'topic' && !label.startsWith('tidemark.')) {
        node(`k:${label}`, { label, kind: 'topic', figures: () => topicFigures(label) });
        if (outgoing.has(id)) edges.push({ from: `k:${label}`, to: `t:${name}` });
        if (incoming.has(id)) edges.push({ from: `t:${name}`, to: `k:${label}` });
      }
      if (kind === 'sink') {
        feeds.set(label, [...(feeds.get(label) ?? []), name]);
        node(`s:${label}`, { label, kind: 'sink', figures: () => sinkFigures(feeds.get(label)) });
        edges.push({ from: `t:${name}`, to: `s:${label}` });
      }
    }
  }
  return drawGraph([...nodes.values()], edges);
}

/** Steps that give out fewer records than they take; behind them the rate of the source says nothing. */
const GATHERING = new Set(['window', 'rollup', 'across', 'merge', 'average', 'latest', 'closed']);

/** Steps that see every record of the sources. */
function seeingAll({ nodes, edges }) {
  const kinds = new Map(nodes.map(({ id, kind }) => [id, kind]));
  const reached = new Set();
  const incoming = new Set(edges.map(({ to }) => to));
  const visit = (id) => {
    if (reached.has(id)) return;
    reached.add(id);
    if (GATHERING.has(kinds.get(id))) return;
    for (const { from, to } of edges) if (from === id && kinds.get(to) !== 'topic') visit(to);
  };
  for (const { id, kind } of nodes) if (kind === 'topic' && !incoming.has(id)) visit(id);
  return reached;
}

function stepGraph({ name, graph }) {
  const passed = seeingAll(graph);
  const nodes = graph.nodes.map(({ id, kind, label, detail }) => ({
    id,
    label,
    kind,
    width: widthOf(label),
    height: HEIGHT,
    topology: passed.has(id) ? name : undefined,
    tooltip: Object.entries(detail ?? {})
      .map(([key, value]) => `${key}: ${typeof value === 'object' ? JSON.stringify(value) : value}`)
      .join('\n'),
    figures:
      kind === 'topic'
        ? () => topicFigures(label)
        : kind === 'sink'
          ? () => sinkFigures([name])
          : undefined,
  }));
  return drawGraph(nodes, graph.edges);
}

const lagText = (lag) => (lag > 0 ? ` · ${f.count(lag)} behind` : '');

function topologyFigures(name) {
  const it = live.latest?.topologies.find((each) => each.name === name);
  if (it === undefined) return undefined;
  return {
    text: `${f.rate(it.rate)}/s${lagText(it.lag)}`,
    rate: it.rate,
    isLate: it.lag > 10_000,
    isTroubled: it.troubled > 0,
  };
}

function topicFigures(name) {
  const it = live.latest?.topics.find((each) => each.name === name);
  return it && { text: `${f.rate(it.rate)}/s · ${f.count(it.records)} kept`, rate: it.rate };
}

/** Of one sink, by the feeds that end in it. */
function sinkFigures(feeds) {
  const mine = (live.latest?.sinks ?? []).filter(({ sink }) => feeds.includes(sink));
  if (mine.length === 0) return undefined;
  const points = mine.reduce((sum, each) => sum + each.points, 0);
  return {
    text: points === 0 ? 'all stored' : `${f.count(points)} waiting`,
    rate: feeds.reduce((sum, feed) => sum + (topologyFigures(feed)?.rate ?? 0), 0),
    isLate: points > 10_000,
    isTroubled: mine.some(({ breaker }) => breaker === 'open'),
  };
}

function drawGraph(nodes, edges) {
  const { place, width, height } = layered(nodes, edges);
  const lines = edges.map(({ from, to }) => {
    const [a, b] = [place.get(from), place.get(to)];
    const [x1, y1, x2, y2] = [a.left + a.width, a.top + a.height / 2, b.left, b.top + b.height / 2];
    const bend = Math.max(28, Math.abs(x2 - x1) / 2);
    return {
      from,
      to,
      line: h('path', {
        class: 'edge',
        d: `M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`,
        'stroke-width': '1.25',
      }),
    };
  });
  const boxes = nodes.map((node) => {
    const { left, top, width: w, height: hgt } = place.get(node.id);
    const figure = h('text', { class: 'node-figure', x: left + 13, y: top + 44 });
    const hasKind = node.figures === undefined;
    const group = h(
      'g',
      { class: `node ${node.kind}`, 'data-node': node.label },
      node.tooltip ? h('title', {}, node.tooltip) : null,
      h('rect', {
        class: 'node-box',
        x: left,
        y: top,
        width: w,
        height: hgt,
        rx: node.kind === 'topic' ? hgt / 2 : 9,
      }),
      h('text', { x: left + 13, y: top + 24 }, shortened(node.label, w - 24)),
      hasKind ? h('text', { class: 'node-kind', x: left + 13, y: top + 43 }, node.kind) : figure,
    );
    return {
      node,
      figure,
      group,
      element: node.href ? h('svg:a', { href: node.href }, group) : group,
    };
  });
  const svg = h(
    'svg',
    {
      class: 'graph',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: 'group',
      'aria-label': 'Graph of topics, topologies and sinks',
    },
    lines.map(({ line }) => line),
    boxes.map(({ element }) => element),
  );
  const update = () => {
    const rates = new Map();
    for (const { node, figure, group } of boxes) {
      const shown = node.figures?.() ?? (node.topology ? undefined : { text: '' });
      const ownRate =
        shown?.rate ?? (node.topology ? topologyFigures(node.topology)?.rate : 0) ?? 0;
      rates.set(node.id, ownRate);
      if (shown === undefined) continue;
      setText(figure, shown.text);
      figure.setAttribute('class', shown.isLate ? 'node-figure late' : 'node-figure');
      group.classList.toggle('troubled', shown.isTroubled === true);
    }
    for (const { from, to, line } of lines) {
      const flow = Math.min(rates.get(from) ?? 0, rates.get(to) ?? 0);
      line.setAttribute('class', flow > 0 ? 'edge flowing' : 'edge');
      line.setAttribute('stroke-width', (1.25 + Math.min(4, Math.log10(1 + flow))).toFixed(2));
    }
  };
  return { svg, update };
}

const shortened = (text, width) =>
  text.length * 7.2 <= width ? text : `${text.slice(0, Math.floor(width / 7.2) - 1)}…`;

function taskTable() {
  const { root, body } = table('Tasks', [
    { name: 'reads' },
    { name: 'state' },
    { name: 'epoch', number: true },
    { name: 'next offset', number: true },
    { name: 'lag', number: true },
    { name: 'restarts', number: true },
    { name: 'error' },
  ]);
  const draw = (tasks) =>
    reconcile(
      body,
      tasks.map((task) => ({
        ...task,
        reads: task.offsets.map(({ topic, partition }) => `${topic}/${partition}`).join(', '),
      })),
      {
        key: ({ reads }) => reads,
        make: ({ reads }) =>
          h(
            'tr',
            {},
            cell(reads),
            cell(badge('', '')),
            ...[0, 1, 2, 3].map(() => cell('', { number: true })),
            cell(''),
          ),
        update: (row, task) => {
          setBadge(
            row.children[1].firstChild,
            task.state,
            task.state === 'running' ? 'good' : task.state === 'failed' ? 'bad' : 'warn',
          );
          setText(row.children[2], f.count(task.epoch));
          setText(
            row.children[3],
            task.offsets.map(({ nextOffset }) => nextOffset.toLocaleString('en-US')).join(', '),
          );
          setText(row.children[4], f.count(task.offsets.reduce((sum, { lag }) => sum + lag, 0)));
          setText(row.children[5], f.count(task.restarts));
          setText(row.children[6], task.error ?? '');
        },
      },
    );
  return { root, draw };
}
