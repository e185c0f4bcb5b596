/** Fleet: every host and how it is; one host's trends and disks; hosts side by side; what is unusual. */
import { find, get } from '../api.js';
import { timeChart } from '../chart.js';
import { h, reconcile, replace, setText } from '../dom.js';
import * as f from '../format.js';
import { live, onLive } from '../live.js';
import { badge, cell, empty, LIVE_MS, panel, refresh, select, setBadge, table } from '../parts.js';
import { addressOf, choose, stepFor } from '../place.js';
import { showForecast } from './forecast.js';

export const title = 'Fleet';
export const lead = 'Hosts and what they report.';

const COMPARED_MAX = 8;
const STATUS_TONE = { up: 'good', stale: 'warn', down: 'bad' };
/** Windows are five minutes: less than an hour of them is no line. */
const LIVE_SHOWS_MS = 3_600_000;

export function show(main, context) {
  const { signal } = context;
  const body = h('div');
  replace(main, body);
  let drawn = false;
  const begin = () => {
    if (drawn || live.latest === undefined) return;
    drawn = true;
    if (live.latest.offers.includes('fleet')) return showFleet(body, context);
    replace(
      body,
      empty(
        'No fleet in this engine',
        'Run it with the topology ',
        h('code', {}, 'fleet-metrics'),
        ' and the role ',
        h('code', {}, 'engine'),
        '.',
      ),
    );
  };
  const stop = onLive(begin);
  signal.addEventListener('abort', stop);
  begin();
}

export const spanOf = (range) =>
  range.isLive ? { from: range.to - LIVE_SHOWS_MS, to: range.to } : range;

function showFleet(main, { place, signal, annotations, range: rangeAt }) {
  const range = () => spanOf(rangeAt(Date.now()));
  const grid = h('div', { class: 'hosts' });
  const gridNote = h('div');
  const summary = h('span', { class: 'hint' });
  const filter = h('input', {
    type: 'search',
    placeholder: 'host, region, …',
    'aria-label': 'Find hosts',
    size: '14',
    value: place.get('find') ?? '',
    oninput: () => choose({ find: filter.value }, { replace: true }),
  });
  const hostPlace = h('div');
  const comparison = h('div');
  const anomalies = h('div');
  replace(
    main,
    h(
      'div',
      { class: 'panels' },
      panel('Hosts', { wide: true, extra: [summary, filter] }, grid, gridNote),
    ),
    hostPlace,
    comparison,
    anomalies,
  );

  let shownHost;
  let begun = false;
  refresh({
    signal,
    everyMs: LIVE_MS,
    place: gridNote,
    load: () => get('/v1/fleet/hosts', {}, signal),
    draw: ({ hosts }) => {
      replace(
        gridNote,
        hosts.length > 0
          ? null
          : empty(
              'No host reports yet',
              'Run ',
              h('code', {}, 'tidemark agent'),
              ' on each, or try ',
              h('code', {}, 'tidemark simulate fleet'),
              '.',
            ),
      );
      const wanted = filter.value.trim().toLowerCase();
      const fitting = hosts.filter(
        (host) =>
          wanted === '' ||
          [host.host, host.region, host.environment, host.service ?? ''].some((text) =>
            text.toLowerCase().includes(wanted),
          ),
      );
      const order = { down: 0, stale: 1, up: 2 };
      fitting.sort((a, b) => order[a.status] - order[b.status] || (a.host < b.host ? -1 : 1));
      setText(
        summary,
        hosts.length === 0
          ? ''
          : `${hosts.filter(({ status }) => status === 'up').length} of ${f.plural(hosts.length, 'host')} up`,
      );
      const chosen = place.get('host') ?? fitting[0]?.host;
      drawHosts(grid, fitting.slice(0, 200), chosen);
      if (hosts.length === 0 || begun) return;
      begun = true;
      const host = hosts.find((each) => each.host === chosen);
      if (host !== undefined && shownHost === undefined) {
        shownHost = host.host;
        showHost(hostPlace, { host, place, signal, annotations, range });
      }
      showComparison(comparison, { hosts, place, signal, annotations, range });
      showAnomalies(anomalies, { signal, range });
    },
  });
}

const reading = (host, type, field) => {
  const values = host.latest
    .filter(({ metricType }) => metricType === type)
    .map(({ fields }) => fields[field])
    .filter((value) => value !== undefined);
  return values.length === 0 ? undefined : Math.max(...values);
};
/** Limits of mission S5: where the alerts' rules begin. */
const GAUGES = [
  ['cpu', 'cpu', 'usage_percent', 70, 90],
  ['memory', 'memory', 'used_percent', 85, 95],
  ['disk', 'disk', 'used_percent', 80, 90],
];

