/**
 * What the golden files ask: points, and requests by topic. `record.ts` sends them to a real KairosDB and writes the
 * answers down; the test sends the same to ours. Metrics are named `M.…`; the recorder replaces `M` by a fresh name.
 */

export interface Ask {
  readonly path: string;
  /** A text is sent as it is. */
  readonly body: unknown;
}

export const START_MS = Date.UTC(2024, 2, 30, 4);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** 400 points, an hour and a half apart and a bit: over the changes of the clock of spring 2024. */
function series(factor: number, offsetMs: number): [number, number][] {
  let state = 12_345;
  const next = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
  return Array.from({ length: 400 }, (_, i) => {
    const at = START_MS + i * 1.5 * HOUR_MS + Math.floor(next() * 1_000) + offsetMs;
    const value = i % 3 === 0 ? Math.floor(next() * 100) - 50 : Math.round(next() * 1_000) / 8;
    return [at, value * factor];
  });
}

export const points: readonly unknown[] = [
  { name: 'M.n', tags: { host: 'a', dc: 'x' }, datapoints: series(1, 0) },
  { name: 'M.n', tags: { host: 'b', dc: 'x' }, datapoints: series(2, 7) },
  { name: 'M.n', tags: { host: 'c/"é' }, datapoints: series(0.1, 13).slice(0, 90) },
  {
    name: 'M.n',
    tags: { host: 'c/"é' },
    datapoints: series(1, 21)
      .slice(0, 40)
      .map(([at, value]) => [at, `t${value}</x>\u2028`]),
  },
];

const query = (metric: object, more: object = {}): Ask => ({
  path: '/api/v1/datapoints/query',
  body: {
    start_absolute: START_MS - DAY_MS - 12_345,
    end_absolute: START_MS + 25 * DAY_MS,
    time_zone: 'UTC',
    ...more,
    metrics: [{ name: 'M.n', ...metric }],
  },
});
const raw = (body: string): Ask => ({ path: '/api/v1/datapoints/query', body });
const days = (value: number) => ({ value, unit: 'days' });
const byHost = [{ name: 'tag', tags: ['host'] }];

const ranges = [
  'avg',
  'count',
  'dev',
  'first',
  'gaps',
  'last',
  'least_squares',
  'max',
  'min',
  'sum',
].map((name) => ({ name }));

const aggregators: readonly Ask[] = [
  ...ranges.flatMap((aggregator) => [
    query({ aggregators: [{ ...aggregator, sampling: days(1) }] }),
    query({
      group_by: byHost,
      aggregators: [
        { ...aggregator, sampling: { value: 5, unit: 'hours' }, align_start_time: true },
      ],
    }),
    query({
      tags: { host: 'a' },
      aggregators: [
        { ...aggregator, sampling: days(3), align_sampling: false, align_end_time: true },
      ],
    }),
    query({ order: 'desc', aggregators: [{ ...aggregator, sampling: days(2) }] }),
  ]),
  ...[0.1, 0.5, 0.75, 0.99, 1, 1.5, 0].map((percentile) =>
    query({ aggregators: [{ name: 'percentile', percentile, sampling: days(2) }] }),
  ),
  ...[
    { name: 'dev', return_type: 'pos_sd', dev_count: 2, sampling: days(4) },
    { name: 'dev', return_type: 'neg_sd', sampling: days(4) },
    { name: 'diff' },
    { name: 'div', divisor: 3 },
    { name: 'scale', factor: 0.1 },
    { name: 'scale' },
    { name: 'rate', unit: 'hours' },
    { name: 'rate', sampling: { value: 3, unit: 'months' } },
    { name: 'rate', unit: 'hours', sampling: { value: 3, unit: 'minutes' } },
    { name: 'sampler', unit: 'minutes' },
    { name: 'sma', size: 7 },
    { name: 'sma', size: 5_000 },
    { name: 'filter', filter_op: 'LTE', threshold: '5' },
    { name: 'filter', filter_op: 'gt', threshold: 20 },
    { name: 'filter', filter_op: 'equal', threshold: 12.5 },
    { name: 'filter', filter_op: 'lt', threshold: 't20' },
    { name: 'trim', trim: 'first' },
    { name: 'trim', trim: 'last' },
    { name: 'trim', trim: 'BOTH' },
    { name: 'trim' },
    { name: 'score', thresholds: [{ value: 10 }, { value: -5, boundary: 'inferior' }] },
    { name: 'score', thresholds: [{ value: 10 }, { value: 20 }], order: 'descending' },
    { name: 'save_as', metric_name: 'M.saved' },
    { name: 'gaps', sampling: days(1), trim: true },
  ].map((aggregator) => query({ limit: 60, group_by: byHost, aggregators: [aggregator] })),
  ...[
    [
      { name: 'gaps', sampling: days(1) },
      { name: 'sum', sampling: days(1) },
    ],
    [
      { name: 'gaps', sampling: days(1) },
      { name: 'avg', sampling: days(9) },
    ],
    [
      { name: 'gaps', sampling: days(1) },
      { name: 'count', sampling: days(9) },
    ],
    [
      { name: 'gaps', sampling: days(1) },
      { name: 'trim', trim: 'both' },
    ],
    [{ name: 'count', sampling: days(1) }, { name: 'diff' }, { name: 'scale', factor: 0.1 }],
    [
      { name: 'first', sampling: days(1) },
      { name: 'sma', size: 2 },
      { name: 'max', sampling: { value: 1, unit: 'weeks' } },
    ],
  ].map((chain) => query({ group_by: byHost, aggregators: chain })),
];

