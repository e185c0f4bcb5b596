/** Votes: how late they land. A network's percentiles, how they spread, who is slowest, and one validator. */
import { find, get } from '../api.js';
import { barChart, timeChart } from '../chart.js';
import { h, reconcile, replace, setText } from '../dom.js';
import * as f from '../format.js';
import { live, liveSpan, onLive } from '../live.js';
import { cell, choices, empty, LIVE_MS, panel, refresh, select, table, tile } from '../parts.js';
import { addressOf, choose, stepFor } from '../place.js';
import { busiest } from './overview.js';

export const title = 'Votes';
export const lead = 'Slots between a vote’s slot and the block it landed in.';

const PERCENTILES = [
  { label: 'p50', colour: '--c1' },
  { label: 'p95', colour: '--c2' },
  { label: 'p99', colour: '--c3' },
];
const SORTS = [
  ['p99', 'slowest p99'],
  ['p95', 'slowest p95'],
  ['p50', 'slowest p50'],
  ['mean', 'slowest mean'],
  ['count', 'most votes'],
];

export function show(main, context) {
  const { place, signal } = context;
  const wanted = place.get('network');
  const network = () => wanted ?? busiest(live.latest ?? { networks: [] })?.id;
  const validator = place.get('validator');
  const body = h('div');
  let isDrawn = false;

  const begin = () => {
    if (isDrawn || live.latest === undefined) return;
    const name = network();
    if (name === undefined) {
      replace(
        body,
        empty(
          'No votes yet',
          'Publish some to the topic ',
          h('code', {}, 'votes'),
          ', or try ',
          h('code', {}, 'tidemark simulate votes'),
          '. This page fills by itself.',
        ),
      );
      return;
    }
    isDrawn = true;
    replace(body);
    if (validator !== undefined) showValidator(body, { ...context, id: validator });
    showNetwork(body, { ...context, name, names: live.latest.networks.map(({ id }) => id) });
  };
  replace(main, body);
  const stop = onLive(begin);
  signal.addEventListener('abort', stop);
  begin();
}

