/** What a table in SQLite takes, as many home-made collectors have it: an insert per vote, or many at once. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Vote } from '../../topologies/index.ts';

/** Points per second, each commit durable (WAL, synchronous = FULL). */
export async function sqliteRate(
  votes: readonly Vote[],
  insertsPerTransaction: number,
): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  const database = new DatabaseSync(join(folder, 'votes.db'));
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    database.exec(
      'CREATE TABLE vote_latency (validator TEXT, vote_account TEXT, network TEXT, voted_slot INTEGER, landed_slot INTEGER, latency INTEGER, time_ms INTEGER); ' +
        'CREATE INDEX by_validator ON vote_latency (validator, time_ms)',
    );
    const insert = database.prepare('INSERT INTO vote_latency VALUES (?, ?, ?, ?, ?, ?, ?)');
    const beganMs = performance.now();
    for (let from = 0; from < votes.length; from += insertsPerTransaction) {
      database.exec('BEGIN');
      for (const vote of votes.slice(from, from + insertsPerTransaction)) {
        const { validator, voteAccount, network, votedSlot, landedSlot, timestamp } = vote;
        const latency = landedSlot - votedSlot;
        insert.run(validator, voteAccount, network, votedSlot, landedSlot, latency, timestamp);
      }
      database.exec('COMMIT');
    }
    const rate = (votes.length / (performance.now() - beganMs)) * 1_000;
    const stored = database.prepare('SELECT count(*) AS count FROM vote_latency').get()?.count;
    if (stored !== votes.length) throw new Error(`SQLite has ${stored} of ${votes.length}`);
    return rate;
  } finally {
    database.close();
    await rm(folder, { recursive: true });
  }
}