const calendar: readonly Ask[] = [
  'America/New_York',
  'Europe/London',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'America/Havana',
  '+05:30',
].flatMap((zone) => [
  ...['hours', 'days', 'weeks', 'months', 'years'].flatMap((unit) =>
    [true, false].map((align) =>
      query(
        {
          tags: { host: 'a' },
          aggregators: [
            {
              name: 'sum',
              sampling: { value: unit === 'hours' ? 5 : 1, unit },
              align_sampling: align,
              align_start_time: true,
            },
          ],
        },
        { time_zone: zone },
      ),
    ),
  ),
  query(
    { tags: { host: 'a' }, limit: 40, aggregators: [{ name: 'rate', unit: 'months' }] },
    { time_zone: zone },
  ),
]);

const groupBy: readonly Ask[] = [
  { name: 'tag', tags: ['host', 'nosuch', 'dc'] },
  { name: 'tag', tags: ['host', 'host'] },
  { name: 'value', range_size: '7' },
  { name: 'bin', bins: [5, 1, 20.5] },
  { name: 'bin', bins: ['-10', '0', '12'] },
  { name: 'time', group_count: 7, range_size: days(1) },
  { name: 'time', group_count: 3, range_size: { value: 1, unit: 'months' } },
  { name: 'time', group_count: '2', range_size: { value: 1, unit: 'YEARS' } },
  { name: 'time', group_count: 3, range_size: { value: 0, unit: 'days' } },
].flatMap((group) => [
  query({ exclude_tags: true, limit: 30, group_by: [group] }),
  query({
    exclude_tags: true,
    group_by: [group, { name: 'tag', tags: ['dc'] }],
    aggregators: [{ name: 'count', sampling: { value: 1, unit: 'weeks' } }],
  }),
]);

const selection: readonly Ask[] = [
  {},
  { limit: 2 },
  { limit: '3', order: 'DESC' },
  { tags: { host: 'a' } },
  { tags: { host: ['a', 'c/"é'] } },
  { tags: { host: [] } },
  { tags: { host: ['a', 'regex:b'] } },
  { tags: { host: 'regex:[AB]' } },
  { tags: { host: 'regex:(?i)[AB]' } },
  { tags: { host: '*' } },
  { name: 'M.nosuch', aggregators: [{ name: 'sum', sampling: days(1) }] },
  { name: 'M.nosuch', aggregators: [{ name: 'gaps', sampling: days(5) }] },
  { name: 'M.nosuch', group_by: [{ name: 'value', range_size: 5 }] },
].map((metric) => query({ limit: 5, ...metric }));

