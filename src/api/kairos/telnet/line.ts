/**
 * Lines of KairosDB 1.3's telnet interface: put, putm and puts into a draft, version answered. Nothing is ever answered
 * to a put; what is wrong with one is for the log (spec §9).
 */
import { javaDoubleOf } from '../../../query/index.ts';
import type { Draft } from '../ingest.ts';

/** Times below this are seconds to `put`, so are negative ones. */
const SECONDS_BELOW = 3_000_000_000n;
const TTL_TAG = 'kairos_opt.ttl';
const LONG_MAX = 2n ** 63n - 1n;
const LONG_MIN = -(2n ** 63n);
/** Longer numbers are no shorter for being exact. */
const DIGITS_MAX = 400;

export type LineOutcome = 'point' | 'version' | 'nothing' | { readonly wrong: string };

/** Adds the point of a line to the draft, or says what else the line is. */
export function readLine(line: string, draft: Draft): LineOutcome {
  const words = wordsOf(line);
  const [command] = words;
  switch (command) {
    case undefined:
      return 'nothing';
    case 'version':
      return 'version';
    case 'put':
    case 'putm':
    case 'puts':
      return readPut(command, words, draft);
    default:
      return wrong(`Unknown command: '${command.slice(0, 40)}'`);
  }
}

function readPut(command: string, words: readonly string[], draft: Draft): LineOutcome {
  const [, metric, time, text, ...given] = words;
  if (metric === undefined || time === undefined || text === undefined) {
    return wrong(`${command}: a metric, a time and a value are needed`);
  }
  if (metric === '') return wrong('metricName may not be empty.');
  const ticks = longOf(time);
  if (ticks === undefined) return wrong(`timestamp: For input string: "${time}"`);
  const value = command === 'puts' ? text : scalarOf(text);
  if (value === undefined) return wrong(`value: For input string: "${text}"`);
  const tags = tagsOf(given);
  if (typeof tags === 'string') return wrong(tags);
  const isSeconds = command === 'put' && ticks < SECONDS_BELOW;
  const timestampMs = Number(BigInt.asIntN(64, isSeconds ? ticks * 1_000n : ticks));
  const { tags: record, ttlSeconds } = tags;
  const reason = draft.add({ metric, tags: record, timestampMs, value, ttlSeconds });
  return reason === undefined ? 'point' : wrong(reason);
}

/** A decimal point makes a double as Java parses one; else it must be digits with perhaps a minus. */
function scalarOf(text: string): number | bigint | undefined {
  if (!text.includes('.')) return longOf(text);
  try {
    return javaDoubleOf(text);
  } catch {
    return undefined;
  }
}

function longOf(text: string): bigint | undefined {
  if (text.length > DIGITS_MAX || !/^-?\d+$/.test(text)) return undefined;
  const value = BigInt(text);
  return value > LONG_MAX || value < LONG_MIN ? undefined : value;
}

function tagsOf(
  words: readonly string[],
): { readonly tags: Record<string, string>; readonly ttlSeconds: number } | string {
  const tags = new Map<string, string>();
  let ttlSeconds = 0;
  for (const [i, word] of words.entries()) {
    // A third part is dropped, as the original does.
    const [name = '', value = ''] = word.split('=');
    if (name === '' || value === '') return `tag[${i}] must be in the format 'name=value'.`;
    if (name === TTL_TAG) {
      if (!/^\d{1,9}$/.test(value)) return `${TTL_TAG}: For input string: "${value}"`;
      ttlSeconds = Number(value);
      continue;
    }
    if (tags.has(name)) return `tag[${i}] is named ${name} as another is`;
    tags.set(name, value);
  }
  if (tags.size === 0) tags.set('add', 'tag');
  return { tags: Object.fromEntries(tags), ttlSeconds };
}

/**
 * Split at whatever is not above a space. A word that begins with a quote runs to a quote with such a sign behind it, or
 * else to the end of the line, without white space before it.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Java's trim takes everything up to the space.
const LEADING_SPACE = /^[\u0000-\u0020]+/;

function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (let at = 0; at < line.length; ) {
    if (line.charCodeAt(at) <= 0x20) {
      at++;
      continue;
    }
    if (line[at] === '"') {
      const end = quotedEnd(line, at + 1);
      if (end < 0) {
        const rest = line.slice(at + 1).replace(LEADING_SPACE, '');
        return rest === '' ? words : [...words, rest];
      }
      words.push(line.slice(at + 1, end));
      at = end + 1;
      continue;
    }
    const start = at;
    while (at < line.length && line.charCodeAt(at) > 0x20) at++;
    words.push(line.slice(start, at));
  }
  return words;
}

function quotedEnd(line: string, from: number): number {
  for (let at = line.indexOf('"', from); at >= 0; at = line.indexOf('"', at + 1)) {
    if (at + 1 === line.length || line.charCodeAt(at + 1) <= 0x20) return at;
  }
  return -1;
}

const wrong = (reason: string): LineOutcome => ({ wrong: reason });
