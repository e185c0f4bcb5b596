/** Error codes: the HTTP catalogue, the dead letters', and every other that the program can end or stop with. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogue } from '../../src/api/index.ts';
import { code, table } from './markdown.ts';

const sources = join(import.meta.dirname, '../../src');

/** Codes of records set aside, in the order in which a record is judged. */
const deadLetters: readonly (readonly [string, string])[] = [
  ['NOT_JSON', 'The value is no JSON text in UTF-8.'],
  ['FIELD_INVALID', 'A field is missing or not what the codec takes; the message names it.'],
  ['UNKNOWN_NETWORK', '`votes`: the network is none of mainnet, testnet, devnet.'],
  ['LANDED_BEFORE_VOTED', '`votes`: landedSlot is before votedSlot.'],
  [
    'TIMESTAMP_IN_FUTURE',
    'The event time is more than an hour past the time at which the log took the record.',
  ],
  ['SINK_REJECTED', 'A database can never store a point of this record; the message is its own.'],
];

const families = {
  Retriable: 'waits and tries again',
  Poison: 'sets it aside',
  Fatal: 'stops',
} as const;

export function errorsPage(): string {
  const problems = Object.entries(catalogue).map(([name, { status, title, cure }]) => [
    code(name),
    String(status),
    title,
    cure,
  ]);
  const others = thrown().map(({ name, room, family, message }) => [
    code(name),
    code(room),
    families[family],
    message,
  ]);
  return `# Errors

Every error has a code, and its message says how to mend what is wrong.

## HTTP

Refusals of the service, as problem JSON with \`code\`, \`detail\` and, where several things are wrong, \`errors\`.

${table(['code', 'status', 'what', 'cure'], problems)}

## Dead letters

The \`code\` of records in \`TOPIC.dead-letter\`. An operator of yours may throw a \`PoisonError\` with its own.

${table(
  ['code', 'what'],
  deadLetters.map(([name, what]) => [code(name), what]),
)}

## The program

In the log, on stderr and in health answers. … stands for what the message fills in.

${table(['code', 'room', 'the program', 'message'], others)}
`;
}

interface Thrown {
  readonly name: string;
  readonly room: string;
  readonly family: keyof typeof families;
  readonly message: string;
}

/** What the sources throw, once per code and room, by code. */
function thrown(): readonly Thrown[] {
  const pattern =
    /new (Fatal|Retriable|Poison)Error\(\s*(?:(`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*')|[^,]+?),\s*\{\s*(?:[a-z]+,\s*)*code: '([A-Z_]+)'/g;
  const found = new Map<string, Thrown>();
  const names = readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.(?:test|suite)\.ts$|testing\.ts$/.test(name))
    .sort();
  for (const path of names) {
    const room = path.split(/[/\\]/)[0] as string;
    for (const match of readFileSync(join(sources, path), 'utf8').matchAll(pattern)) {
      const [, family, message, name] = match;
      const key = `${name} ${room}`;
      if (found.has(key)) continue;
      found.set(key, {
        name: name as string,
        room: room.replace(/\.ts$/, ''),
        family: family as Thrown['family'],
        message: message === undefined ? '' : plain(message),
      });
    }
  }
  return [...found.values()].sort(
    (a, b) => a.name.localeCompare(b.name, 'en') || a.room.localeCompare(b.room, 'en'),
  );
}

/** A literal's or template's text, with … for what is filled in. */
function plain(literal: string): string {
  let text = literal.slice(1, -1);
  // Inner ones first: a template may hold templates.
  for (let before = ''; before !== text; ) {
    before = text;
    text = text.replaceAll(/\$\{[^{}]*\}/g, '…');
  }
  return text.replaceAll(/\\(['`])/g, '$1').replaceAll(/…+/g, '…');
}