function showNetwork(main, { place, signal, range, annotations, name, names }) {
  const tiles = {
    p50: tile('p50'),
    p95: tile('p95'),
    p99: tile('p99'),
    mean: tile('Mean'),
    votes: tile('Votes', { id: 'votes' }),
  };
  const chart = percentileChart(`Latency percentiles of ${name}`, annotations);
  const bars = barChart({ label: 'Share of votes by latency', unit: 'slots' });
  const barsNote = h('div');
  const chartNote = h('div');
  const sort = place.get('sort') ?? 'p99';
  const slow = table('Validators', [
    { name: 'validator' },
    { name: 'p50', number: true },
    { name: 'p95', number: true },
    { name: 'p99', number: true },
    { name: 'votes', number: true },
    { name: 'last slot', number: true },
  ]);
  const slowNote = h('div');
  const search = h('form', {
    role: 'search',
    onsubmit: (event) => {
      event.preventDefault();
      choose({ validator: input.value.trim() });
    },
  });
  const input = h('input', {
    type: 'search',
    placeholder: 'validator’s identity',
    'aria-label': 'Find a validator by its identity',
    size: '18',
  });
  search.append(input);

  main.append(
    h(
      'div',
      { class: 'tiles' },
      Object.values(tiles).map(({ root }) => root),
    ),
    h(
      'div',
      { class: 'panels' },
      panel(
        `Latency of ${name}`,
        {
          wide: true,
          hint: range().isLive ? 'the open window as it fills, slots' : 'per window, slots',
          extra: [
            networkChoices(names, name),
            ...(annotations.button(() => (range().isLive ? Date.now() : range().to - 1)) ?? []),
          ],
        },
        chart.root,
        chartNote,
      ),
      panel('Distribution', { hint: 'share of votes by slots' }, bars.root, barsNote),
      panel(
        'Validators',
        { extra: [search, select('Order', SORTS, sort, (value) => choose({ sort: value }))] },
        slow.root,
        slowNote,
      ),
    ),
  );

  const drawLive = () => {
    const entry = live.latest?.networks.find(({ id }) => id === name);
    const window = entry?.open ?? entry?.closed;
    if (!window) return;
    for (const key of ['p50', 'p95', 'p99'])
      tiles[key].set({
        value: f.slots(window[key]),
        unit: 'slots',
        note: entry.open
          ? `window since ${f.time(window.window.start).split(', ').at(-1)}`
          : 'last closed window',
      });
    tiles.mean.set({
      value: f.slots(window.mean),
      unit: 'slots',
      note:
        entry.movingAverage === null
          ? `± ${f.slots(window.stddev)}`
          : `hour’s average ${f.slots(entry.movingAverage)}`,
    });
    tiles.votes.set({
      value: f.count(window.count),
      note: entry.lastSlot === null ? '' : `up to slot ${entry.lastSlot.toLocaleString('en-US')}`,
    });
    if (range().isLive) drawLiveChart(chart, name, live.samples);
  };
  const stop = onLive(drawLive);
  drawLive();

  if (!range().isLive) {
    refresh({
      signal,
      everyMs: 10_000,
      place: chartNote,
      load: () => historyOf(`/v1/networks/${encodeURIComponent(name)}/stats`, range()),
      draw: (points) => drawHistory(chart, chartNote, points, range()),
    });
  }
  refresh({
    signal,
    everyMs: range().isLive ? 1_000 : 10_000,
    place: barsNote,
    load: () => get('/v1/distribution', { group: `network:${name}`, ...spanOf(range()) }, signal),
    draw: (spread) => drawSpread(bars, barsNote, spread),
  });
  refresh({
    signal,
    everyMs: LIVE_MS,
    place: slowNote,
    load: () => get('/v1/live/validators', { sort, limit: 100 }, signal),
    draw: ({ validators }) =>
      drawValidators(slow.body, validators.filter((each) => each.network === name).slice(0, 20)),
  });
  annotations.onChange(() => chart.redraw(), signal);
  signal.addEventListener('abort', () => {
    stop();
    chart.destroy();
  });
}

const networkChoices = (names, chosen) =>
  choices(
    'Network',
    names.map((id) => ({
      id,
      label: id,
      href: addressOf('votes', { network: id, validator: null }),
    })),
    chosen,
  );

function percentileChart(label, annotations) {
  return timeChart({
    label,
    series: PERCENTILES,
    format: f.slots,
    height: 250,
    annotations: annotations.list,
    onPick: annotations.addAt,
    onSelect: (from, to) => choose({ range: null, from, to }),
  });
}

/** By the clock of the engine: what was known when. */
function drawLiveChart(chart, name, samples) {
  const windows = samples.map(({ networks }) => {
    const entry = networks.find(({ id }) => id === name);
    return entry?.open ?? entry?.closed ?? null;
  });
  chart.setData(
    [
      samples.map((sample) => sample.at),
      ...PERCENTILES.map(({ label }) => windows.map((window) => window?.[label] ?? null)),
    ],
    liveSpan(),
  );
}

const spanOf = (range) => (range.isLive ? { live: true } : { from: range.from, to: range.to });

const historyOf = async (path, range) =>
  (await get(path, { from: range.from, to: range.to, step: stepFor(range) })).points;

function drawHistory(chart, note, points, range) {
  chart.setData(
    [
      points.map(({ window }) => window.start),
      ...PERCENTILES.map(({ label }) => points.map((point) => point[label])),
    ],
    range,
  );
  replace(
    note,
    points.length > 0
      ? null
      : empty(
          'No closed window in this range',
          'Five-minute windows are stored as they close; choose Live for the one that is open, or a longer range.',
        ),
  );
}

