/**
 * Deleting a namespace: what bears the prefix is gone for everybody in one write; its blocks and state, which may
 * be many, are cleared after that in slices, and at the next opening when that was cut short.
 */
import { FatalError } from '../../model/index.ts';
import { afterPrefix, u32 } from './keys.ts';
import type { StoredLedger } from './ledger.ts';
import type { Storage, Table } from './storage.ts';
import type { StoredTopic, Topics } from './topics.ts';
import type { Writer } from './writer.ts';

const KEYS_PER_WRITE = 10_000;
const TOPIC = 't'.charCodeAt(0);
const STATE = 's'.charCodeAt(0);
const NAME_START = Buffer.from([0]);

const trashKey = (kind: number, number: number) =>
  Buffer.concat([Buffer.from([kind]), u32(number)]);

/** Throws FatalError NAMESPACE_INVALID unless the prefix begins with `tidemark.`. */
export function checkNamespace(prefix: string): void {
  if (prefix.startsWith('tidemark.')) return;
  throw new FatalError(
    `Only what begins with "tidemark." can be deleted as a namespace, "${prefix}" does not.`,
    { code: 'NAMESPACE_INVALID', context: { prefix } },
  );
}

/** Resolves when topics, group offsets, state and fences of the prefix are gone and their space is free again. */
export async function deleteNamespace(
  storage: Storage,
  writer: Writer,
  topics: Topics,
  prefix: string,
): Promise<void> {
  const { tables } = storage;
  await writer.run({
    bytes: 0,
    stage: (stage) => {
      const deleted = new Set<string>();
      for (const { name, spec } of topics.all()) {
        if (!name.startsWith(prefix)) continue;
        deleted.add(name);
        stage.putShared(tables.topics, Buffer.from(name), null);
        stage.put(tables.trash, trashKey(TOPIC, spec.number), Buffer.from(JSON.stringify(spec)));
      }
      for (const key of keysOf(tables.groups)) {
        const [group = '', topic = ''] = key.toString('utf8').split('\0');
        if (group.startsWith(prefix) || deleted.has(topic)) stage.remove(tables.groups, key);
      }
      for (const { key, value } of tables.changelogs.getRange({ start: NAME_START })) {
        if (!(key as Buffer).toString('utf8').startsWith(prefix)) continue;
        stage.putShared(tables.changelogs, key as Buffer, null);
        stage.put(tables.trash, trashKey(STATE, value.readUInt32BE(0)), Buffer.alloc(0));
      }
      for (const { key, value } of tables.ledgers.getRange({ start: NAME_START })) {
        const { changelog } = JSON.parse(value.toString()) as StoredLedger;
        if ((key as Buffer).toString('utf8').startsWith(prefix) || changelog.startsWith(prefix))
          stage.putShared(tables.ledgers, key as Buffer, null);
      }
      stage.afterwards(() => {
        for (const name of deleted) topics.delete(name);
      });
    },
  });
  await emptyTrash(storage, writer);
}

const keysOf = (table: Table): Buffer[] => [
  ...(table.getKeys({ start: NAME_START }) as unknown as Iterable<Buffer>),
];

/** Clears what deleted namespaces left; safe to run at any time, and again. */
export async function emptyTrash(storage: Storage, writer: Writer): Promise<void> {
  const { tables } = storage;
  for (const { key, value } of [...tables.trash.getRange({ start: NAME_START })]) {
    const trash = key as Buffer;
    const number = trash.subarray(1);
    if (trash[0] === STATE) {
      for (const table of [tables.redo, tables.state]) await clear(writer, table, number);
    } else {
      for (const table of [tables.log, tables.times]) await clear(writer, table, number);
      await clearHeads(writer, tables.heads, number, JSON.parse(value.toString()) as StoredTopic);
    }
    await writer.run({
      bytes: 0,
      stage: (stage) => stage.remove(tables.trash, trash),
    });
  }
}

/** Removes all keys that begin with `prefix`. */
async function clear(writer: Writer, table: Table, prefix: Buffer): Promise<void> {
  for (;;) {
    const removed = await writer.run({
      bytes: 0,
      stage: (stage) => {
        const keys = [
          ...(table.getKeys({
            start: prefix,
            end: afterPrefix(prefix),
            limit: KEYS_PER_WRITE,
          }) as unknown as Iterable<Buffer>),
        ];
        for (const key of keys) stage.remove(table, key);
        return keys.length;
      },
    });
    if (removed < KEYS_PER_WRITE) return;
  }
}

async function clearHeads(
  writer: Writer,
  heads: Table,
  number: Buffer,
  { partitions }: StoredTopic,
): Promise<void> {
  await writer.run({
    bytes: 0,
    stage: (stage) => {
      for (let partition = 0; partition < partitions; partition++)
        stage.remove(heads, Buffer.concat([number, u32(partition)]));
    },
  });
}
