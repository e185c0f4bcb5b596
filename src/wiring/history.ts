/**
 * History answers from stored rollups: by the primary store, and by the fallback when that gives no answer.
 * Percentiles of ranges come by merging digests, which only the embedded store has.
 */
import type { History, HistoryAnswer, HistoryPoint, HistoryStoreName } from '../api/index.ts';
import type { RollupStore } from '../databases/embedded/index.ts';
import { type InfluxConfig, InfluxReader } from '../databases/influx/index.ts';
import { FatalError, messageOf, type Rollup, TidemarkError } from '../model/index.ts';
import { type Clock, counter, type Logger, type Settings } from '../runtime/index.ts';
import { TDigest } from '../stats/index.ts';
import { influxOf } from './feeds.ts';
import type { HistoryStore } from './history-store.ts';
import { InfluxHistory } from './influx-history.ts';

const fallbacks = counter(
  'history_fallbacks_total',
  'Answers of history that the fallback gave, by the primary that did not and why.',
  ['primary', 'code'],
);

interface Parts {
  readonly rollups: RollupStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function openHistory(settings: Settings, { rollups, clock, logger }: Parts): History {
  const { primary, fallback, timeoutMs } = settings.history;
  const open = (name: HistoryStoreName): HistoryStore => {
    if (name === 'embedded') return embeddedHistory(rollups);
    // Settings that name this store and no InfluxDB are refused where they are read.
    const config = influxOf(settings) as InfluxConfig;
    return new InfluxHistory(new InfluxReader({ config, clock, timeoutMs }), clock);
  };
  const stores = [open(primary)];
  if (fallback !== 'none') stores.push(open(fallback));
  return { points: answersOf(stores, logger), quantile: quantilesOf(rollups) };
}

/** Asks the stores in turn until one answers. What a fallback answers is counted; when it begins and ends, logged. */
export function answersOf(stores: readonly HistoryStore[], logger: Logger): History['points'] {
  let isFallenBack = false;
  const answered = (by: HistoryStore, failures: readonly Failure[]): void => {
    const [first] = failures;
    if (first !== undefined) {
      fallbacks.add({ primary: first.store, code: first.code });
      if (!isFallenBack) {
        logger.warn(
          { store: by.name, primary: first.store, code: first.code, reason: first.message },
          'the primary store of history gives no answer; the fallback does',
        );
      }
    } else if (isFallenBack) {
      logger.info({ store: by.name }, 'the primary store of history answers again');
    }
    isFallenBack = first !== undefined;
  };
  return async (query): Promise<HistoryAnswer> => {
    const failures: Failure[] = [];
    for (const store of stores) {
      try {
        const points = await store.points(query);
        answered(store, failures);
        return { store: store.name, points };
      } catch (error) {
        // A bug of ours is told as one when nobody is left to ask.
        if (store === stores.at(-1) && !(error instanceof TidemarkError)) throw error;
        const code = error instanceof TidemarkError ? error.code : 'UNEXPECTED';
        failures.push({ store: store.name, code, message: messageOf(error) });
      }
    }
    const reasons = failures.map(({ store, message }) => `${store}: ${message}`);
    throw new FatalError(reasons.join('; '), { code: 'HISTORY_UNANSWERED' });
  };
}

interface Failure {
  readonly store: HistoryStoreName;
  readonly code: string;
  readonly message: string;
}

/** This process's own store of rollups. */
export function embeddedHistory(rollups: RollupStore): HistoryStore {
  return {
    name: 'embedded',
    async points(query) {
      const points: HistoryPoint[] = [];
      for await (const rollup of rollups.read(query)) points.push(pointOf(rollup));
      return points;
    },
  };
}

function quantilesOf(rollups: RollupStore): History['quantile'] {
  return async ({ q, from, to, scope, id }) => {
    const merged = new TDigest();
    let windows = 0;
    for await (const rollup of rollups.read({ scope, id, step: '5m', from, to })) {
      merged.merge(TDigest.fromBytes(Buffer.from(rollup.digest, 'base64')));
      windows++;
    }
    return windows === 0 ? undefined : { value: merged.quantile(q), count: merged.count, windows };
  };
}

function pointOf(rollup: Rollup): HistoryPoint {
  const { window, count, sum, min, max, mean, stddev, p50, p95, p99, movingAverage, revision } =
    rollup;
  return { window, count, sum, min, max, mean, stddev, p50, p95, p99, movingAverage, revision };
}