function drawSpread(bars, note, { count, bins, quantiles }) {
  const share = (q) => quantiles.find((each) => each.q === q)?.value;
  bars.setData(
    bins
      .filter((bin) => bin.count > 0 || bin.to <= share(0.99))
      .map(({ from, to, count: votes }) => ({
        name: to - from === 1 ? `${from}` : `${from}–${to - 1}`,
        count: votes,
      })),
  );
  replace(
    note,
    count === 0
      ? empty('No votes in this range', 'Choose a longer one, or Live.')
      : h(
          'p',
          { class: 'hint' },
          `${f.count(count)} votes; half within ${f.slots(share(0.5))} slots, 99.9 % within ${f.slots(share(0.999))}.`,
        ),
  );
}

function drawValidators(body, validators) {
  reconcile(body, validators, {
    key: ({ id }) => id,
    make: ({ id }) =>
      h(
        'tr',
        { 'data-validator': id },
        cell(
          h(
            'a',
            { class: 'mono', href: addressOf('votes', { validator: id }), title: id },
            f.short(id),
          ),
        ),
        ...[0, 1, 2, 3, 4].map(() => cell('', { number: true })),
      ),
    update: (row, { open, closed, lastSlot }) => {
      const window = open ?? closed;
      for (const [i, key] of ['p50', 'p95', 'p99'].entries())
        setText(row.children[i + 1], f.slots(window?.[key]));
      setText(row.children[4], f.count(window?.count));
      setText(row.children[5], lastSlot === null ? '–' : lastSlot.toLocaleString('en-US'));
    },
  });
}

function showValidator(main, { signal, range, annotations, id }) {
  const facts = h('dl', { class: 'facts' });
  const chart = percentileChart(`Latency percentiles of validator ${id}`, annotations);
  const note = h('div');
  const bars = barChart({ label: 'Share of this validator’s votes by latency', unit: 'slots' });
  const barsNote = h('div');
  const close = h('a', { href: addressOf('votes', { validator: null }) }, 'Close');
  main.append(
    h(
      'div',
      { class: 'panels spaced', id: 'validator' },
      panel('One validator', { wide: true, extra: close }, h('p', { class: 'mono' }, id), facts),
      panel('Its percentiles', { hint: 'per window, slots' }, chart.root, note),
      panel('Its distribution', {}, bars.root, barsNote),
    ),
  );
  const fact = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
  refresh({
    signal,
    everyMs: LIVE_MS,
    load: () => find(`/v1/live/validators/${encodeURIComponent(id)}`, {}, signal),
    draw: (entry) => {
      if (entry === undefined)
        return replace(
          facts,
          empty(
            'Not seen since this engine started',
            'Check the identity; what is stored of it shows below.',
          ),
        );
      const window = entry.open ?? entry.closed;
      replace(
        facts,
        ['p50', 'p95', 'p99', 'mean'].map((key) => fact(key, f.slots(window?.[key]))),
        fact('votes in window', f.count(window?.count)),
        fact('last slot', entry.lastSlot?.toLocaleString('en-US') ?? '–'),
        fact('network', entry.network),
        entry.voteAccount
          ? fact(
              'vote account',
              h('span', { class: 'mono', title: entry.voteAccount }, f.short(entry.voteAccount)),
            )
          : null,
      );
    },
  });
  refresh({
    signal,
    everyMs: 10_000,
    place: note,
    load: () => {
      const { isLive, from, to } = range();
      // Windows are five minutes: of "live" there would be one.
      const shown = { from: isLive ? to - 21_600_000 : from, to };
      return historyOf(`/v1/validators/${encodeURIComponent(id)}/metrics`, shown).then(
        (points) => ({ points, shown }),
      );
    },
    draw: ({ points, shown }) => drawHistory(chart, note, points, shown),
  });
  refresh({
    signal,
    everyMs: range().isLive ? 1_000 : 10_000,
    place: barsNote,
    load: () => get('/v1/distribution', { group: `validator:${id}`, ...spanOf(range()) }, signal),
    draw: (spread) => drawSpread(bars, barsNote, spread),
  });
  signal.addEventListener('abort', () => chart.destroy());
}
