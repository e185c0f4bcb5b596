/**
 * What clients sent to KairosDB's doors, for `verify`: records of the points' topic unpacked, deletes in their place
 * between them, and points with a life of their own, which may be gone once it is over.
 */
import {
  decodeDelete,
  isDelete,
  type KairosStore,
  readPackedPoints,
  takesPoint,
} from '../../databases/kairos/index.ts';
import type { PointForm, Removal } from '../../jobs/index.ts';
import { type DataPoint, PoisonError } from '../../model/index.ts';
import { rowQueryOf } from '../../query/index.ts';
import type { Clock } from '../../runtime/index.ts';
import type { LoggedPoints } from '../points/index.ts';
import { kairosForm, kairosSide } from './kairos.ts';
import type { Side } from './side.ts';

/** `goneFromMs`: its life is over at the earliest then, as it began after the log had it. */
type ClientPoint = DataPoint & { readonly goneFromMs?: number };

/** Cassandra counts whole seconds, by a clock of its own: a life may end so much early. */
const EARLY_MS = 2_000;

class Deletion implements Removal<DataPoint> {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly takes: (point: DataPoint) => boolean;

  constructor(record: Buffer) {
    const { metric, startMs, endMs, tags } = decodeDelete(record);
    const query = rowQueryOf({ name: metric, startMs, endMs, tags });
    this.name = metric;
    this.fromMs = query.fromMs;
    this.toMs = query.toMs;
    this.takes = (point) => takesPoint(query, point);
  }
}

const clientPointForm: PointForm<ClientPoint> = {
  ...kairosForm,
  removal: (given) => (given instanceof Deletion ? given : undefined),
};

export function clientPointsSide(store: KairosStore, clock: Clock): Side<ClientPoint> {
  return {
    ...kairosSide(store),
    points: clientPointForm,
    ofFeed: {
      anyTime: true,
      unpack: (given) => (given as readonly LoggedPoints[]).flatMap(unpacked),
    },
    async retention() {
      const now = clock.now();
      return { keeps: ({ goneFromMs }) => goneFromMs === undefined || now < goneFromMs };
    },
    port: {
      async write(given, signal) {
        await store.connect(signal);
        const now = clock.now();
        const points = (given as readonly ClientPoint[]).map(({ goneFromMs, ...point }) =>
          goneFromMs === undefined
            ? point
            : { ...point, ttlSeconds: Math.max(1, Math.ceil((goneFromMs - now) / 1_000)) },
        );
        return store.write(points, signal);
      },
    },
  };
}

/** A record that holds no points was refused whole, and is a dead letter. */
function unpacked({ bytes, appendedAtMs }: LoggedPoints): readonly (ClientPoint | Deletion)[] {
  try {
    if (isDelete(bytes)) return [new Deletion(bytes)];
    return readPackedPoints(bytes).map(({ ttlSeconds, ...point }) =>
      ttlSeconds === 0
        ? point
        : { ...point, goneFromMs: appendedAtMs + ttlSeconds * 1_000 - EARLY_MS },
    );
  } catch (error) {
    if (error instanceof PoisonError) return [];
    throw error;
  }
}