function drawHosts(grid, hosts, chosen) {
  reconcile(grid, hosts, {
    key: ({ host }) => host,
    make: ({ host }) =>
      h(
        'a',
        { class: 'host', href: addressOf('fleet', { host }), 'data-host': host },
        h('span', { class: 'host-head' }, h('span', { class: 'host-name' }, host), badge('', '')),
        GAUGES.map(([name]) =>
          h(
            'span',
            { class: 'gauge' },
            name,
            h('span', { class: 'gauge-track' }, h('span', { class: 'gauge-fill' })),
            h('span', { class: 'gauge-value' }),
          ),
        ),
        h('span', { class: 'hint' }),
      ),
    update: (card, host) => {
      if (host.host === chosen) card.setAttribute('aria-current', 'true');
      else card.removeAttribute('aria-current');
      setBadge(card.children[0].children[1], host.status, STATUS_TONE[host.status]);
      for (const [i, [, type, name, warn, bad]] of GAUGES.entries()) {
        const gauge = card.children[i + 1];
        const value = reading(host, type, name);
        gauge.dataset.tone = value >= bad ? 'bad' : value >= warn ? 'warn' : '';
        gauge.children[0].firstChild.style.setProperty('width', `${Math.min(100, value ?? 0)}%`);
        setText(gauge.children[1], f.percent(value));
      }
      setText(
        card.lastChild,
        [
          host.region,
          host.environment,
          host.status === 'up' ? '' : `seen ${f.span(host.ageMs)} ago`,
        ]
          .filter(Boolean)
          .join(' · '),
      );
    },
  });
}

/** `cpu usage_percent`, `disk used_percent /data`: every series that a host reports. */
function seriesOf(host) {
  return host.latest
    .flatMap(({ metricType, tags, fields }) =>
      Object.keys(fields).map((name) => ({ metricType, tags, field: name })),
    )
    .map((series) => ({
      ...series,
      key: JSON.stringify([series.metricType, series.field, series.tags]),
      label: [
        series.metricType,
        series.field.replaceAll('_', ' '),
        ...Object.values(series.tags),
      ].join(' '),
    }));
}

export const tagsQuery = (tags) => Object.entries(tags).map(([name, value]) => `${name}:${value}`);
const formatOf = (name) =>
  name.endsWith('percent')
    ? f.percent
    : name.includes('bytes')
      ? f.bytes
      : (value) => f.number(value, 2);

function seriesAddress(host, { metricType, field: name, tags }, range) {
  const query = new URLSearchParams({
    from: range.from,
    to: range.to,
    step: stepFor(range),
    field: name,
    metricType,
  });
  for (const tag of tagsQuery(tags)) query.append('tag', tag);
  return `/v1/fleet/hosts/${encodeURIComponent(host)}?${query}`;
}

function showHost(main, { host, place, signal, annotations, range }) {
  const all = seriesOf(host);
  const chosen =
    all.find(({ key }) => key === place.get('series')) ??
    all.find(({ metricType, field: name }) => metricType === 'cpu' && name === 'usage_percent') ??
    all[0];
  const note = h('div');
  const chart = timeChart({
    label: `${chosen?.label} of ${host.host}`,
    series: [
      { label: 'mean', fill: true },
      { label: 'max', colour: '--c2', dash: [4, 3] },
    ],
    format: formatOf(chosen?.field ?? ''),
    height: 220,
    annotations: annotations.list,
    onPick: annotations.addAt,
    onSelect: (from, to) => choose({ range: null, from, to }),
  });
  const forecast = h('div', { class: 'panel' });
  const pick = select(
    'Series',
    all.map(({ key, label }) => [key, label]),
    chosen?.key,
    (series) => choose({ host: host.host, series }),
  );
  replace(
    main,
    h(
      'div',
      { class: 'panels spaced above', id: 'host' },
      panel(
        host.host,
        {
          hint: `${host.region} · ${host.environment}`,
          extra: [pick, ...(annotations.button() ?? [])],
        },
        chart.root,
        note,
      ),
      forecast,
    ),
  );
  showForecast(forecast, { host, place, signal });
  if (chosen === undefined) return;
  refresh({
    signal,
    everyMs: 5_000,
    place: note,
    load: () => find(seriesAddress(host.host, chosen, range()), {}, signal),
    draw: (found) => {
      const points = found?.series[0]?.points ?? [];
      chart.setData(
        [
          points.map(({ window }) => window.start),
          points.map(({ mean }) => mean),
          points.map(({ max }) => max),
        ],
        range(),
      );
      replace(
        note,
        points.length > 0 ? null : empty('Nothing stored in this range', 'Choose a longer one.'),
      );
    },
  });
  annotations.onChange(() => chart.redraw(), signal);
  signal.addEventListener('abort', () => chart.destroy());
}