const refusals: readonly Ask[] = [
  ...[
    { name: 'nope' },
    { name: '' },
    {},
    { name: 'sum', sampling: { value: -1 } },
    { name: 'sum', sampling: { value: 1, unit: 'eons' } },
    { name: 'sum', sampling: { value: '2.9', unit: 'days' } },
    { name: 'sum', sampling: 5 },
    { name: 'sum', sampling: null },
    { name: 'sum', wrong: 1 },
    { name: 'sum', align_sampling: 5 },
    { name: 'sma', size: 'x' },
    { name: 'scale', factor: 'x' },
    { name: 'div', divisor: 0 },
    { name: 'score' },
    { name: 'trim', trim: 'x' },
    { name: 'filter', filter_op: 'x' },
    { name: 'dev', return_type: 'POS_SD' },
  ].map((aggregator) => query({ aggregators: [aggregator] })),
  ...[
    { name: 'type' },
    { name: 'tag' },
    { name: 'tag', tags: [] },
    { name: 'tag', tags: 'a' },
    { name: 'value' },
    { name: 'time', group_count: 2, range_size: { value: 5 } },
    { name: 'time', group_count: 0, range_size: days(1) },
  ].map((group) => query({ group_by: [group] })),
  ...[
    { start_absolute: null },
    { start_absolute: 'x' },
    { start_absolute: true },
    { end_absolute: 1 },
    { cache_time: -1 },
    { start_relative: { value: 1, unit: 'moons' } },
    { start_relative: { value: -1, unit: 'days' } },
    { time_zone: 'Mars/Base' },
    { time_zone: 'GMT+2' },
    { plugins: [{}] },
    { plugins: [{ name: 'x' }] },
  ].map((more) => query({}, more)),
  ...[
    { name: '' },
    { name: null },
    { limit: 'x' },
    { order: 'around' },
    { tags: [] },
    { tags: { '': 'a' } },
    { tags: { host: '' } },
    { tags: { host: [null] } },
    { plugins: [{ name: 'p' }] },
  ].map((metric) => query(metric)),
  ...[
    '',
    'null',
    '[]',
    '{',
    '{}',
    '{"start_absolute":1,"metrics":[null]}',
    '{"start_absolute":1,"metrics":[]} x',
    "{'start_absolute'=1;metrics=>[]} ",
    '{"start_absolute":1,"metrics":[{"name":"x" "y"}]}',
    '{"start_absolute":1,\n "metrics":["\\uzzzz"]}',
    '# a comment\n{"start_absolute":01,"metrics":[]}',
    '{"a":/* x',
    '{"a":"x',
  ].map(raw),
];

