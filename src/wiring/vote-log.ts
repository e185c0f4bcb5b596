/**
 * The log as `migrate-votes` needs it, behind a door that is either an engine's HTTP service (the command) or the
 * engine itself (the job). An engine that is away, or that takes nothing now, may be asked again.
 */
import type { LoggedVote, MigratedVote, ReplayJob, VoteLog } from '../jobs/index.ts';
import { FatalError, RetriableError, TidemarkError } from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';

export interface LogDoor {
  topics(): Promise<
    readonly {
      readonly name: string;
      readonly partitions: readonly {
        readonly partition: number;
        readonly firstOffset: number;
        readonly nextOffset: number;
      }[];
    }[]
  >;
  page(range: {
    readonly topic: string;
    readonly partition: number;
    readonly from: number;
    readonly limit: number;
  }): Promise<{
    readonly records: readonly { readonly offset: number; readonly value: MigratedVote }[];
    readonly next: number;
  }>;
  /** Durable when it resolves. */
  append(topic: string, votes: readonly MigratedVote[]): Promise<void>;
  /** Names of topologies and sinks. */
  names(): Promise<readonly string[]>;
  startReplay(request: {
    readonly name: string;
    readonly from: { readonly offset: number };
    readonly into?: readonly string[];
  }): Promise<ReplayJob>;
  replay(id: string): Promise<ReplayJob>;
}

const PAGE_RECORDS = 10_000;
/** Newest records looked at for the newest event time. */
const NEWEST_RECORDS = 200;
const POLL_MS = 200;
const PASSING =
  /^(ENGINE_UNREACHABLE|UNAVAILABLE|RATE_LIMITED|BACKLOG_FULL|TOO_MANY_REPLAYS|HTTP_50\d)$/;

async function patiently<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof TidemarkError && PASSING.test(error.code))) throw error;
    throw new RetriableError(error.message, { code: error.code, cause: error });
  }
}

export function voteLog(door: LogDoor, clock: Clock): VoteLog {
  const partitionsOf = async (topic: string) =>
    (await patiently(() => door.topics())).find(({ name }) => name === topic)?.partitions;
  const pageOf = (topic: string, partition: number, from: number, limit: number) =>
    patiently(() => door.page({ topic, partition, from, limit }));
  return {
    async ends(topic) {
      const partitions = await partitionsOf(topic);
      if (partitions === undefined) {
        throw new FatalError(
          `there is no topic ${topic}; tidemark setup makes votes and votes.migrated, others are made by who runs the log`,
          { code: 'UNKNOWN_TOPIC' },
        );
      }
      return partitions.map(({ nextOffset }) => nextOffset);
    },
    async newest(topic) {
      let newest: number | undefined;
      for (const { partition, firstOffset, nextOffset } of (await partitionsOf(topic)) ?? []) {
        if (nextOffset === firstOffset) continue;
        const from = Math.max(firstOffset, nextOffset - NEWEST_RECORDS);
        const { records } = await pageOf(topic, partition, from, NEWEST_RECORDS);
        for (const { value } of records) {
          if (typeof value?.timestamp === 'number' && value.timestamp > (newest ?? 0)) {
            newest = value.timestamp;
          }
        }
      }
      return newest;
    },
    append: (topic, votes) => patiently(() => door.append(topic, votes)),
    async *read(topic, ends, signal) {
      for (const [partition, from] of ends.entries()) {
        for (let at = from; ; ) {
          signal.throwIfAborted();
          const { records, next } = await pageOf(topic, partition, at, PAGE_RECORDS);
          for (const { offset, value } of records) yield { offset, ...value } as LoggedVote;
          if (records.length === 0 || next <= at) break;
          at = next;
        }
      }
    },
    async replay(signal) {
      let records = 0;
      for (const { name, into } of replaysOf(await patiently(() => door.names()))) {
        const request = { name, from: { offset: 0 }, ...(into === undefined ? {} : { into }) };
        let job = await patiently(() => door.startReplay(request));
        while (job.state === 'running') {
          await clock.sleep(POLL_MS, signal);
          job = await patiently(() => door.replay(job.id));
        }
        if (job.state !== 'done') {
          throw new RetriableError(
            `the replay of ${name} ${job.state}: ${job.error?.message ?? ''}`,
            { code: job.error?.code ?? 'REPLAY_FAILED' },
          );
        }
        records = Math.max(records, job.progress.total);
      }
      return records;
    },
  };
}

/** What brings migrated votes into every sink there is. */
function replaysOf(
  names: readonly string[],
): readonly { readonly name: string; readonly into?: readonly string[] }[] {
  const known = [...new Set(names)];
  const into = known.filter((name) =>
    /^(history|kairos\.rollups|influx\.(rollups-5m|validator-metrics))$/.test(name),
  );
  const raw = known.filter((name) => /^(kairos|influx)\.votes$/.test(name));
  return [
    ...(into.length === 0 ? [] : [{ name: 'vote-latency.migrated', into }]),
    ...raw.map((name) => ({ name: `${name}.migrated` })),
  ];
}
