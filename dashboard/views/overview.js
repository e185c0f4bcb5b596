/** Overview: is it running, how fast, how far behind, and does everything get where it should. */
import { sparkline, timeChart } from '../chart.js';
import { h, reconcile, replace, setText } from '../dom.js';
import * as f from '../format.js';
import { live, liveSpan, onLive } from '../live.js';
import { badge, cell, empty, panel, setBadge, table, tile } from '../parts.js';
import { addressOf } from '../place.js';

export const title = 'Overview';
export const lead = 'What flows in this engine, now.';

const isInternal = (name) => name.startsWith('tidemark.');
const DAY_MS = 86_400_000;
/** Times just after 1970 are of what has not been told any, the end of time is of a recording that is through. */
const isReal = (watermark) => watermark > DAY_MS && watermark < Date.now() + 3_600_000;
const isOver = (watermark) => watermark !== null && watermark > DAY_MS && !isReal(watermark);
/** A topic of dead letters shows once there are some. */
const isShown = ({ name, records }) =>
  !isInternal(name) && (records > 0 || !name.endsWith('.dead-letter'));

export function show(main, { signal, annotations }) {
  const spark = sparkline('Records per second over the last minutes');
  const tiles = {
    rate: tile('Records in', { spark, id: 'rate' }),
    lag: tile('Lag', { href: addressOf('topology'), id: 'lag' }),
    watermark: tile('Watermark', { id: 'watermark' }),
    latency: tile('Vote latency', { href: addressOf('votes'), id: 'latency' }),
    backlog: tile('Backlog of sinks', { id: 'backlog' }),
  };
  const chart = timeChart({
    label: 'Records per second of each topology',
    series: [],
    format: f.rate,
    height: 230,
    annotations: annotations.list,
    onPick: annotations.addAt,
  });
  const topologies = table('Topologies', [
    { name: 'topology' },
    { name: 'state' },
    { name: 'records/s', number: true },
    { name: 'lag', number: true },
    { name: 'watermark', number: true },
    { name: 'restarts', number: true },
  ]);
  const sinks = table('Sinks', [
    { name: 'sink' },
    { name: 'state' },
    { name: 'waiting', number: true },
    { name: 'oldest', number: true },
    { name: 'dropped', number: true },
    { name: 'rejected', number: true },
  ]);
  const topics = table('Topics', [
    { name: 'topic' },
    { name: 'records/s', number: true },
    { name: 'kept', number: true },
  ]);
  const sinksNote = h('div');

  replace(
    main,
    h(
      'div',
      { class: 'tiles' },
      Object.values(tiles).map(({ root }) => root),
    ),
    h(
      'div',
      { class: 'panels' },
      panel(
        'Records per second',
        { wide: true, hint: 'the last five minutes', extra: annotations.button() },
        chart.root,
      ),
      panel('Topologies', {}, topologies.root),
      panel('Sinks', { hint: 'the backlog is the topic itself' }, sinks.root, sinksNote),
      panel(
        'Topics',
        { wide: true, hint: 'those of dead letters once they hold any' },
        topics.root,
      ),
    ),
  );

  const draw = () => {
    const { latest, samples } = live;
    if (latest === undefined) return;
    const engines = latest.topologies.filter(({ name }) => !isFeed(name, latest));
    drawTiles(latest, engines, samples);
    drawChart(latest, samples);
    drawTopologies(latest);
    drawSinks(latest);
    reconcile(topics.body, latest.topics.filter(isShown), {
      key: ({ name }) => name,
      make: ({ name }) =>
        h(
          'tr',
          { 'data-topic': name },
          cell(name),
          cell('', { number: true }),
          cell('', { number: true }),
        ),
      update: (row, { rate, records }) => {
        setText(row.children[1], f.rate(rate));
        setText(row.children[2], f.count(records));
      },
    });
  };

  const isFeed = (name, { sinks: known }) => known.some(({ sink }) => sink === name);

  function drawTiles(latest, engines, samples) {
    const rate = engines.reduce((sum, each) => sum + each.rate, 0);
    const lag = latest.topologies.reduce((sum, each) => sum + each.lag, 0);
    const troubled = latest.topologies.reduce((sum, each) => sum + each.troubled, 0);
    const tasks = latest.topologies.reduce((sum, each) => sum + each.tasks, 0);
    tiles.rate.set({
      value: f.rate(rate),
      unit: '/s',
      note:
        troubled > 0
          ? `${troubled} of ${tasks} tasks not running`
          : f.plural(tasks, 'task running', 'tasks running'),
      tone: troubled > 0 ? 'bad' : '',
    });
    spark.setData(
      samples
        .slice(-120)
        .map((sample) =>
          sample.topologies.reduce(
            (sum, each) => sum + (isFeed(each.name, latest) ? 0 : each.rate),
            0,
          ),
        ),
    );
    tiles.lag.set({
      value: f.count(lag),
      unit: lag === 1 ? 'record' : 'records',
      note:
        lag === 0
          ? 'all is read'
          : rate > 0
            ? `about ${f.span((1000 * lag) / rate)} of work`
            : 'waiting to be read',
      tone: lag > 100_000 ? 'warn' : '',
    });
    // The votes' own, where there are votes: alerts and feeds behind them lag by their windows.
    const votes = engines.find(({ name }) => name === 'vote-latency')?.watermark;
    const watermark = isReal(votes)
      ? votes
      : engines
          .map((each) => each.watermark)
          .filter(isReal)
          .sort((a, b) => a - b)[0];
    tiles.watermark.set(
      watermark === undefined
        ? {
            value: '–',
            note: engines.some((each) => isOver(each.watermark))
              ? 'the recording is through'
              : 'no record yet',
          }
        : { value: f.time(watermark).split(', ').at(-1), note: behind(watermark, latest.at) },
    );
    const network = busiest(latest);
    const window = network?.open ?? network?.closed;
    tiles.latency.set(
      window
        ? {
            value: f.slots(window.p50),
            unit: `/ ${f.slots(window.p99)} slots`,
            note: `p50 / p99, ${network.id}`,
          }
        : { value: '–', note: 'no votes yet' },
    );
    const waiting = latest.sinks.reduce((sum, each) => sum + each.points, 0);
    const size = latest.sinks.reduce((sum, each) => sum + each.bytes, 0);
    const open = latest.sinks.filter(({ breaker }) => breaker !== 'closed').length;
    tiles.backlog.set({
      value: f.count(waiting),
      unit: 'records',
      note:
        open > 0
          ? `${open} of ${f.plural(latest.sinks.length, 'sink')} not reachable`
          : `${f.bytes(size)}, ${f.plural(latest.sinks.length, 'sink')} well`,
      tone: open > 0 ? 'bad' : '',
    });
  }

  const behind = (watermark, now) =>
    now - watermark > DAY_MS
      ? `event time, ${f.day(watermark)}`
      : `${f.span(Math.max(0, now - watermark))} behind the clock`;

  function drawChart(latest, samples) {
    const names = latest.topologies.map(({ name }) => name).sort();
    chart.setSeries(names.map((label) => ({ label })));
    const rates = names.map((name) =>
      samples.map((sample) => sample.topologies.find((each) => each.name === name)?.rate ?? null),
    );
    chart.setData([samples.map(({ at }) => at), ...rates], liveSpan());
  }

  function drawTopologies(latest) {
    reconcile(topologies.body, latest.topologies, {
      key: ({ name }) => name,
      make: ({ name }) =>
        h(
          'tr',
          { 'data-topology': name },
          cell(h('a', { href: addressOf('topology', { name }) }, name)),
          cell(badge('', '')),
          ...[0, 1, 2, 3].map(() => cell('', { number: true })),
        ),
      update: (row, { rate, lag, watermark, tasks, troubled, restarts, error }) => {
        const state =
          tasks === 0
            ? ['elsewhere', '']
            : troubled === 0
              ? ['running', 'good']
              : [`${troubled} of ${tasks} down`, 'bad'];
        setBadge(row.children[1].firstChild, ...state);
        row.children[1].title = error ?? '';
        setText(row.children[2], f.rate(rate));
        setText(row.children[3], f.count(lag));
        setText(
          row.children[4],
          isReal(watermark) ? f.time(watermark) : isOver(watermark) ? 'the end' : '–',
        );
        setText(row.children[5], f.count(restarts));
      },
    });
  }

  function drawSinks(latest) {
    reconcile(sinks.body, latest.sinks, {
      key: ({ sink }) => sink,
      make: ({ sink }) =>
        h(
          'tr',
          { 'data-sink': sink },
          cell(sink),
          cell(badge('', '')),
          ...[0, 1, 2, 3].map(() => cell('', { number: true })),
        ),
      update: (row, { points, oldestAgeMs, dropped, rejected, breaker, lastError }) => {
        const state =
          breaker === 'closed'
            ? ['well', 'good']
            : breaker === 'open'
              ? ['not reachable', 'bad']
              : ['trying again', 'warn'];
        setBadge(row.children[1].firstChild, ...state);
        row.children[1].title = lastError ?? '';
        setText(row.children[2], f.count(points));
        setText(row.children[3], oldestAgeMs === null ? '–' : f.span(oldestAgeMs));
        setText(row.children[4], f.count(dropped));
        setText(row.children[5], f.count(rejected));
      },
    });
    replace(
      sinksNote,
      latest.sinks.length === 0
        ? empty(
            'No sinks here',
            'Name INFLUX_URL or CASSANDRA_HOSTS, and run with the role ',
            h('code', {}, 'sinks'),
            '.',
          )
        : null,
      latest.sinks
        .filter(({ lastError }) => lastError !== null)
        .map(({ sink, lastError }) => h('p', { class: 'hint' }, `${sink}: ${lastError}`)),
    );
  }

  const stop = onLive(draw);
  annotations.onChange(() => chart.redraw(), signal);
  signal.addEventListener('abort', () => {
    stop();
    chart.destroy();
  });
  draw();
}

export function busiest({ networks }) {
  const votes = ({ open, closed }) => (open ?? closed)?.count ?? 0;
  return [...networks].sort((a, b) => votes(b) - votes(a))[0];
}
