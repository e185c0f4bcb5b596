/** A host's reading as it stands in the topic `system.metrics` (contract, Topics; mission S1): checked, field by field. */
import {
  type MetricType,
  metricTypes,
  PoisonError,
  type SystemMetric,
  tagsText,
} from '../../src/model/index.ts';
import { type Codec, rowDecoder } from '../../src/stream/index.ts';

const NAME_BYTES_MAX = 256;
const TAGS_MAX = 16;
const FIELDS_MAX = 256;

/** A reading, and the texts that tell it apart from others. */
export interface MetricRow extends SystemMetric {
  /** As `tagsText` writes them. */
  readonly tagsText: string;
  /** Host, metric type and tags: with the timestamp, a reading's identity. */
  readonly reading: string;
}

/** `fields` is an open map of name → number. Unknown members of a record are ignored. */
export const systemMetricCodec: Codec<MetricRow> = {
  name: 'system-metric',
  createDecoder: () =>
    rowDecoder((text) => {
      const row = metricOf(JSON.parse(text));
      return { row, timestamp: row.timestamp };
    }),
  encode: ({ tagsText: _, reading: __, ...metric }) => Buffer.from(JSON.stringify(metric)),
};

/** Throws FIELD_INVALID with what was expected where. */
export function metricOf(value: unknown): MetricRow {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(
      `expected a JSON object with host, metricType, timestamp and fields, got ${brief(value)}`,
    );
  }
  const { host, region, environment, service, metricType, timestamp, tags, fields } =
    value as Partial<Record<keyof SystemMetric, unknown>>;
  const isType = metricTypes.includes(metricType as MetricType);
  if (!isType) throw wrong('metricType', `one of ${metricTypes.join(', ')}`, metricType);
  if (!Number.isSafeInteger(timestamp) || (timestamp as number) < 0) {
    throw wrong('timestamp', 'milliseconds since the epoch, a whole number', timestamp);
  }
  const checkedTags = tags === undefined || tags === null ? undefined : tagsOf(tags);
  const canonical = tagsText(checkedTags);
  const name = nameOf('host', host);
  return {
    host: name,
    region: nameOf('region', region),
    environment: nameOf('environment', environment),
    ...(service === undefined || service === null ? {} : { service: nameOf('service', service) }),
    metricType: metricType as MetricType,
    timestamp: timestamp as number,
    ...(checkedTags === undefined ? {} : { tags: checkedTags }),
    fields: fieldsOf(fields),
    tagsText: canonical,
    reading: `${name}\u001e${metricType as string}\u001e${canonical}`,
  };
}

function tagsOf(tags: unknown): Readonly<Record<string, string>> {
  if (!isObject(tags)) throw wrong('tags', 'an object of name → text', tags);
  const names = Object.keys(tags);
  if (names.length > TAGS_MAX)
    throw invalid(`tags: ${names.length} are too many, at most ${TAGS_MAX}`);
  for (const name of names) {
    nameOf('a tag’s name', name);
    nameOf(`tags.${name}`, tags[name]);
  }
  return tags as Record<string, string>;
}

function fieldsOf(fields: unknown): Readonly<Record<string, number>> {
  if (!isObject(fields)) throw wrong('fields', 'an object of name → number', fields);
  const names = Object.keys(fields);
  if (names.length === 0) throw invalid('fields: expected at least one number by name, got none');
  if (names.length > FIELDS_MAX) {
    throw invalid(`fields: ${names.length} are too many, at most ${FIELDS_MAX}`);
  }
  for (const name of names) {
    nameOf('a field’s name', name);
    if (typeof fields[name] !== 'number' || !Number.isFinite(fields[name])) {
      throw wrong(`fields.${name}`, 'a finite number', fields[name]);
    }
  }
  return fields as Record<string, number>;
}

/** Text that can be a key, a tag and a part of a metric's name. Separators of joined keys stay out of it. */
function nameOf(field: string, value: unknown): string {
  const isName =
    typeof value === 'string' &&
    value !== '' &&
    value.length <= NAME_BYTES_MAX &&
    Buffer.byteLength(value) <= NAME_BYTES_MAX &&
    !CONTROL.test(value) &&
    value.isWellFormed();
  if (isName) return value;
  throw wrong(field, `text of 1 to ${NAME_BYTES_MAX} bytes without control characters`, value);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f]/;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const wrong = (field: string, expected: string, value: unknown): PoisonError =>
  invalid(`${field}: expected ${expected}, got ${brief(value)}`);

const invalid = (message: string): PoisonError =>
  new PoisonError(message, { code: 'FIELD_INVALID' });

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}
