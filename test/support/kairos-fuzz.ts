/**
 * Bodies that are nearly right, for the KairosDB interface: grown from right ones by a seed, so that one that does harm
 * can be sent again. Structure-aware: a right body is taken apart and any part of it replaced, dropped, doubled or
 * made huge; now and then the text itself is cut or spoilt.
 */
export interface FuzzedRequest {
  readonly method: 'POST' | 'PUT' | 'GET' | 'DELETE';
  readonly path: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Numbers from 0 to 1, the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const START = 1_700_000_000_000;
const sampling = { value: 1, unit: 'minutes' };
const aggregators: Json[] = [
  ...['avg', 'count', 'first', 'last', 'least_squares', 'max', 'min', 'sum', 'gaps'].map(
    (name) => ({
      name,
      sampling,
      align_start_time: true,
    }),
  ),
  { name: 'dev', sampling, return_type: 'pos_sd', dev_count: 2 },
  { name: 'percentile', percentile: 0.9, sampling: { value: 2, unit: 'months' } },
  { name: 'diff' },
  { name: 'div', divisor: 3 },
  { name: 'filter', filter_op: 'lt', threshold: 4 },
  { name: 'rate', sampling },
  { name: 'sampler', unit: 'hours' },
  { name: 'save_as', metric_name: 'fuzz.saved', tags: { a: 'b' }, ttl: 60 },
  { name: 'scale', factor: 1.5 },
  { name: 'score', thresholds: [{ value: 3, boundary: 'superior' }], order: 'ascending' },
  { name: 'sma', size: 3 },
  { name: 'trim', trim: 'both' },
];
const groupBys: Json[] = [
  { name: 'tag', tags: ['host', 'dc'] },
  { name: 'value', range_size: 10 },
  { name: 'time', range_size: { value: 1, unit: 'hours' }, group_count: 3 },
  { name: 'bin', bins: [1, 5.5, 9] },
];
const odd: Json[] = [
  ...[null, true, false, 0, -1, 1, 2.5, -0, 1e-7, 1e308, 2 ** 31, 2 ** 53, -(2 ** 63), 1.7e308],
  ...['', ' ', '0', '-1', '1.5', '1e5', 'NaN', 'Infinity', 'regex:(', 'regex:.*', 'x'.repeat(300)],
  ...['\u0000', '\ud800', '😀', '٣', 'UTC', 'Europe/Berlin', 'minutes', 'MONTHS', '__proto__'],
  ...[[], {}, [[]], [null], [1, 2, 3], { name: 'sum' }, { value: 1, unit: 'years' }],
];

export function fuzzedRequest(seed: number): FuzzedRequest {
  const random = randomFrom(seed);
  const whole = (below: number) => Math.floor(random() * below);
  const pick = <T>(from: readonly T[]): T => from[whole(from.length)] as T;
  const chance = (share: number) => random() < share;
  const some = (from: readonly Json[]) => Array.from({ length: whole(3) }, () => pick(from));

  const metric = (): Json => ({
    name: pick(['fuzz.m', 'fuzz.words', 'fuzz.none', 'fuzz.saved']),
    tags: pick<Json>([{}, { host: 'a' }, { host: ['a', 'regex:b.*'], dc: 'x' }]),
    aggregators: some(aggregators),
    group_by: some(groupBys),
    ...(chance(0.2) ? { limit: whole(20) } : {}),
    ...(chance(0.2) ? { order: pick(['asc', 'desc']) } : {}),
    ...(chance(0.1) ? { exclude_tags: true } : {}),
  });
  const query = (): Json => ({
    start_absolute: START - 60_000,
    end_absolute: START + pick([1, 60_000, 7_200_000]),
    time_zone: pick(['UTC', 'America/New_York']),
    cache_time: whole(2),
    metrics: Array.from({ length: 1 + whole(2) }, metric),
  });
  const point = (): Json => ({
    name: 'fuzz.put',
    tags: { host: pick(['a', 'b']), dc: 'x' },
    type: pick(['long', 'double', 'string']),
    ttl: pick([0, 60, 3_600]),
    ...(chance(0.5)
      ? { timestamp: START, value: pick<Json>([1, 1.5, '7', 'text']) }
      : {
          datapoints: [
            [START, 1],
            [START + 1, 2.5],
            [START + 2, 'x', 'string'],
          ],
        }),
  });
  const rollup = (): Json => ({
    name: 'fuzz task',
    execution_interval: { value: 30, unit: 'days' },
    rollups: [{ save_as: 'fuzz.rolled', query: query() }],
  });

  /** Every place of a value: where it stands, and how to put something else there. */
  const places = (root: Json): ((change: (old: Json) => Json | undefined) => void)[] => {
    const found: ((change: (old: Json) => Json | undefined) => void)[] = [];
    const visit = (value: Json): void => {
      if (value === null || typeof value !== 'object') return;
      const object = value as Record<string, Json>;
      for (const key of Object.keys(object)) {
        found.push((change) => {
          const next = change(object[key] as Json);
          if (next !== undefined) object[key] = next;
          else if (Array.isArray(value)) value.splice(Number(key), 1);
          else delete object[key];
        });
        visit(object[key] as Json);
      }
    };
    visit(root);
    return found;
  };
  const spoil = (root: Json): Json => {
    const copy = structuredClone(root);
    for (let n = 1 + whole(3); n > 0; n--) {
      const at = places(copy);
      if (at.length === 0) return pick(odd);
      pick(at)((old) => {
        switch (whole(6)) {
          case 0:
            return undefined;
          case 1:
            return [old, structuredClone(old)];
          case 2:
            return typeof old === 'string' ? old.toUpperCase() : String(old);
          case 3:
            return { [pick(['foo', 'name', 'value', 'tags'])]: old };
          default:
            return structuredClone(pick(odd));
        }
      });
    }
    return copy;
  };
  const spoilText = (text: string): string => {
    const at = whole(text.length + 1);
    switch (whole(5)) {
      case 0:
        return text.slice(0, at);
      case 1:
        return (
          text.slice(0, at) +
          pick(['{', '}', '[', ']', ',', ':', '"', "'", '\\', '\u0000', '//']) +
          text.slice(at)
        );
      case 2:
        return text.slice(0, at) + text.slice(at + 1 + whole(4));
      case 3:
        return text + text;
      default:
        return '['.repeat(whole(3_000)) + text;
    }
  };

  const kinds: readonly (readonly [FuzzedRequest['method'], string, () => Json])[] = [
    ['POST', '/datapoints/query', query],
    ['POST', '/datapoints/query', query],
    ['POST', '/datapoints/query/tags', query],
    ['POST', '/datapoints', () => (chance(0.5) ? point() : [point(), point()])],
    ['POST', '/datapoints', point],
    [
      'POST',
      '/datapoints/delete',
      () => ({ start_absolute: 0, end_absolute: 9, metrics: [metric()] }),
    ],
    ['POST', '/rollups', rollup],
    ['POST', '/metadata/fuzz/key/name', () => pick(odd)],
    ['GET', '/datapoints/query', query],
    ['DELETE', '/metric/fuzz.none', () => null],
  ];
  const [method, path, right] = pick(kinds);
  const made = right();
  const json = JSON.stringify(chance(0.9) ? spoil(made) : made) ?? 'null';
  const text = chance(0.1) ? spoilText(json) : json;
  const headers: Record<string, string> = {};
  if (chance(0.8))
    headers['content-type'] = pick(['application/json', 'text/plain', 'application/gzip']);
  if (chance(0.03)) headers['content-encoding'] = 'gzip';
  if (method === 'GET') {
    const asked = encodeURIComponent(text.toWellFormed().slice(0, 4_000));
    return { method, path: `${path}?query=${asked}`, body: '', headers };
  }
  return { method, path, body: method === 'DELETE' ? '' : text, headers };
}
