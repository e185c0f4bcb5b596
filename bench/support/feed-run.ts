/**
 * A vote feed as the engine runs it (log, feed, delivery, database), with a data folder and names of its own:
 * votes go into the log, and the run ends when the feed has nothing left to deliver.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SimulatedVote } from '../../src/collect/index.ts';
import { type Engine, startEngine } from '../../src/main.ts';
import { loadSettings, silentLogger } from '../../src/runtime/index.ts';
import { voteFeedsFrom, voteLatencyTopics } from '../../topologies/index.ts';

export interface FeedRun {
  readonly votes: number;
  /** From the first append until the last vote was stored and the cursor behind it, s. */
  readonly seconds: number;
  /** Votes in the log and not yet stored, at most, as asked every 250 ms. */
  readonly backlogMax: number;
  readonly cpuSeconds: number;
}

export interface FeedRunOptions {
  readonly into: 'influx' | 'kairos';
  /** Told apart from other runs: part of bucket and group names. */
  readonly runId: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly votes: readonly SimulatedVote[];
  /** Votes appended a second; absent: as fast as the log takes them. */
  readonly perSecond?: number;
}

const APPEND_VOTES_MAX = 5_000;
const APPEND_EVERY_MS = 20;
const ASK_EVERY_MS = 250;

export const bucketOf = (runId: string): string => `${runId}-vote-latencies-raw`;

export async function runFeed(options: FeedRunOptions): Promise<FeedRun> {
  const { into, runId, environment, votes, perSecond = Number.POSITIVE_INFINITY } = options;
  const data = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  const { settings } = loadSettings({ environment, flags: { data } });
  const all = voteFeedsFrom(voteLatencyTopics, {
    feed: (name) => `${runId}.${name}`,
    bucket: (name) => `${runId}-${name}`,
  });
  const raw = all[into].filter(({ name }) => name.endsWith('.votes'));
  const engine = await startEngine(settings, {
    roles: ['sinks'],
    feeds: { influx: [], kairos: [], history: all.history, [into]: raw },
    logger: silentLogger,
  });
  try {
    const feed = raw[0]?.name as string;
    // The feed makes its topic and joins its group first.
    while ((await engine.broker.describeTopics(['votes'])).length === 0) await sleep(20);
    const before = process.cpuUsage();
    const beganMs = performance.now();
    let backlogMax = 0;
    const asking = askUntilStored(engine, feed, votes.length, (waiting) => {
      backlogMax = Math.max(backlogMax, waiting);
    });
    for (let sent = 0; sent < votes.length; ) {
      const elapsedS = (performance.now() - beganMs) / 1_000;
      const due = Math.min(votes.length, Math.floor(elapsedS * perSecond));
      const part = votes.slice(sent, Math.min(due, sent + APPEND_VOTES_MAX));
      if (part.length > 0) await engine.broker.append('votes', part);
      sent += part.length;
      if (Number.isFinite(perSecond)) await sleep(APPEND_EVERY_MS);
    }
    await asking;
    const seconds = (performance.now() - beganMs) / 1_000;
    const { user, system } = process.cpuUsage(before);
    return { votes: votes.length, seconds, backlogMax, cpuSeconds: (user + system) / 1e6 };
  } finally {
    await engine.stop();
    await rm(data, { recursive: true });
  }
}

async function askUntilStored(
  engine: Engine,
  feed: string,
  votes: number,
  each: (waiting: number) => void,
): Promise<void> {
  for (;;) {
    const [topic] = await engine.broker.describeTopics(['votes']);
    const appended = topic?.partitions.reduce((sum, p) => sum + p.nextOffset, 0) ?? 0;
    const view = (await engine.view.backlog()).find(({ sink }) => sink === feed);
    if (view === undefined) throw new Error(`there is no feed ${feed}`);
    if (view.rejected > 0) throw new Error(`${feed} rejected ${view.rejected} points`);
    each(view.points);
    if (appended === votes && view.points === 0) return;
    await sleep(appended === votes ? 10 : ASK_EVERY_MS);
  }
}