const store = (body: unknown): Ask => ({ path: '/api/v1/datapoints', body });
const tags = { a: 'b' };
const dataPoints: readonly Ask[] = [
  ...[
    { timestamp: 1, value: 1, tags },
    { name: '', timestamp: 1, value: 1 },
    { name: 'M.d', timestamp: 1, tags },
    { name: 'M.d', timestamp: 1, value: null, tags },
    { name: 'M.d', timestamp: 1, value: [], tags },
    { name: 'M.d', timestamp: 1, value: {}, tags },
    { name: 'M.d', value: 1, tags },
    { name: 'M.d', timestamp: 1, value: 1, tags: { '': '', a: null } },
    {
      name: 'M.d',
      datapoints: [[], [1], [null, 1], [2, null], [3, ''], [4, []], [5, 5], [6]],
      tags,
    },
    {
      name: 'M.d',
      datapoints: [
        [7, 1, 'foo'],
        [8, 'x', 'string'],
        [9, 2.5, 'long'],
      ],
      tags,
    },
    { name: 'M.d', timestamp: 20, value: '1.5', type: 'long', tags },
    { name: 'M.d', timestamp: 10, time: '11.0', value: '+5', tags },
    {
      name: 'M.d',
      datapoints: [
        [41, '٣'],
        [42, '-.5'],
        [43, '.'],
        [44, '5.'],
        [45, ' 7'],
        [46, '1e5'],
        [47, false],
      ],
      tags,
    },
    [{ name: 'M.d', timestamp: 50, value: 1, tags }, { name: 'M.d' }, { name: '' }],
  ].map(store),
  ...[
    '',
    '[',
    '5',
    '"abc"',
    '{"name":}',
    '{"name":"x"',
    '[{"name":"M.d",\n"timestamp":60,"value":1e5,"tags":{"a":"b"}},]',
    '[{"name":"M.d","timestamp":61,"value":9223372036854775808,"tags":{"a":"b"}},',
    '{name:"M.d",timestamp:62,value:1.5E5,tags:{a:b}} /* c',
    '{"name":"M.d","timestamp":63,"value":1e-7,"tags":{"a":"b"}}',
    '{"name":"M.d","timestamp":64,"value":-0.0,"tags":{"a":"b","a":"c"}}',
    '{"name":"M.d","timestamp":65,"value":9007199254740993,"tags":{"a":"b"}}',
  ].map(store),
  { path: '/api/v1/datapoints/query', body: { start_absolute: 0, metrics: [{ name: 'M.d' }] } },
  {
    path: '/api/v1/datapoints/query/tags',
    body: { start_absolute: 0, metrics: [{ name: 'M.n' }] },
  },
];

/** By the file that keeps the answers. */
/** What only hand-written questions found: values that no client means, answered as the original answers them. */
const oddities: readonly Ask[] = [
  ...[[null], [1, null], ['NaN'], ['-Infinity']].map((bins) =>
    query({ group_by: [{ name: 'bin', bins }] }),
  ),
  ...[
    { name: 'dev', sampling: days(1), return_type: true },
    { name: 'score', thresholds: [{ value: 3 }], order: false },
    { name: 'score', thresholds: [{ value: 3, boundary: true }] },
    { name: 'sum', sampling: { value: 4_294_967_296, unit: 'months' } },
    { name: 'sum', sampling: { value: 300_000_000, unit: 'years' }, align_start_time: true },
    { name: 'sum', sampling: { value: 2 ** 53, unit: 'minutes' } },
    { name: 'save_as', metric_name: 'M.saved', tags: [] },
    { name: 'save_as', metric_name: 'M.saved', tags: [['a', 'b']] },
    { name: 'save_as', metric_name: 'M.saved', tags: [['a']] },
    { name: 'save_as', metric_name: 'M.saved', tags: { a: [] } },
  ].map((aggregator) => query({ tags: { host: 'a' }, limit: 3, aggregators: [aggregator] })),
  ...[
    '{"name":"M.o","timestamp":"१२","value":4.9e-324,"tags":{"a":"b"}}',
    '{"name":"M.o","timestamp":1.7976931348623157e308,"value":1,"tags":{"a":"b"}}',
    '{"name":"M.o","timestamp":1e30,"value":1,"tags":{"a":"b"}}',
    '{"name":"M.o","timestamp":14,"value":1e-323,"ttl":4294967297,"tags":{"a":"b"}}',
    '[{"name":"M.o","timestamp":17,"value":1,"tags":[]},{"name":"M.o","timestamp":18,"value":1,"tags":[["a","b"],["c",5]]}]',
    '{"name":"M.o","timestamp":19,"value":1,"tags":[["a","b"],["a","c"]]}',
    '{"name":"M.o","datapoints":[[16,2e-323],,[17,1]],"tags":{"a":"b"}}',
  ].map(store),
  { path: '/api/v1/datapoints/query', body: { start_absolute: 0, metrics: [{ name: 'M.o' }] } },
];

export const topics: Readonly<Record<string, readonly Ask[]>> = {
  aggregators,
  calendar,
  'group-by': groupBy,
  selection,
  refusals,
  'data-points': dataPoints,
  oddities,
};