function showComparison(main, { hosts, place, signal, annotations, range }) {
  const fields = [
    ...new Map(
      hosts
        .flatMap(seriesOf)
        .map(({ metricType, field: name }) => [
          `${metricType}.${name}`,
          `${metricType} ${name.replaceAll('_', ' ')}`,
        ]),
    ),
  ].sort();
  const wanted =
    place.get('compare') ??
    (fields.some(([id]) => id === 'cpu.usage_percent') ? 'cpu.usage_percent' : fields[0]?.[0]);
  if (wanted === undefined) return;
  const [metricType, name] = [
    wanted.slice(0, wanted.indexOf('.')),
    wanted.slice(wanted.indexOf('.') + 1),
  ];
  const named = (place.get('hosts') ?? '').split(',').filter(Boolean);
  const names = (named.length > 0 ? named : hosts.map(({ host }) => host)).slice(0, COMPARED_MAX);
  const note = h('div');
  const chart = timeChart({
    label: `${wanted} of several hosts`,
    series: names.map((label) => ({ label })),
    format: formatOf(name),
    height: 240,
    annotations: annotations.list,
    onSelect: (from, to) => choose({ range: null, from, to }),
  });
  const hostsField = h('input', {
    'aria-label': 'Hosts to compare, comma separated',
    placeholder: 'host-1, host-2',
    value: named.join(', '),
    size: '20',
  });
  const form = h(
    'form',
    {
      class: 'panel-extra',
      onsubmit: (event) => {
        event.preventDefault();
        choose({
          hosts: hostsField.value
            .split(/[\s,]+/)
            .filter(Boolean)
            .join(','),
        });
      },
    },
    hostsField,
    select('Compared', fields, wanted, (compare) => choose({ compare })),
  );
  replace(
    main,
    h(
      'div',
      { class: 'panels spaced above' },
      panel('Side by side', { wide: true, hint: 'mean per window', extra: form }, chart.root, note),
    ),
  );
  refresh({
    signal,
    everyMs: 10_000,
    place: note,
    load: () =>
      get(
        '/v1/fleet/compare',
        { field: name, metricType, hosts: names.join(','), ...spanQuery(range()) },
        signal,
      ),
    draw: ({ series }) => {
      const times = [
        ...new Set(series.flatMap(({ points }) => points.map(({ window }) => window.start))),
      ].sort((a, b) => a - b);
      // Of a host with several disks the fullest.
      const columns = names.map((host) => {
        const at = new Map();
        for (const { points } of series.filter((each) => each.host === host))
          for (const { window, mean } of points)
            at.set(window.start, Math.max(mean, at.get(window.start) ?? Number.NEGATIVE_INFINITY));
        return times.map((time) => at.get(time) ?? null);
      });
      chart.setData([times, ...columns], range());
      replace(
        note,
        times.length > 0 ? null : empty('Nothing stored in this range', 'Choose a longer one.'),
      );
    },
  });
  signal.addEventListener('abort', () => chart.destroy());
}

const spanQuery = (range) => ({ from: range.from, to: range.to, step: stepFor(range) });

function showAnomalies(main, { signal, range }) {
  const list = table('Anomalies', [
    { name: 'when' },
    { name: 'host' },
    { name: 'series' },
    { name: 'value', number: true },
    { name: 'score', number: true },
  ]);
  const note = h('div');
  replace(
    main,
    h(
      'div',
      { class: 'panels spaced above' },
      panel(
        'Unusual',
        { wide: true, hint: 'five-minute means unlike what came before' },
        list.root,
        note,
      ),
    ),
  );
  refresh({
    signal,
    everyMs: 10_000,
    place: note,
    load: () =>
      get('/v1/fleet/anomalies', { from: range().from, to: range().to, limit: 20 }, signal),
    draw: ({ anomalies }) => {
      reconcile(list.body, anomalies, {
        key: ({ window, host, metricType, field: name, tags }) =>
          JSON.stringify([window.start, host, metricType, name, tags]),
        make: ({ window, host, metricType, field: name, tags, value, score }) =>
          h(
            'tr',
            {},
            cell(f.time(window.start)),
            cell(h('a', { href: addressOf('fleet', { host }) }, host)),
            cell([metricType, name, ...Object.values(tags)].join(' ')),
            cell(formatOf(name)(value), { number: true }),
            cell(f.number(score, 2), { number: true }),
          ),
      });
      replace(
        note,
        anomalies.length > 0 ? null : h('p', { class: 'hint' }, 'Nothing in this range.'),
      );
    },
  });
}
